"""The short way of /v1/decide through uvicorn: no task, no scope, no coroutine for the call that is made most.

uvicorn's own way costs three times what a decision's HTTP has to. This is its httptools protocol, which does for all
other paths what it always did; a call that is whole, plain and alone on its connection is taken out when its headers
are there, decided with those that came with it, and answered by one write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from fairlead.serve.headers import HEADERS
from fairlead.serve.refusals import RefusedError, document

if TYPE_CHECKING:
    from fairlead.serve.app import App

__all__ = ["Lane", "TooManyError"]

_HEADERS: Final = 100
_HEADER_BYTES: Final = 32 << 10
_HEAD_BYTES: Final = 512 << 10  # that may come before headers end; one read of a socket is up to half of it
_PATH: Final = b"/v1/decide"
_SAFE: Final = b"".join(b"%b: %b\r\n" % header for header in HEADERS)
_HEADS: Final = {
    status: b"HTTP/1.1 %d %b\r\ncontent-type: application/json\r\n%bcontent-length: "
    % (status, HTTPStatus(status).phrase.encode(), _SAFE)
    for status in (200, 400, 401, 403, 413, 415, 429, 503)
}


class TooManyError(Exception):
    """More headers, or longer ones, than anybody needs."""


class _Ignored:
    """In the place of an event that nobody waits for."""

    def set(self) -> None:
        pass


class _Cycle:
    """What uvicorn's protocol looks at of a call that is under way."""

    message_event = _Ignored()

    def __init__(self, keep_alive: bool) -> None:
        self.body = bytearray()
        self.keep_alive = keep_alive
        self.disconnected = self.response_complete = False
        self.more_body = True


class Lane(HttpToolsProtocol):
    """uvicorn's protocol with the short way, a limit on headers, and a moment by which a call has to be there."""

    began: float | None = None  # when the call that is not whole yet began
    idle: float | None = None  # since when nothing is under way
    _in_head = False  # between the first byte of a call and the end of its headers
    _came = 0  # bytes in that time

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a call."""
        super().connection_made(transport)
        self._app: App = _app(self.app)
        self.idle = self.loop.time()
        self._is_too_many = len(self.connections) > self._app.limits.connections

    def data_received(self, data: bytes) -> None:
        """Take what came; what does not come to the end of its headers is not taken for ever."""
        self.idle = None
        super().data_received(data)
        if self._in_head:
            self._came += len(data)
            if self._came > _HEAD_BYTES and not self.transport.is_closing():
                self.send_400_response("Invalid HTTP request received.")

    def on_message_begin(self) -> None:
        """Take note that a call begins."""
        self.url, self.headers, self.expect_100_continue, self._size = b"", [], False, 0
        self._in_head, self._came = True, 0
        if self.began is None:
            self.began = self.loop.time()

    def on_url(self, url: bytes) -> None:
        """Take a part of the address."""
        if len(self.url) + len(url) > _HEADER_BYTES:
            raise TooManyError
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; too many of them end the connection with 400."""
        self._size += len(name) + len(value)
        if len(self.headers) >= _HEADERS or self._size > _HEADER_BYTES:
            raise TooManyError
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Take the short way where it can be taken."""
        parser, before = self.parser, self.cycle
        self._in_head = False
        if self._is_too_many:
            self.cycle = _Cycle(keep_alive=False)  # type: ignore[assignment]
            self._write(self.cycle, 503, document("overloaded"), RefusedError("overloaded").headers())  # type: ignore[arg-type]
            return
        if (
            self.url != _PATH
            or (before is not None and not before.response_complete)
            or self.expect_100_continue
            or parser.get_method() != b"POST"
            or parser.get_http_version() != "1.1"
            or parser.should_upgrade()
        ):
            told = self.url, self.headers, self.expect_100_continue
            super().on_message_begin()
            self.url, self.headers, self.expect_100_continue = told
            self.scope["headers"] = self.headers
            super().on_headers_complete()
            return
        self.cycle = _Cycle(parser.should_keep_alive() and not self._app.draining)  # type: ignore[assignment]

    def on_body(self, body: bytes) -> None:
        """Collect a body; what is too large is read and thrown away, so that its sender sees why."""
        cycle: Any = self.cycle
        if type(cycle) is not _Cycle:
            super().on_body(body)
            return
        if len(cycle.body) <= self._app.limits.body_bytes:
            cycle.body += body

    def on_message_complete(self) -> None:
        """Decide."""
        self.began = None
        cycle: Any = self.cycle
        if type(cycle) is not _Cycle:
            super().on_message_complete()
            return
        if cycle.response_complete:
            return
        cycle.more_body = False

        def done(status: int, body: bytes, more: Iterable[tuple[bytes, bytes]]) -> None:
            self._write(cycle, status, body, more)

        self._app.quick(self.headers, bytes(cycle.body), self.client[0] if self.client else None, done)

    def on_response_complete(self) -> None:
        """Go on with what was sent ahead, or be idle."""
        if self.pipeline or self.transport.is_closing():
            super().on_response_complete()
            return
        # uvicorn sets a timer for each call here; `late` looks at a moment instead.
        self.server_state.total_requests += 1
        self.flow.resume_reading()
        self.idle = self.loop.time()

    def late(self, now: float, within_s: float, idle_s: float) -> None:
        """End the connection where a call has begun and is not there in time, or none has come for long."""
        if self.transport.is_closing():
            return
        if self.idle is not None and now - self.idle >= idle_s:
            self.transport.close()
        if self.began is None or now - self.began < within_s:
            return
        body = document("too_slow")
        head = (
            b"HTTP/1.1 408 Request Timeout\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: "
        )
        self.transport.write(b"%b%d\r\n\r\n%b" % (head, len(body), body))
        self.transport.close()

    def _write(self, cycle: _Cycle, status: int, body: bytes, more: Iterable[tuple[bytes, bytes]]) -> None:
        if cycle.disconnected or self.transport.is_closing():
            return
        end = b"" if cycle.keep_alive else b"\r\nconnection: close"
        for header in more:
            end += b"\r\n%b: %b" % header
        self.transport.write(b"%b%d%b\r\n\r\n%b" % (_HEADS[status], len(body), end, body))
        cycle.response_complete = True
        if not cycle.keep_alive:
            self.transport.close()
        self.on_response_complete()


def _app(loaded: Any) -> App:
    """Find the application under what uvicorn wraps around it."""
    while hasattr(loaded, "app"):
        loaded = loaded.app
    return loaded  # type: ignore[no-any-return]
