"""Logs on this machine: files, and what is piped in."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import IO

from fairlead.errors import ReadError
from fairlead.ingest import files, taken
from fairlead.ingest.sources.part import Part, held, spool

__all__ = ["LocalFile", "StandardInput", "remove"]


class LocalFile:
    """A regular file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def parts(self) -> Generator[Part, None, None]:
        """Give the file as it is now, without a record at its end that is still being written."""
        try:
            opened = files.open_regular(self._path)
        except OSError as fault:
            raise ReadError(
                f"{self._path}: {fault.strerror}; nothing of this file was loaded, load it again"
            ) from fault
        with opened:
            name = str(self._path)
            found = taken.take(opened, files.kind(name, opened, os.fstat(opened.fileno()).st_size))
            yield Part(name=name, sha256=found.sha256, size=found.bytes, file=opened, path=self._path, taken=found)


class StandardInput:
    """What is piped in, kept in a temporary file so that it can be hashed before it is read."""

    def __init__(self, stream: IO[bytes], name: str) -> None:
        self._stream = stream
        self._name = name

    def parts(self) -> Generator[Part, None, None]:
        """Give all of it once its writer has closed it."""
        if self._stream.isatty():
            raise ReadError("-: standard input is a terminal; pipe a log into it, or name a file")
        with spool() as kept:
            shutil.copyfileobj(self._stream, kept, 1 << 20)
            yield held(kept, self._name)


def remove(part: Part, refused: int) -> None:
    """Remove a local file that was committed; with refused records in it, it is set aside as `NAME.refused` instead.

    A file that was written to or replaced since it was read stays as it is.
    """
    if part.path is None or part.file is None:
        return
    read, now = os.fstat(part.file.fileno()), part.path.lstat()
    if (read.st_dev, read.st_ino, now.st_size) != (now.st_dev, now.st_ino, part.size):
        return
    if refused:
        part.path.rename(part.path.with_name(part.path.name + ".refused"))
    else:
        part.path.unlink()
