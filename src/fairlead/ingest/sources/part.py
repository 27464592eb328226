"""What every origin of logs ends in: one open file with its hash, the name it goes by, and how far that takes us."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

from msgspec import Struct

from fairlead.ingest import files
from fairlead.ingest.taken import Taken

__all__ = ["Marks", "Part", "Source", "held", "spool", "without_secrets"]

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
    taken: Taken | None = None  # how much of a local file that may still grow is whole


class Source(Protocol):
    """Where logs come from."""

    def parts(self) -> Generator[Part, None, None]:
        """Give its parts one by one; each is committed before the next is asked for."""


def without_secrets(given: str) -> str:
    """Give a path or a URL as it may be shown: a URL without its user, its password and its query.

    >>> without_secrets("postgresql://me:secret@db.example/litellm?password=secret")
    'postgresql://db.example/litellm'
    """
    scheme, mark, rest = given.partition("://")
    if not mark:
        return given
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2].partition('?')[0]}{slash}{path.partition('?')[0]}"


def held(opened: IO[bytes], name: str, **more: Any) -> Part:
    """Make the part of an open file, hashed as it is now."""
    size = opened.seek(0, os.SEEK_END)
    sha256 = files.digest(opened, size)
    opened.seek(0)
    return Part(name=name, sha256=sha256, size=size, file=opened, **more)


@contextmanager
def spool() -> Iterator[IO[bytes]]:
    """Give a temporary file without a name: only this process can read it, and it is gone however the process ends.

    It lies in the folder that TMPDIR names, so point that at a disk with room.
    """
    with tempfile.TemporaryFile(prefix="fairlead-") as opened:
        yield opened
