"""What every origin of logs ends in: one open file with its hash, the name it goes by, and how far that takes us."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

from msgspec import Struct

from fairlead.ingest import files

__all__ = ["Marks", "Part", "Source", "held", "spool"]

# Gives what was remembered under names that begin so.
Marks = Callable[[str], Mapping[str, str]]


class Part(Struct, frozen=True, kw_only=True):
    """One commit's worth of bytes."""

    name: str  # in errors, the manifest and the quarantine table; never holds a secret
    sha256: str
    size: int
    file: IO[bytes] | None  # None when an unchanged origin was not read again: its hash is in the lake
    marks: Mapping[str, str] = {}  # what to remember with the commit
    path: Path | None = None  # of a local file


class Source(Protocol):
    """Where logs come from."""

    def parts(self) -> Generator[Part, None, None]:
        """Give its parts one by one; each is committed before the next is asked for."""


def held(opened: IO[bytes], name: str, **more: Any) -> Part:
    """Make the part of an open file, hashed as it is now."""
    opened.seek(0)
    sha256, size = files.digest(opened)
    return Part(name=name, sha256=sha256, size=size, file=opened, **more)


@contextmanager
def spool() -> Iterator[IO[bytes]]:
    """Give a temporary file without a name: only this process can read it, and it is gone however the process ends.

    It lies in the folder that TMPDIR names, so point that at a disk with room.
    """
    with tempfile.TemporaryFile(prefix="fairlead-") as opened:
        yield opened
