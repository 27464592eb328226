"""What one worker process runs: `python -m fairlead.serve.worker`, started by `workers`, or in the command itself."""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

from fairlead.scoring.budget import Budget
from fairlead.scoring.live.shared import Shared
from fairlead.serve.app import App
from fairlead.serve.exchange import Exchange, connect
from fairlead.serve.guard import OPEN, Guard
from fairlead.serve.recorder import Recorder
from fairlead.serve.server import Server, bound, config
from fairlead.serve.service import Service, open_router
from fairlead.serve.settings import Settings
from fairlead.serve.spool import Sizes
from fairlead.serve.tally import Tally

__all__ = ["main", "run"]


def run(
    settings: Settings,
    sock: socket.socket,
    *,
    folder: Path | None = None,
    slot: int = 0,
    ready: Callable[[], None] | None = None,
) -> None:
    """Serve on a socket until SIGTERM or SIGINT; `folder` is where the workers of this machine meet."""
    # Outcomes are spread over the workers, so each sees its share of what is spent.
    budget = None if settings.budget_usd is None else Budget(settings.budget_usd / settings.workers)
    router = open_router(settings, None if folder is None else Shared(folder / "live"), budget)
    service = Service(router, shadow=settings.shadow)
    guard = OPEN if settings.keys is None else _guard(settings)
    recorder = None
    if settings.spool is not None:
        recorder = Recorder(Path(settings.spool), service.metrics, Sizes(total_bytes=settings.spool_bytes))
    tally = None if folder is None else Tally(folder / "counts", slot, service.metrics)
    exchange = None
    if settings.redis is not None:
        exchange = Exchange(router.live, connect(settings.redis), group=settings.group).start()
    app = App(
        service,
        limits=settings.limits,
        guard=guard,
        recorder=recorder,
        upstreams=settings.upstreams,
        others=None if tally is None else tally.others,
        published=Path(settings.snapshot),
    )
    # What is there now stays: the collector need not look at it again and again while calls are answered.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    try:
        Server(config(app), app, min(1.0, settings.limits.drain_s / 4), ready).run(sockets=[sock])
    finally:
        if exchange is not None:
            exchange.stop()
        if tally is not None:
            tally.close()
        router.live.close()


def _guard(settings: Settings) -> Guard:
    from fairlead.serve.security import Folder  # a server without keys need not load it

    folder = Folder(Path(str(settings.keys)))
    return folder.guard(workers=lambda: settings.workers, redis=settings.redis, fronts=settings.fronts)


def main() -> None:
    """Run as a child of `workers`: settings come on standard input, the socket by its number."""
    settings = msgspec.json.decode(_line(), type=Settings)
    threading.Thread(target=_follow, name="fairlead-parent", daemon=True).start()
    slot, folder, number = int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    sock = socket.socket(fileno=number) if number >= 0 else bound(settings.host, settings.port, shared=True)

    def ready() -> None:
        os.write(1, b"ready\n")

    run(settings, sock, folder=folder, slot=slot, ready=ready)


def _line() -> bytes:
    got = b""
    while not got.endswith(b"\n"):
        part = os.read(0, 1 << 16)
        if not part:
            sys.exit("the settings did not come whole")
        got += part
    return got


def _follow() -> None:
    """End when the parent does, in whatever way: its end of the pipe closes with it."""
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
