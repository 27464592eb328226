"""The ASGI application: finds the path, asks the guard, reads the body, and never lets a fault out."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, Final

from msgspec import json

from fairlead.serve import http
from fairlead.serve.bodies import Answer, Ask
from fairlead.serve.gather import Gather
from fairlead.serve.guard import OPEN, Guard, Headers, Principal
from fairlead.serve.handlers import Handlers
from fairlead.serve.http import Call, Receive, Reply, Scope, Send
from fairlead.serve.recorder import Recorder
from fairlead.serve.refusals import RefusedError, decoded
from fairlead.serve.routes import ROUTES, Route
from fairlead.serve.service import Service
from fairlead.serve.settings import Limits
from fairlead.serve.stream import Hub

__all__ = ["App"]

_LOG: Final = logging.getLogger("fairlead.serve")
_PATHS: Final = {route.path: route for route in ROUTES}
_DECIDE: Final = _PATHS["/v1/decide"]
Done = Callable[[int, bytes, Iterable[tuple[bytes, bytes]]], None]  # given status, body and headers of its own


class App:
    """Everything behind one socket. `start` and `stop` are called by the server, in its event loop."""

    def __init__(
        self,
        service: Service,
        *,
        limits: Limits | None = None,
        guard: Guard = OPEN,
        recorder: Recorder | None = None,
        upstreams: str | None = None,
        others: Callable[[], Any] | None = None,
        published: Path | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self.service, self.guard, self.recorder = service, guard, recorder
        self.gather = Gather(service.decide, self.limits)
        self.hub = Hub(service, self.limits.watchers)
        self.draining, self.published = False, published
        self._handlers = Handlers(self, upstreams, others)
        self.asks_one, self._encoder = json.Decoder(Ask), json.Encoder()
        self.guard.watch(partial(service.metrics.add, "fairlead_guard_events_total"))
        service.listeners.append(self.hub)
        if recorder is not None:
            service.listeners.append(recorder)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, one WebSocket, or the start and end of the server."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        elif scope["type"] == "http":
            reply = await self._answer(scope, receive)
            if reply is not None:
                close = self.draining or reply.status in (408, 413)
                await http.send(reply, receive, send, head=scope["method"] == "HEAD", close=close)

    def quick(self, headers: Headers, body: bytes, peer: str | None, done: Done) -> None:
        """Decide a whole request of /v1/decide without a task of its own."""

        def answered(answer: Answer | RefusedError) -> None:
            if isinstance(answer, RefusedError):
                done(*self._refused(answer, _DECIDE), answer.headers())
            else:
                self._count(_DECIDE.path, 200)
                done(200, self._encoder.encode(answer), ())

        try:
            if not self.gather.has_room:  # first, since it has to cost as little as can be
                raise RefusedError("overloaded")
            principal = self._admitted("POST", _DECIDE.path, headers, peer)
            _check_type(headers)
            if len(body) > self.limits.body_bytes:
                raise RefusedError("too_large")
            ask = decoded(self.asks_one, body)
            principal.check(ask.route, ask.team)
            self.gather.put(ask, answered)
        except RefusedError as refused:
            self.gather.refuse(refused, answered)
        except Exception as fault:
            _LOG.error("deciding failed outside the router: %s", type(fault).__name__)
            self.gather.refuse(RefusedError("overloaded"), answered)

    def drain(self) -> None:
        """Say that no more traffic is wanted, and end the streams."""
        self.draining = True
        self.hub.end()

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await self._handlers.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self.drain()
        await self._handlers.stop()
        if self.recorder is not None:
            self.recorder.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, scope: Scope, receive: Receive) -> Reply | None:
        path = scope["path"]
        route = _PATHS.get(path)
        try:
            call = await self._call(route, scope, receive)
            if call is None or route is None:
                return None
            handler: Callable[[Call], Awaitable[Reply]] = getattr(self._handlers, route.name)
            reply = await handler(call)
            self._count(route.path, reply.status)
        except RefusedError as refused:
            status, body = self._refused(refused, route)
            allow = [(b"allow", route.method.encode())] if route is not None and status == 405 else []
            return Reply(status=status, body=body, headers=(*refused.headers(), *allow))
        except Exception as fault:  # its text may hold what a caller sent
            _LOG.error("%s failed: %s", path if route else "a call", type(fault).__name__)
            status, body = self._refused(RefusedError("overloaded"), route)
            return Reply(status=status, body=body)
        return reply

    async def _call(self, route: Route | None, scope: Scope, receive: Receive) -> Call | None:
        """Check a call and read its body; None when its sender has gone."""
        headers: Headers = scope["headers"]
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        principal = self._admitted(method, scope["path"], headers, _peer(scope))
        if route is None:
            raise RefusedError("no_such_path")
        if method != route.method:
            raise RefusedError("wrong_method")
        if route.method == "GET":
            return Call(principal=principal, headers=headers)
        _check_type(headers)
        most = self.limits.forward_bytes if route.name in ("chat", "plano", "decide_batch") else self.limits.body_bytes
        body = await http.read(headers, receive, most, self.limits.body_s)
        return None if body is None else Call(principal=principal, headers=headers, body=body)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        try:
            self._admitted("GET", scope["path"], scope["headers"], _peer(scope))
            if scope["path"] != "/v1/stream":
                raise RefusedError("no_such_path")
        except RefusedError as refused:
            self._refused(refused, None)
            await send({"type": "websocket.close", "code": 1008})
            return
        await send({"type": "websocket.accept"})
        await self.hub.websocket(receive, send)

    def _admitted(self, method: str, path: str, headers: Headers, peer: str | None) -> Principal:
        found = self.guard.check(method, path, headers, peer)
        if isinstance(found, RefusedError):
            raise found
        return found

    def _refused(self, refused: RefusedError, route: Route | None) -> tuple[int, bytes]:
        self.service.metrics.add("fairlead_refused_total", refused.code)
        self._count(route.path if route else "other", refused.status)
        return refused.status, refused.body()

    def _count(self, path: str, status: int) -> None:
        self.service.metrics.add("fairlead_http_requests_total", path, str(status))


def _peer(scope: Scope) -> str | None:
    client = scope.get("client")
    return client[0] if client else None


def _check_type(headers: Headers) -> None:
    """JSON it has to be: a form's type is what a browser sends across sites without asking."""
    for name, value in headers:
        if name == b"content-type":
            if value != http.JSON and value.partition(b";")[0].strip().lower() != http.JSON:
                break
            return
    raise RefusedError("wrong_content_type")
