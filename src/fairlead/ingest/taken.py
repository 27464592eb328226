"""A file as a load takes it: how much of it is whole, its digest, and whether it stayed so while it was read."""

from __future__ import annotations

import os
from typing import IO, Final, NamedTuple

from fairlead.errors import ReadError
from fairlead.ingest import files, parquet
from fairlead.ingest.unfinished import unfinished
from fairlead.store import SourceFile

__all__ = ["Taken", "check", "is_other", "take"]

_GROWING: Final = (".jsonl", ".json", ".csv")


class Taken(NamedTuple):
    """The part of a file that is taken: its first `bytes`."""

    sha256: str
    bytes: int
    deferred: int  # records at its end that are not whole yet
    stamp: tuple[int, int]  # size and time of change when it was looked at


def take(opened: IO[bytes], kind: str) -> Taken:
    """Look at an open file and go back to its beginning. A record that is still being written is left for later.

    What is compressed is whole or damaged, it does not grow: nothing of it is left.
    """
    state = os.fstat(opened.fileno())
    grows = kind in _GROWING and not files.is_compressed(opened) and not parquet.is_parquet(opened)
    left = unfinished(opened, kind) if grows else 0
    size = opened.seek(0, os.SEEK_END) - left
    found = Taken(files.digest(opened, size), size, int(left > 0), (state.st_size, state.st_mtime_ns))
    opened.seek(0)
    return found


def check(opened: IO[bytes], taken: Taken) -> None:
    """Raise ReadError when what was read is no longer what was taken; a file that has only grown is."""
    state = os.fstat(opened.fileno())
    if (state.st_size, state.st_mtime_ns) == taken.stamp:
        return
    if files.digest(opened, taken.bytes) != taken.sha256:
        raise ReadError("it was changed while it was read; nothing of it was loaded, load it again")


def is_other(opened: IO[bytes], taken: Taken, before: SourceFile | None) -> bool:
    """Say whether a file is not what was loaded under its name before, nor that and more."""
    if before is None or before.sha256 == taken.sha256:
        return False
    other = taken.bytes < before.bytes or files.digest(opened, before.bytes) != before.sha256
    opened.seek(0)
    return other
