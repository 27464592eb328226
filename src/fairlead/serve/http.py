"""What handlers are given and give, and how a body is read and an answer sent over ASGI."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any, Final

from msgspec import Struct

from fairlead.serve.guard import Headers, Principal
from fairlead.serve.headers import HEADERS
from fairlead.serve.refusals import RefusedError

__all__ = ["JSON", "Call", "Receive", "Reply", "Scope", "Send", "read", "send"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

JSON: Final = b"application/json"


class Call(Struct, frozen=True, kw_only=True):
    """One call: who asks, and the whole body."""

    principal: Principal
    headers: Headers
    body: bytes = b""

    def header(self, name: bytes) -> str | None:
        """Give a header's value, None where it was not sent."""
        return next((value.decode("latin-1") for own, value in self.headers if own == name), None)


class Reply(Struct, frozen=True, kw_only=True):
    """An answer: a body, or a stream of parts."""

    body: bytes | AsyncIterator[bytes] = b""
    status: int = 200
    content_type: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()


async def read(headers: Headers, receive: Receive, most: int, within_s: float) -> bytes | None:
    """Read a body; None when its sender has gone, RefusedError when it is too large or too slow."""
    length = next((value for name, value in headers if name == b"content-length"), b"0")
    announced = int(length) if length.isdigit() and len(length) < 16 else 0
    body, more, taken = bytearray(), True, True
    try:
        async with asyncio.timeout(within_s):
            while more:
                taken = taken and announced <= most and len(body) <= most
                if not taken and max(announced, len(body)) > 8 * most:
                    break  # whoever sends that much need not be heard to the end
                message = await receive()
                if message["type"] == "http.disconnect":
                    return None
                # What is too large is read on, and thrown away: a sender that is cut off never sees why.
                body = body + message.get("body", b"") if taken else bytearray()
                more = message.get("more_body", False)
    except TimeoutError:
        raise RefusedError("too_slow") from None
    if not taken or len(body) > most:
        raise RefusedError("too_large")
    return bytes(body)


async def send(reply: Reply, receive: Receive, out: Send, *, head: bool = False, close: bool = False) -> None:
    """Send an answer; a stream ends when whoever reads it has gone."""
    headers = [(b"content-type", reply.content_type), *HEADERS, *reply.headers]
    if close:
        headers.append((b"connection", b"close"))
    body = reply.body
    if isinstance(body, bytes):
        headers.append((b"content-length", str(len(body)).encode()))
        await out({"type": "http.response.start", "status": reply.status, "headers": headers})
        await out({"type": "http.response.body", "body": b"" if head else body})
        return
    await out({"type": "http.response.start", "status": reply.status, "headers": headers})
    gone = asyncio.ensure_future(_gone(receive))
    try:
        await _stream(body, gone, out)
    finally:
        gone.cancel()
        close_it = getattr(body, "aclose", None)
        if close_it is not None:
            with suppress(RuntimeError):
                await close_it()
    await out({"type": "http.response.body", "body": b""})


async def _stream(body: AsyncIterator[bytes], gone: asyncio.Future[None], out: Send) -> None:
    while True:
        part = asyncio.ensure_future(anext(body, None))
        await asyncio.wait((part, gone), return_when=asyncio.FIRST_COMPLETED)
        if not part.done():
            part.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await part
            return
        found = part.result()
        if found is None:
            return
        await out({"type": "http.response.body", "body": found, "more_body": True})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
