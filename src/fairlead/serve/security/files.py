"""Files that only their owner may read: read with that checked, written whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from fairlead.errors import SecurityError
from fairlead.scoring import whole

__all__ = ["fault_of_mode", "identity", "locked", "read", "write"]

_MOST_BYTES: Final = 16 << 20


def fault_of_mode(found: os.stat_result, *, secret: bool = True) -> str | None:
    """Say what is wrong with who may read or write a file; None where nothing is.

    A secret may be read by its owner only; anything else may be read by all, and written by its owner only.
    """
    mode = stat.S_IMODE(found.st_mode)
    if mode & 0o022:
        return f"others may write it (mode {mode:04o})"
    if secret and mode & 0o077:
        return f"others may read it (mode {mode:04o})"
    if found.st_uid not in {os.geteuid(), 0}:
        return f"it belongs to somebody else (uid {found.st_uid})"
    return None


def read(path: Path, *, secret: bool = True) -> bytes:
    """Read a file whole; SecurityError where others may read or write it, or it cannot be read.

    What is checked is the file that was opened, so that nobody changes it in between.
    """
    try:
        with open(path, "rb", opener=_open) as opened:
            found = os.fstat(opened.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise SecurityError(f"{path}: not a regular file; put the file itself there")
            fault = fault_of_mode(found, secret=secret)
            if fault is not None:
                raise SecurityError(f"{path}: {fault}; chmod {'600' if secret else '644'} it, and see who owns it")
            data = opened.read(_MOST_BYTES + 1)
    except OSError as why:
        raise SecurityError(f"{path}: cannot be read ({why.strerror}); is it there, and whose is it?") from why
    if len(data) > _MOST_BYTES:
        raise SecurityError(f"{path}: larger than {_MOST_BYTES >> 20} MiB; this is not what belongs there")
    return data


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)  # a FIFO that nobody writes must not hang us


def write(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Put a file in place whole: written beside, on the disk, then renamed over the old one."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        whole.write(path, data, mode)
    except OSError as why:
        raise SecurityError(
            f"{path}: cannot be written ({why.strerror}); see to the space and the rights there"
        ) from why


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold `path` + `.lock` for oneself among all processes of this machine; the system frees it when one dies."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as why:
        raise SecurityError(f"{path}.lock: cannot be opened ({why.strerror}); see to the rights there") from why
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def identity(path: Path) -> tuple[int, ...] | None:
    """Give what changes when a file is replaced or written; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
