"""What a gateway's plug-in asks: a decision in time, or none; never an error, and never a wait for who is down.

`gateways/` holds the plug-ins, one file each. Environment variables set them: FAIRLEAD_URL of a server and
FAIRLEAD_KEY, or FAIRLEAD_SNAPSHOT, the folder that snapshots are published in, to decide in process; and
FAIRLEAD_TIMEOUT_MS.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Mapping
from typing import Any, Final
from weakref import WeakKeyDictionary

from fairlead.errors import UnavailableError, UsageError
from fairlead.scoring.offer import offered
from fairlead.scoring.outcome import Outcome
from fairlead.scoring.router import Router
from fairlead.serve import chat
from fairlead.serve.bodies import Answer, Ask
from fairlead.serve.client import AsyncClient
from fairlead.serve.decider import InProcess

__all__ = ["Advice", "ask_of"]

_LOG: Final = logging.getLogger("fairlead")
_TIMEOUT_MS: Final = 30.0
_GRACE_S: Final = 0.005
_OBSERVE_S: Final = 1.0  # nobody waits for it
_FAILURES: Final = 3  # in a row, after which nothing is asked for a while
_RESTS_S: Final = (0.25, 5.0)  # the first, and the longest: each is twice the one before
_LONGEST: Final = 500_000  # of a text; a server takes a body of a megabyte
_NAME: Final = 256


class Advice:
    """Decisions for a plug-in, from a server (`url`) or a router in this process (`snapshot`, its folder or itself).

    After three failures in a row it does not ask for a quarter of a second, then for half a second, up to five: a
    server that is down costs next to nothing, one that stumbled few decisions.
    """

    def __init__(
        self,
        *,
        url: str | None = None,
        snapshot: Router | str | None = None,
        key: str | None = None,
        timeout_ms: float = _TIMEOUT_MS,
    ) -> None:
        if (url is None) == (snapshot is None):
            raise UsageError("set FAIRLEAD_URL (a server) or FAIRLEAD_SNAPSHOT (a folder), and not both")
        if not timeout_ms > 0:
            raise UsageError(f"FAIRLEAD_TIMEOUT_MS is {timeout_ms}; give milliseconds above 0")
        self._url, self._key, self._timeout_s = url, key, timeout_ms / 1000
        self._here = None if snapshot is None else InProcess(_router(snapshot))
        # A client belongs to the event loop that it was first used in. Making one takes longer than a decision may.
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncClient] = WeakKeyDictionary()
        self._spare = None if url is None else self._made()
        self._failed, self._missed_at, self._rests_until = 0, 0.0, 0.0

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Advice:
        """Read the settings; UsageError says which one is off.

        >>> Advice.from_environment({})
        Traceback (most recent call last):
        fairlead.errors.UsageError: set FAIRLEAD_URL (a server) or FAIRLEAD_SNAPSHOT (a folder), and not both
        """
        given = {name: environment.get(f"FAIRLEAD_{name.upper()}") or None for name in ("url", "snapshot", "key")}
        timeout = environment.get("FAIRLEAD_TIMEOUT_MS") or str(_TIMEOUT_MS)
        try:
            return cls(**given, timeout_ms=float(timeout))
        except ValueError:
            raise UsageError(f"FAIRLEAD_TIMEOUT_MS is {timeout!r}; give milliseconds above 0") from None

    async def decide(self, ask: Ask) -> Answer | None:
        """Choose an endpoint; None where nobody answered in time, or not with a choice that can be used."""
        if self._here is not None:
            return _usable(self._here.decide(ask))
        began = time.monotonic()
        if began < self._rests_until:
            return None
        asked = asyncio.ensure_future(self._client().decide(ask))
        try:
            await asyncio.wait((asked,), timeout=self._timeout_s)
            if not asked.done() and time.monotonic() - began > self._timeout_s + _GRACE_S:
                # This loop was held up, not the server: the answer may be there, and only has to be read.
                await asyncio.wait((asked,), timeout=_GRACE_S)
            if not asked.done():
                raise UnavailableError("not in time")
            answer = asked.result()
        except Exception as fault:  # whatever it is, a gateway goes on without us
            self._missed(fault, began)
            return None
        finally:
            asked.cancel()
        self._failed = 0
        return _usable(answer)

    async def observe(self, outcome: Outcome) -> None:
        """Say how a call ended; what cannot be said is dropped."""
        if self._here is not None:
            self._here.observe(outcome)
        elif time.monotonic() >= self._rests_until:
            try:
                async with asyncio.timeout(_OBSERVE_S):
                    await self._client().observe(outcome)
            except (TimeoutError, UnavailableError):
                _LOG.debug("an outcome was not taken by %s", self._url)

    async def close(self) -> None:
        """Close this event loop's connections."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.close()

    def _client(self) -> AsyncClient:
        loop = asyncio.get_running_loop()
        if loop not in self._clients:
            self._clients[loop], self._spare = self._spare or self._made(), None
        return self._clients[loop]

    def _made(self) -> AsyncClient:
        return AsyncClient(str(self._url), key=self._key)

    def _missed(self, fault: Exception, began: float) -> None:
        if began < self._missed_at:
            return  # it waited beside one that was counted
        self._failed, self._missed_at = self._failed + 1, time.monotonic()
        if self._failed == _FAILURES:
            _LOG.warning("no decision (%s); the gateway chooses alone", fault)
        if self._failed >= _FAILURES:
            first, longest = _RESTS_S
            self._rests_until = time.monotonic() + min(longest, first * 2 ** min(self._failed - _FAILURES, 10))


def ask_of(body: Mapping[str, Any], **told: Any) -> Ask:
    """Make a request to decide of a call's body in OpenAI's manner, and of what the gateway tells beside it.

    >>> ask = ask_of({"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 9}, route="support")
    >>> ask.text, ask.turn, ask.max_tokens, ask.route
    ('Hello', 1, 9, 'support')
    """
    given = body.get("messages") or body.get("input") or body.get("prompt") or ""
    listed = given if isinstance(given, list) else [{"role": "user", "content": given}]
    text, images, turn = chat.said([one for one in listed if isinstance(one, dict)])
    offer = offered(dict(body))
    most = next((body[name] for name in ("max_completion_tokens", "max_tokens") if body.get(name)), None)
    cut: dict[str, Any] = {
        name: value[:_NAME] if isinstance(value, str) else value for name, value in told.items() if value
    }
    return Ask(
        text=text[:_LONGEST],
        tools=offer.tools,
        toolset=offer.toolset,
        response_format=offer.response_format,
        images=images or None,
        turn=turn,
        max_tokens=most if type(most) is int and 0 < most <= 1_000_000_000 else None,
        **cut,
    )


def _router(snapshot: Router | str) -> Router:
    if isinstance(snapshot, Router):
        return snapshot
    made = Router(snapshot)
    made.decide_many([Ask(text="warm"), Ask()], counted=False)  # what is loaded at first use is loaded now
    made.watch(snapshot)
    return made


def _usable(answer: Answer) -> Answer | None:
    """A default that somebody fell back on has no probability to learn from; the gateway has its own."""
    chosen = answer.kind == "policy" and answer.endpoint is not None and 0 < answer.propensity <= 1
    return answer if chosen else None
