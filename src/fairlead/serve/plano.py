"""Plano's routing API (`POST /routing/v1/chat/completions`), so that its clients can ask here instead.

It answers `models` in the order to try them, `route` and `trace_id`, and with the header X-Model-Affinity also
`session_id` and `pinned`: the first choice of a session stays, ten minutes after it was last asked for.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import Any, Final

import msgspec
from msgspec import structs

from fairlead.serve import chat
from fairlead.serve.bodies import Answer, Ask
from fairlead.serve.gather import Gather
from fairlead.serve.http import Call

__all__ = ["Plano"]

_KEPT_S: Final = 600.0
_MOST: Final = 10_000


class Plano:
    """Answers in Plano's form, and remembers what its sessions were given."""

    def __init__(self, gather: Gather) -> None:
        self._gather = gather
        self._sessions: OrderedDict[str, tuple[float, list[str]]] = OrderedDict()

    async def answer(self, call: Call) -> bytes:
        """Give the answer's body."""
        request = chat.request_of(call, chat.fields(call.body))
        session = request.conversation
        models = self._pinned(session)
        pinned = models is not None
        ask = Ask(**structs.asdict(request), want=("ranked",))
        answer = None
        if models is None:
            answer = await self._gather.ask(ask)
            models = _models(answer)
            if session is not None and models:
                self._pin(session, models)
        told: dict[str, Any] = {"models": models, "route": request.route, "trace_id": answer.id if answer else ask.id}
        if session is not None:
            told |= {"session_id": session, "pinned": pinned}
        return msgspec.json.encode(told)

    def _pinned(self, session: str | None) -> list[str] | None:
        if session is None or session not in self._sessions:
            return None
        until, models = self._sessions.pop(session)
        if until < time.monotonic():
            return None
        self._pin(session, models)
        return models

    def _pin(self, session: str, models: list[str]) -> None:
        self._sessions[session] = (time.monotonic() + _KEPT_S, models)
        if len(self._sessions) > _MOST:
            self._sessions.popitem(last=False)


def _models(answer: Answer) -> list[str]:
    """Give the endpoint that was drawn, then the others by rank."""
    ranked = [one.endpoint for one in answer.ranked or ()]
    first = [answer.endpoint] if answer.endpoint is not None else []
    return [*first, *(name for name in ranked if name != answer.endpoint)]
