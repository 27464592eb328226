"""The live stream: decisions as they are made, and every second how the endpoints do."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import msgspec

from fairlead.scoring.decision import Decision
from fairlead.scoring.request import Request
from fairlead.serve.http import Receive, Send
from fairlead.serve.refusals import RefusedError
from fairlead.serve.service import Service

__all__ = ["Hub"]

_KEPT: Final = 1000  # events of a reader that does not keep up; the oldest are left out, and counted
_HEALTH_S: Final = 1.0


class _Reader:
    def __init__(self) -> None:
        self.events: deque[tuple[str, dict[str, Any]]] = deque(maxlen=_KEPT)
        self.missed = 0
        self.news = asyncio.Event()

    def tell(self, kind: str, event: dict[str, Any]) -> None:
        self.missed += len(self.events) == _KEPT
        self.events.append((kind, event))
        self.news.set()


class Hub:
    """Tells its readers what a worker decides; without readers it costs nothing. No text of a request is in it."""

    def __init__(self, service: Service, most: int) -> None:
        self._service, self._most = service, most
        self._readers: set[_Reader] = set()
        self._ended = asyncio.Event()

    def __call__(self, asked: Sequence[Request], decisions: Sequence[Decision]) -> None:
        """Take in decisions."""
        if not self._readers:
            return
        for ask, one in zip(asked, decisions, strict=True):
            event = {
                "id": one.id,
                "request_id": one.request_id,
                "route": ask.route,
                "endpoint": one.endpoint,
                "propensity": one.propensity,
                "kind": one.kind,
                "policy": one.policy,
                "decided_us": one.decided_us,
            }
            for reader in self._readers:
                reader.tell("decision", event)

    def end(self) -> None:
        """End all streams, when the server ends."""
        self._ended.set()
        for reader in self._readers:
            reader.news.set()

    def events(self) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Give kinds and events, from now on; RefusedError, at once, where there are too many readers."""
        if len(self._readers) >= self._most or self._ended.is_set():
            raise RefusedError("overloaded")
        reader = _Reader()
        self._readers.add(reader)
        return self._told(reader)

    async def _told(self, reader: _Reader) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        try:
            while not self._ended.is_set():
                yield "health", {"endpoints": msgspec.to_builtins(self._service.endpoints().endpoints)}
                until = asyncio.get_running_loop().time() + _HEALTH_S
                while (left := until - asyncio.get_running_loop().time()) > 0 and not self._ended.is_set():
                    try:
                        await asyncio.wait_for(reader.news.wait(), left)
                    except TimeoutError:
                        break
                    reader.news.clear()
                    while reader.events:
                        yield reader.events.popleft()
                    if reader.missed:
                        missed, reader.missed = reader.missed, 0
                        yield "missed", {"events": missed}
        finally:
            self._readers.discard(reader)

    def sse(self) -> AsyncIterator[bytes]:
        """Give server-sent events (WHATWG HTML, section 9.2); RefusedError as `events`."""
        return _sse(self.events())

    async def websocket(self, receive: Receive, send: Send) -> None:
        """Serve one WebSocket whose connection was asked for: a JSON text for each event."""
        try:
            events = self.events()
        except RefusedError:
            await send({"type": "websocket.close", "code": 1013})  # try again later
            return
        gone = asyncio.ensure_future(_closed(receive))
        try:
            part = asyncio.ensure_future(anext(events))
            while True:
                await asyncio.wait((part, gone), return_when=asyncio.FIRST_COMPLETED)
                if gone.done():
                    part.cancel()
                    await asyncio.gather(part, return_exceptions=True)
                    return
                kind, event = part.result()
                text = msgspec.json.encode({"event": kind, **event}).decode()
                await send({"type": "websocket.send", "text": text})
                part = asyncio.ensure_future(anext(events))
        except StopAsyncIteration:
            await send({"type": "websocket.close", "code": 1001})  # going away
        finally:
            gone.cancel()
            await events.aclose()  # type: ignore[attr-defined]


async def _sse(events: AsyncIterator[tuple[str, dict[str, Any]]]) -> AsyncIterator[bytes]:
    try:
        async for kind, event in events:
            yield b"event: %b\ndata: %b\n\n" % (kind.encode(), msgspec.json.encode(event))
    finally:
        await events.aclose()  # type: ignore[attr-defined]


async def _closed(receive: Receive) -> None:
    while (await receive())["type"] != "websocket.disconnect":
        pass
