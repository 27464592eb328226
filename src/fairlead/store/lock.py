"""One writer at a time: an advisory lock that the kernel drops when its holder dies, however it dies."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from fairlead.errors import StoreError

__all__ = ["exclusive"]

_LOG: Final = logging.getLogger("fairlead.store")
_POLL_S: Final = 0.05
_TELL_S: Final = 1.0  # what takes less is not worth a word


@contextmanager
def exclusive(path: Path, timeout_s: float) -> Iterator[None]:
    """Hold the lock file `path`; StoreError naming the holder's process when it is not free within `timeout_s`."""
    descriptor = _opened(path)
    try:
        _acquire(descriptor, path, timeout_s)
        # Who holds it is only told; the lock is held on a full disk too.
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)  # which releases it


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as fault:
        raise StoreError(
            f"{path}: the lock cannot be opened ({fault.strerror}); see to the space and the rights there"
        ) from fault


def _acquire(descriptor: int, path: Path, timeout_s: float) -> None:
    began = time.monotonic()
    deadline, tell_at = began + timeout_s, began + _TELL_S
    told = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            if time.monotonic() >= deadline:
                raise StoreError(
                    f"{path}: process {holder} has been writing to this lake for {timeout_s:g} s; "
                    "wait for it to finish, or stop it, and run this again"
                ) from None
            if not told and time.monotonic() >= tell_at:
                _LOG.warning("waiting for process %s, which is writing to %s", holder, path.parent)
                told = True
            time.sleep(_POLL_S)
        else:
            return
