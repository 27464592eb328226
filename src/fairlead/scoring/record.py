"""The record of what was published in a folder: one line a snapshot, so that a decision can be traced."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

__all__ = ["RECORD", "PublishedBefore", "note", "record_of"]

RECORD: Final = "published.jsonl"


class PublishedBefore(Struct, frozen=True, kw_only=True):
    """One snapshot that was published, and which registered version of each predictor it holds."""

    version: int
    sha256: str
    created_at: str
    policy: str
    predictors: dict[str, int]


def note(folder: Path, published: PublishedBefore) -> None:
    """Add a snapshot to the record, on the disk before it returns."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / RECORD).open("ab") as out:
        out.write(msgspec.json.encode(published) + b"\n")
        out.flush()
        os.fsync(out.fileno())


def record_of(folder: Path) -> list[PublishedBefore]:
    """Read the record, oldest first; a last line that was cut off is left out."""
    path = folder / RECORD
    found = []
    for line in path.read_bytes().splitlines() if path.is_file() else []:
        try:
            found.append(msgspec.json.decode(line, type=PublishedBefore))
        except msgspec.MsgspecError:
            continue
    return found
