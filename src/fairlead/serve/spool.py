"""Documents kept on disk until they are ingested: durable before they count, in files that are whole when seen.

A file being written begins with a dot and is locked by its writer, so that nobody takes it for a log. It gets its
name, `PREFIX-....jsonl`, when it is large or old enough. What a writer that died left behind is finished by the next.
Only their owner can read the files: they may hold what people asked and were answered.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final

from msgspec import Struct

from fairlead.errors import StoreError

__all__ = ["Sizes", "Spool"]

_OPEN: Final = ".part"
_READY: Final = ".jsonl"
_LOOK_EVERY_S: Final = 1.0


class Sizes(Struct, frozen=True, kw_only=True):
    """How much is kept, and when a file is finished."""

    file_bytes: int = 64 << 20
    file_age_s: float = 60.0
    total_bytes: int = 2 << 30


class Spool:
    """A folder of finished files and, while something comes in, one that is not."""

    def __init__(self, folder: Path, limits: Sizes, prefix: str = "otlp") -> None:
        self.folder = folder
        self._limits, self._prefix = limits, prefix
        self._file: IO[bytes] | None = None
        self._path = folder
        self._durable = 0  # bytes of the file that were made durable
        self._began = 0.0
        self._number = 0
        self._held = 0
        self._looked = -_LOOK_EVERY_S
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._finish_what_was_left()
        except OSError as fault:
            raise StoreError(f"{folder}: cannot be used ({fault.strerror}); see to its rights and space") from fault

    def full(self) -> bool:
        """Say whether no more is to be taken until something was ingested."""
        now = time.monotonic()
        if now - self._looked >= _LOOK_EVERY_S:
            self._held, self._looked = sum(map(_size, self.folder.iterdir())), now
        return self._held >= self._limits.total_bytes

    def write(self, documents: Iterable[bytes]) -> None:
        """Make documents durable, all or none of them; OSError when that cannot be had."""
        file = self._file or self._start()
        try:
            for document in documents:
                _write(file.fileno(), document)
            os.fsync(file.fileno())
        except OSError:
            self._abandon(file)
            raise
        written = os.fstat(file.fileno()).st_size - self._durable
        self._durable += written
        self._held += written
        if self._durable >= self._limits.file_bytes:
            self.finish()

    def due(self) -> float | None:
        """Give the seconds until the file has to be finished; None when there is none."""
        return None if self._file is None else max(self._began + self._limits.file_age_s - time.monotonic(), 0.0)

    def finish(self) -> None:
        """Give the file its name, so that it can be ingested."""
        if self._file is None:
            return
        file, self._file = self._file, None
        with file:
            _publish(self._path)

    def _start(self) -> IO[bytes]:
        while True:
            self._number += 1
            stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}"
            path = self.folder / f".{self._prefix}-{stamp}-{os.getpid()}-{self._number}{_OPEN}"
            file = os.fdopen(
                os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600), "w+b", buffering=0
            )
            if _locked(file):
                break
            file.close()  # somebody who was cleaning up was quicker, and removes it
        _sync(self.folder)
        self._file, self._path, self._durable, self._began = file, path, 0, time.monotonic()
        return file

    def _abandon(self, file: IO[bytes]) -> None:
        """Go back to what was durable: what follows was not acknowledged, and its sender sends it again."""
        self._file = None
        try:
            os.ftruncate(file.fileno(), self._durable)
            if self._durable:
                _publish(self._path)
            else:
                self._path.unlink()
        except OSError:
            return  # the next start finishes it
        finally:
            file.close()

    def _finish_what_was_left(self) -> None:
        for path in sorted(self.folder.glob(f".{self._prefix}-*{_OPEN}")):
            with path.open("r+b") as file:
                if not _locked(file) or not os.fstat(file.fileno()).st_nlink:
                    continue  # another receiver is writing it, or was quicker here
                end = _last_line(file)
                if end == 0:
                    path.unlink()
                    continue
                os.ftruncate(file.fileno(), end)
                os.fsync(file.fileno())
                _publish(path)


def _publish(path: Path) -> None:
    path.rename(path.with_name(path.name.removeprefix(".").removesuffix(_OPEN) + _READY))
    _sync(path.parent)


def _last_line(file: IO[bytes]) -> int:
    """Give the length up to the last line break; what follows was never whole, so it was never acknowledged."""
    position = file.seek(0, os.SEEK_END)
    while position:
        begin = max(position - (1 << 16), 0)
        file.seek(begin)
        found = file.read(position - begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        position = begin
    return 0


def _locked(file: IO[bytes]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write(descriptor: int, document: bytes) -> None:
    left = memoryview(document)
    while left:
        left = left[os.write(descriptor, left) :]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # ingested meanwhile
        return 0


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
