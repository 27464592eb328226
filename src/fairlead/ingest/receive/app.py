"""OTLP over HTTP: POST /v1/traces, answered only once what was sent is durable."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from fairlead.errors import ReadError
from fairlead.ingest.receive import otlp
from fairlead.ingest.receive.limits import Limits
from fairlead.ingest.receive.writer import Writer
from fairlead.serve.spool import Spool

__all__ = ["Receiver"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_PATH: Final = "/v1/traces"
_FULL_S: Final = b"30"  # when to try again once the spool is full: an ingest has to run first
_BUSY_S: Final = b"1"


class _RefusedError(Exception):
    def __init__(self, status: int, message: str, *headers: tuple[bytes, bytes]) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers


class Receiver:
    """The ASGI application."""

    def __init__(self, folder: Path, limits: Limits, token: str | None = None) -> None:
        self._limits = limits
        self._token = token
        self._spool = Spool(folder, limits)
        self._writer: Writer | None = None
        self._taken = 0  # bytes of requests under way

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's request, or the start and end of the service."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        self._writer = Writer(self._spool)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._writer.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        content_type = headers.get(b"content-type", "").partition(";")[0].strip().lower()
        try:
            self._admit(scope, headers, content_type)
            body = await self._body(headers, receive)
            if body is None:  # the sender has gone, and sends it again
                return
            try:
                rejected = await self._keep(body, headers, content_type)
            finally:
                self._taken -= len(body)
        except _RefusedError as fault:
            answer = otlp.refused(str(fault), content_type)
            await _answer(send, fault.status, answer, content_type, *fault.headers)
        else:
            await _answer(send, 200, otlp.accepted(rejected, content_type), content_type)

    def _admit(self, scope: Scope, headers: dict[bytes, str], content_type: str) -> None:
        if scope["path"] != _PATH:
            raise _RefusedError(404, f"only {_PATH} is taken here")
        if scope["method"] != "POST":
            raise _RefusedError(405, "only POST is taken here", (b"allow", b"POST"))
        if self._token is not None:
            given = headers.get(b"authorization", "").encode("utf-8", "replace")
            if not hmac.compare_digest(given, f"Bearer {self._token}".encode()):
                raise _RefusedError(401, "send Authorization: Bearer TOKEN", (b"www-authenticate", b"Bearer"))
        if content_type not in (otlp.JSON, otlp.PROTOBUF):
            raise _RefusedError(415, f"Content-Type has to be {otlp.JSON} or {otlp.PROTOBUF}")
        if headers.get(b"content-encoding", "identity").lower() not in ("identity", "gzip"):
            raise _RefusedError(415, "Content-Encoding has to be gzip or none")
        if self._spool.full():
            raise _RefusedError(503, "the spool is full; ingest it", (b"retry-after", _FULL_S))

    async def _body(self, headers: dict[bytes, str], receive: Receive) -> bytes | None:
        """Read a body and count it as taken; None when its sender went away."""
        length = headers.get(b"content-length", "0")
        body, more = bytearray(), True
        try:
            self._check(int(length[:20]) if length.isdecimal() else 0)
            async with asyncio.timeout(self._limits.body_s):
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        self._taken -= len(body)
                        return None
                    body += message.get("body", b"")
                    self._taken += len(message.get("body", b""))
                    more = message.get("more_body", False)
                    self._check(len(body))
        except (TimeoutError, _RefusedError) as fault:
            self._taken -= len(body)
            if isinstance(fault, _RefusedError):
                await self._drain(receive, more)
                raise
            raise _RefusedError(408, f"the body was not there after {self._limits.body_s:g} s") from None
        return bytes(body)

    async def _drain(self, receive: Receive, more: bool) -> None:
        """Let a sender finish, within bounds: one that is cut off while it writes never sees why."""
        left = 4 * self._limits.body_bytes
        with suppress(TimeoutError):
            async with asyncio.timeout(self._limits.body_s):
                while more and left > 0:
                    message = await receive()
                    left -= len(message.get("body", b""))
                    more = message["type"] == "http.request" and message.get("more_body", False)

    def _check(self, size: int) -> None:
        if size > self._limits.body_bytes:
            raise _RefusedError(413, f"the body is larger than {self._limits.body_bytes} bytes; send smaller batches")
        if self._taken > self._limits.waiting_bytes:
            raise _RefusedError(429, "too much at once", (b"retry-after", _BUSY_S))

    async def _keep(self, body: bytes, headers: dict[bytes, str], content_type: str) -> int:
        packed = headers.get(b"content-encoding", "").lower() == "gzip"
        try:
            found = await asyncio.to_thread(self._lines, body, packed, content_type)
        except otlp.TooLargeError as fault:
            raise _RefusedError(413, f"{fault}; send smaller batches") from fault
        except ReadError as fault:
            raise _RefusedError(400, str(fault)) from fault
        if self._writer is None:
            raise _RefusedError(503, "not started yet", (b"retry-after", _BUSY_S))
        if found.documents:
            try:
                await self._writer.keep(found.documents)
            except OSError as fault:
                raise _RefusedError(503, "the spool cannot be written to", (b"retry-after", _FULL_S)) from fault
        return found.rejected

    def _lines(self, body: bytes, packed: bool, content_type: str) -> otlp.Lines:
        data = otlp.inflate(body, self._limits.body_bytes) if packed else body
        return otlp.lines(data, content_type)


async def _answer(send: Send, status: int, body: bytes, content_type: str, *headers: tuple[bytes, bytes]) -> None:
    kind = otlp.PROTOBUF if content_type == otlp.PROTOBUF else otlp.JSON
    told = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode()), *headers]
    if status in (408, 413):
        told.append((b"connection", b"close"))  # the rest of the body is not read
    await send({"type": "http.response.start", "status": status, "headers": told})
    await send({"type": "http.response.body", "body": body})
