"""One worker: uvicorn with what is fastest of what is installed, and an end that loses no call."""

from __future__ import annotations

import asyncio
import importlib.util
import signal
import socket
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

from fairlead.errors import UsageError
from fairlead.serve.app import App

try:
    import uvicorn
except ImportError:
    raise UsageError("serving needs uvicorn: pip install 'fairlead[serve]'") from None

__all__ = ["Server", "bound", "config"]

_SWEEP_S: Final = 1.0
_ACCEPTING: Final = 16


class Server(uvicorn.Server):
    """uvicorn's server that says that it drains before it stops, and ends connections that send nothing."""

    def __init__(
        self, config: uvicorn.Config, app: App, settle_s: float = 0.0, ready: Callable[[], None] | None = None
    ) -> None:
        super().__init__(config)
        self._app, self._settle_s, self._ready = app, settle_s, ready
        self._asked = False
        self._stop_at: float | None = None
        self._swept_at = 0.0

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Drain at the first signal, and end at once at a second Ctrl-C."""
        if self._asked and sig == signal.SIGINT:
            self.should_exit = self.force_exit = True
        self._asked = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, and say so."""
        if sockets is not None:
            # libuv accepts one connection of a socket in each turn of its loop, and a turn under load takes long.
            sockets += [one.dup() for one in list(sockets) for _ in range(_ACCEPTING - 1)]
        await super().startup(sockets)
        if self.started and self._ready is not None:
            self._ready()

    async def on_tick(self, counter: int) -> bool:
        """Look every tenth of a second whether to end, and every second for connections that are too slow."""
        now = asyncio.get_running_loop().time()
        if self._asked and self._stop_at is None:
            self._app.drain()
            self._stop_at = now + self._settle_s
        if self._stop_at is not None and now >= self._stop_at:
            self.should_exit = True
        if now - self._swept_at >= _SWEEP_S:
            self._swept_at = now
            for connection in list(self.server_state.connections):
                late = getattr(connection, "late", None)
                if late is not None:
                    late(now, self._app.limits.body_s, self._app.limits.idle_s)
        return await super().on_tick(counter)


def config(app: App) -> uvicorn.Config:
    """Give uvicorn's settings: uvloop, httptools and websockets where they are installed."""
    limits = app.limits
    http: Any = "h11"
    if importlib.util.find_spec("httptools") is not None:
        from fairlead.serve.lane import Lane

        http = Lane
    return uvicorn.Config(
        app,
        http=http,
        loop="uvloop" if importlib.util.find_spec("uvloop") is not None else "asyncio",
        ws="websockets-sansio" if importlib.util.find_spec("websockets") is not None else "none",
        ws_max_size=1 << 16,
        lifespan="on",
        interface="asgi3",
        proxy_headers=False,  # whose word counts is the guard's to say
        log_level="critical",  # uvicorn's own lines may quote a call; what matters is counted
        access_log=False,
        server_header=False,
        date_header=False,
        backlog=4096,
        limit_concurrency=None if http != "h11" else limits.connections,  # the short way answers as the rest does
        timeout_keep_alive=int(limits.idle_s),
        timeout_graceful_shutdown=int(limits.drain_s),
    )


def bound(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """Bind a TCP socket; `shared` lets other workers bind the same port, among whom the kernel spreads connections."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.bind((host, port))
    except (OSError, OverflowError) as fault:
        made.close()
        why = getattr(fault, "strerror", None) or str(fault)
        raise UsageError(f"{host}:{port} cannot be bound ({why}); choose another --port or --host") from fault
    return made
