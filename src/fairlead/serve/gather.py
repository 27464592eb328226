"""Requests that arrive at the same time are decided together; more than can be answered in time are refused at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final

from fairlead.scoring.request import Request
from fairlead.serve.bodies import Answer
from fairlead.serve.refusals import RefusedError
from fairlead.serve.settings import Limits

__all__ = ["Done", "Gather"]

Done = Callable[[Answer | RefusedError], None]
_SLOWLY: Final = 0.05  # how fast the estimate of a decision's time follows


class Gather:
    """Collects what one turn of the event loop reads, and decides it before the next.

    Nobody waits for others to come: at low load a request is decided alone, at once. One turn takes in no more requests
    than can be decided in `wait_s`, by what decisions have taken lately; the others are refused, which costs a third of
    a decision. Nothing is answered while the loop still reads: callers that ask again at once would be read again at
    once (libuv reads up to 48 times 1,024 sockets before it does anything else), and new connections and timers starve.
    """

    def __init__(self, decide: Callable[[Sequence[Request]], list[Answer]], limits: Limits) -> None:
        self._decide, self._limits = decide, limits
        self._waiting: list[tuple[Request, Done]] = []
        self._refused: list[tuple[RefusedError, Done]] = []
        self._one_s = 1e-4  # what a decision and its answer take

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return len(self._waiting)

    @property
    def has_room(self) -> bool:
        """Whether one more request can be answered in time."""
        return len(self._waiting) * self._one_s < self._limits.wait_s

    def put(self, request: Request, done: Done) -> None:
        """Decide a request in this turn, and give `done` the answer, or why there is none."""
        if not self.has_room:
            self.refuse(RefusedError("overloaded"), done)
            return
        self._ask()
        self._waiting.append((request, done))

    def refuse(self, why: RefusedError, done: Done) -> None:
        """Refuse a request in this turn."""
        self._ask()
        self._refused.append((why, done))

    async def ask(self, request: Request) -> Answer:
        """Decide a request together with those that came with it; RefusedError when it is too much."""
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        def done(answer: Answer | RefusedError) -> None:
            if answered.done():  # its sender has gone
                return
            if isinstance(answer, RefusedError):
                answered.set_exception(answer)
            else:
                answered.set_result(answer)

        self.put(request, done)
        return await answered

    def _ask(self) -> None:
        if not self._waiting and not self._refused:
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        refused, self._refused = self._refused, []
        waiting, self._waiting = self._waiting, []
        for why, done in refused:
            done(why)
        for start in range(0, len(waiting), self._limits.together):
            self._group(waiting[start : start + self._limits.together])

    def _group(self, taken: list[tuple[Request, Done]]) -> None:
        started = time.perf_counter()
        answers: Sequence[Answer | RefusedError]
        try:
            answers = self._decide([request for request, _ in taken])
        except Exception:  # it does not raise; if it did all the same, nobody may wait for ever
            answers = [RefusedError("overloaded")] * len(taken)
        for (_, done), answer in zip(taken, answers, strict=True):
            done(answer)
        took_s = (time.perf_counter() - started) / len(taken)
        self._one_s += _SLOWLY * (took_s - self._one_s)
