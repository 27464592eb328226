"""Which files a load means, and their bytes: found, opened safely, hashed once, decompressed as a stream."""

from __future__ import annotations

import glob
import hashlib
import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from fairlead.errors import ReadError
from fairlead.ingest import compression
from fairlead.ingest.quarantine import BadRecordError

__all__ = ["SUFFIXES", "chunks", "digest", "find", "is_compressed", "kind", "open_regular", "pieces"]

SUFFIXES: Final = (
    ".parquet",
    *(kind + packed for kind in (".jsonl", ".json", ".csv") for packed in ("", *compression.SUFFIXES)),
)
_LOG: Final = logging.getLogger("fairlead.ingest")
_CHUNK: Final = 1 << 20
_PARQUET: Final = b"PAR1"


def find(path: Path, *, may_be_empty: bool = False) -> list[Path]:
    """Give the files that a path means (a file, a folder or a glob); ReadError when it means none."""
    if path.is_dir():
        return _inside(path, may_be_empty)
    if path.exists() or path.is_symlink():
        return [_regular(path)]
    matches = sorted(glob.glob(str(path), recursive=True)) if glob.has_magic(str(path)) else []
    if not matches:
        raise ReadError(f"{path}: no such file; give a file, a folder or a pattern that matches one")
    return [_regular(found) for match in matches if not (found := Path(match)).is_dir()]


def open_regular(path: Path) -> IO[bytes]:
    """Open a file for reading; ReadError when something that is no file has taken its place since it was found."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ReadError(_not_regular(path))
    return os.fdopen(descriptor, "rb")


def kind(name: str, opened: IO[bytes], size: int) -> str:
    """Give the suffix that says how to read an open file, and go back to its beginning.

    Content decides where it can: Parquet by its first bytes, JSON in a file that calls itself CSV or Parquet by its
    brace. Otherwise the name does, without `.gz` or `.zst`; anything unknown is read as lines of JSON.
    """
    told = _told(name)
    head = _head(opened, size)
    if head.startswith(_PARQUET):
        return ".parquet"
    return ".jsonl" if told in (".csv", ".parquet") and head.lstrip().startswith(b"{") else told


def chunks(opened: IO[bytes], size: int) -> Iterator[bytes]:
    """Give the first `size` bytes of a file in pieces, decompressed when it is gzip or zstd.

    A file that grows while it is read gives what was hashed and no more. Raises BadRecordError where compressed data
    breaks off, ReadError when it expands beyond reason.
    """
    how = compression.kind(opened)
    yield from compression.decompressed(opened, how) if how is not None else pieces(opened, size)


def is_compressed(opened: IO[bytes]) -> bool:
    """Say whether an open file is gzip or zstd, whatever its name, and go back to its beginning."""
    opened.seek(0)
    return compression.kind(opened) is not None


def pieces(opened: IO[bytes], size: int) -> Iterator[bytes]:
    """Give the next `size` bytes of a file in pieces, fewer where it ends before."""
    left = size
    while left > 0 and (piece := opened.read(min(_CHUNK, left))):
        left -= len(piece)
        yield piece


def digest(opened: IO[bytes], size: int) -> str:
    """Give the SHA-256 of the first `size` bytes of an open file."""
    opened.seek(0)
    sha256 = hashlib.sha256()
    for piece in pieces(opened, size):
        sha256.update(piece)
    return sha256.hexdigest()


def _told(name: str) -> str:
    plain = name.lower()
    for suffix in compression.SUFFIXES:
        plain = plain.removesuffix(suffix)
    return next((suffix for suffix in (".csv", ".parquet", ".json") if plain.endswith(suffix)), ".jsonl")


def _head(opened: IO[bytes], size: int) -> bytes:
    try:
        return next(chunks(opened, size), b"").removeprefix(b"\xef\xbb\xbf")[:64]
    except BadRecordError:
        return b""
    finally:
        opened.seek(0)


def _inside(folder: Path, may_be_empty: bool) -> list[Path]:
    named = sorted(
        found
        for found in folder.rglob("*")
        if found.name.lower().endswith(SUFFIXES)
        and not found.is_dir()
        and not any(part.startswith(".") for part in found.relative_to(folder).parts)
    )
    inside = [found for found in named if stat.S_ISREG(found.lstat().st_mode)]
    if len(inside) < len(named):
        _LOG.warning("%s: %d links and special files in it are left out", folder, len(named) - len(inside))
    if not inside and not may_be_empty:
        raise ReadError(f"{folder}: no log files in this folder; a log's name ends in one of {', '.join(SUFFIXES)}")
    return inside


def _regular(path: Path) -> Path:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        raise ReadError(f"{path}: a symbolic link; name the file it leads to, so that the load says what it read")
    if not stat.S_ISREG(mode):
        raise ReadError(_not_regular(path))
    return path


def _not_regular(path: Path) -> str:
    return (
        f"{path}: not a regular file but a pipe, a socket or a device; a load must be able to read it twice, "
        "so save it to a file first, or pipe it into `fairlead ingest -`"
    )
