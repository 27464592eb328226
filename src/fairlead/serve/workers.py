"""Several workers on one port or unix socket: started, started again when they die, and ended together."""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, Final

import msgspec

from fairlead.errors import UsageError
from fairlead.serve.server import bound
from fairlead.serve.settings import Settings

__all__ = ["serve", "unix"]

_PAUSE_S: Final = (0.0, 0.5, 1.0, 2.0, 5.0)  # before a worker that keeps dying is started again
_START_S: Final = 120.0  # that a worker may take until it is ready
_SOUND_S: Final = 30.0  # of a worker that lived, after which its deaths are forgotten
_FAILED: Final = 3  # deaths before any worker was ready: it cannot be started at all


def serve(settings: Settings, started: Callable[[str], None] | None = None) -> int:
    """Serve until SIGTERM or SIGINT, with as many workers as asked for; `started` is called with the address.

    Gives the exit code. TCP ports are bound by each worker (SO_REUSEPORT), a unix socket is handed down.
    """
    if settings.uds is not None:
        sock, shared = unix(Path(settings.uds)), True
        where = f"unix:{settings.uds}"
    else:
        sock, shared = bound(settings.host, settings.port, shared=settings.workers > 1), False
        port = sock.getsockname()[1]
        settings = msgspec.structs.replace(settings, port=port)
        where = f"http://{f'[{settings.host}]' if ':' in settings.host else settings.host}:{port}"

    def ready() -> None:
        if started is not None:
            started(where)

    try:
        if settings.workers == 1:
            from fairlead.serve import worker

            worker.run(settings, sock, ready=ready)
            return 0
        # The bound socket keeps the port; it does not listen, so no connection goes to it.
        return _Crew(settings, sock.fileno() if shared else -1, ready).run()
    finally:
        sock.close()
        if settings.uds is not None:
            Path(settings.uds).unlink(missing_ok=True)


def unix(path: Path) -> socket.socket:
    """Bind a unix socket that its owner and group can reach; one that nobody listens on any more is replaced."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.is_socket():
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
                try:
                    probe.connect(str(path))
                except OSError:
                    path.unlink()
                else:
                    raise UsageError(f"{path}: somebody serves there already; choose another --uds")
        before = os.umask(0o117)
        try:
            made.bind(str(path))
        finally:
            os.umask(before)
        made.listen(4096)
    except OSError as fault:
        made.close()
        raise UsageError(f"{path}: cannot be bound ({fault.strerror or fault}); choose another --uds") from fault
    except UsageError:
        made.close()
        raise
    return made


class _Crew:
    """The worker processes."""

    def __init__(self, settings: Settings, number: int, ready: Callable[[], None]) -> None:
        self._settings, self._number, self._ready = settings, number, ready
        memory = Path("/dev/shm")  # noqa: S108  a folder of our own is made in it
        self._folder = Path(tempfile.mkdtemp(prefix="fairlead-", dir=memory if memory.is_dir() else None))
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._deaths: dict[int, list[float]] = {slot: [] for slot in range(settings.workers)}
        self._ending = False

    def run(self) -> int:
        before = {one: signal.signal(one, self._end) for one in (signal.SIGINT, signal.SIGTERM)}
        try:
            for slot in self._deaths:
                self._start(slot)
            self._ready()
            while not self._ending:
                time.sleep(0.05)
                self._look()
            return 0
        finally:
            self._stop()
            for one, handler in before.items():
                signal.signal(one, handler)
            shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self, slot: int) -> None:
        passed = (self._number,) if self._number >= 0 else ()
        process = subprocess.Popen(  # noqa: S603  our own module
            [sys.executable, "-m", "fairlead.serve.worker", str(slot), str(self._folder), str(self._number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=passed,
            start_new_session=True,  # Ctrl-C is ours to pass on
        )
        self._running[slot] = process
        assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018
        try:
            process.stdin.write(msgspec.json.encode(self._settings) + b"\n")
            process.stdin.flush()  # and stays open: a worker ends when it closes
            is_ready = bool(select.select([process.stdout], [], [], _START_S)[0]) and process.stdout.readline() != b""
        except BrokenPipeError:
            is_ready = False
        if not is_ready and not self._ending:
            process.kill()
            self._deaths[slot].append(time.monotonic())
            if len(self._deaths[slot]) >= _FAILED:
                raise UsageError(f"worker {slot} ended {_FAILED} times before it was ready; see what it said above")

    def _look(self) -> None:
        now = time.monotonic()
        for slot, process in list(self._running.items()):
            if process.poll() is None:
                continue
            _closed(process)
            del self._running[slot]
            self._deaths[slot] = [at for at in self._deaths[slot] if now - at < _SOUND_S] + [now]
        for slot, deaths in self._deaths.items():
            pause = _PAUSE_S[min(len(deaths), len(_PAUSE_S)) - 1] if deaths else 0.0
            if slot not in self._running and (not deaths or now - deaths[-1] >= pause) and not self._ending:
                self._start(slot)

    def _end(self, _: int, __: FrameType | None) -> None:
        self._ending = True

    def _stop(self) -> None:
        for process in self._running.values():
            process.terminate()
        until = time.monotonic() + self._settings.limits.drain_s + 5
        for process in self._running.values():
            try:
                process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            _closed(process)


def _closed(process: subprocess.Popen[Any]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
