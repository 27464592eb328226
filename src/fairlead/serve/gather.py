"""Requests that arrive at the same time are decided together; more than can be answered in time are refused at once."""

from __future__ import annotations

import asyncio
import time
from collections import deque
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
    """Collects what one turn of the event loop reads, and decides it in one go in the next.

    Nobody waits for others to come: at low load a request is decided alone, at once. `wait_s` bounds how long one may
    wait: who would have to wait longer, by what decisions have taken lately, is refused when it comes, which costs a
    fraction of a decision; who has waited longer all the same is refused in its turn.
    """

    def __init__(self, decide: Callable[[Sequence[Request]], list[Answer]], limits: Limits) -> None:
        self._decide, self._limits = decide, limits
        self._waiting: deque[tuple[Request, Done, float]] = deque()
        self._asked = False
        self._left_over_at = 0.0
        self._one_s = 1e-4  # what a decision takes, with all that goes with it

    def put(self, request: Request, done: Done) -> None:
        """Decide a request soon, and give `done` the answer or why there is none; RefusedError when it is too much."""
        self.room()
        self._waiting.append((request, done, time.perf_counter()))
        if not self._asked:
            self._asked = True
            asyncio.get_running_loop().call_soon(self._turn)

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

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return len(self._waiting)

    def room(self) -> None:
        """Make sure that there is room for one more request; RefusedError when there is none."""
        waiting = len(self._waiting)
        if waiting >= self._limits.waiting or waiting * self._one_s > self._limits.wait_s:
            raise RefusedError("overloaded")

    def _turn(self) -> None:
        now = time.perf_counter()
        late = now - 2 * self._limits.wait_s
        # Where some were left over, what reading others took since then is part of what a decision takes.
        started = self._left_over_at or now
        taken: list[tuple[Request, Done, float]] = []
        while self._waiting and len(taken) < self._limits.together:
            one = self._waiting.popleft()
            if one[2] < late:
                one[1](RefusedError("overloaded"))
            else:
                taken.append(one)
        if taken:
            answers = self._decide([request for request, _, _ in taken])
            for (_, done, _), answer in zip(taken, answers, strict=True):
                done(answer)
            took_s = (time.perf_counter() - started) / len(taken)
            self._one_s += _SLOWLY * (took_s - self._one_s)
        self._asked, self._left_over_at = bool(self._waiting), 0.0
        if self._asked:
            self._left_over_at = time.perf_counter()
            asyncio.get_running_loop().call_soon(self._turn)
