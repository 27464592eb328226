"""Writing segments so that a crash at any point leaves either the whole file or nothing that counts."""

from __future__ import annotations

import hashlib
import os
import uuid
from datetime import date
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from fairlead.errors import StoreError
from fairlead.store import layout
from fairlead.store.manifest import Segment

__all__ = ["ORDER", "TEMPORARY", "digest", "folder", "make", "sync", "write"]

TEMPORARY: Final = ".tmp"
ORDER: Final = {  # the column by which the rows of a segment are in order
    "attempts": "start_time",
    "request_features": "start_time",
    "feedback": "time",
    "decisions": "time",
    "usage": "bucket_start",
    "prices": "valid_from",
    "quarantine": "line",
}


def write(lake: Path, table: str, day: date, source: str, rows: pa.Table, updates: int = 0) -> Segment:
    """Write rows, as `layout.physical` gives them and in order, durably under a name made of their content.

    The segment counts only once the manifest lists it.
    """
    target = folder(table, day, source)
    try:
        make(lake / target)
        path, sha256, size = _write(lake, target, rows, layout.encodings(table))
    except OSError as fault:
        raise StoreError(
            f"{lake}: a segment cannot be written ({fault}); see to the space and the rights there, then load again"
        ) from fault
    return Segment(
        path=path.as_posix(),
        table=table,
        event_date=day,
        sha256=sha256,
        rows=rows.num_rows,
        bytes=size,
        updates=updates,
    )


def _write(lake: Path, target: Path, rows: pa.Table, encodings: dict[str, Any]) -> tuple[Path, str, int]:
    temporary = lake / target / f"{uuid.uuid4().hex}{TEMPORARY}"
    try:
        pq.write_table(
            rows,
            temporary,
            compression="zstd",
            compression_level=1,  # ids are most of it, and a higher one finds repeats in them that do not pay
            row_group_size=131_072,
            write_page_checksum=True,
            **encodings,
        )
        with temporary.open("rb+") as written:
            sha256 = hashlib.file_digest(written, "sha256").hexdigest()
            size = written.seek(0, os.SEEK_END)
            os.fsync(written.fileno())
        path = target / f"{sha256[:32]}.parquet"
        temporary.rename(lake / path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync(lake / target)
    return path, sha256, size


def folder(table: str, day: date, source: str) -> Path:
    """Give the folder of a partition; a source may hold anything, its folder's name only what is safe in a path.

    >>> folder("attempts", date(2026, 1, 1), "../a b").as_posix()
    'attempts/event_date=2026-01-01/source=%2E%2E%2Fa%20b'
    """
    safe = quote(source.encode("utf-8", "surrogatepass"), safe="").replace(".", "%2E")
    if len(safe) > 128:  # most file systems refuse names over 255 bytes
        safe = safe[:80] + "~" + hashlib.sha256(safe.encode()).hexdigest()[:32]
    return Path(table, f"event_date={day.isoformat()}", f"source={safe}")


def digest(path: Path) -> str:
    """Give the SHA-256 of a file as hex digits."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def make(folder: Path) -> None:
    """Make a folder and every missing parent, each durable in its own parent; it is its owner's and group's alone."""
    for part in (*reversed(folder.parents), folder):
        if not part.is_dir():
            part.mkdir(0o750 if part == folder else 0o777, exist_ok=True)
            sync(part.parent)


def sync(directory: Path) -> None:
    """Make what was made or renamed in a folder durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
