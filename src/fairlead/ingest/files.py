"""Which files a load means, and their bytes: found, hashed once, decompressed as a stream."""

from __future__ import annotations

import glob
import gzip
import hashlib
import stat
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, Final, cast

from fairlead.errors import ReadError
from fairlead.ingest.quarantine import BAD_COMPRESSION, BadRecordError

__all__ = ["SUFFIXES", "chunks", "digest", "find", "kind"]

SUFFIXES: Final = (".jsonl", ".json", ".csv", ".parquet", ".jsonl.gz", ".json.gz", ".csv.gz")
_CHUNK: Final = 1 << 20
_MAX_RATIO: Final = 200  # zlib reaches 1030 on zeros; logs compress 5 to 30 times
_FREE_BYTES: Final = 256 << 20  # decompressed bytes below which the ratio does not matter


def find(paths: Iterable[Path | str]) -> list[Path]:
    """Give the files that the paths mean (files, folders and globs), each once; ReadError for one that means none."""
    found: dict[Path, None] = {}
    for given in paths:
        found.update(dict.fromkeys(_expand(Path(given))))
    return list(found)


def kind(path: Path) -> str:
    """Give the suffix that says how to read a file, without `.gz`; anything unknown is read as lines of JSON."""
    name = path.name.lower().removesuffix(".gz")
    return next((suffix for suffix in (".csv", ".parquet", ".json") if name.endswith(suffix)), ".jsonl")


def digest(opened: IO[bytes]) -> tuple[str, int]:
    """Give the SHA-256 and the length of what an open file holds now, and go back to its beginning."""
    sha256 = hashlib.file_digest(cast(Any, opened), "sha256").hexdigest()
    size = opened.tell()
    opened.seek(0)
    return sha256, size


def chunks(opened: IO[bytes], size: int) -> Iterator[bytes]:
    """Give the first `size` bytes of a file in pieces, decompressed when it is gzip.

    A file that grows while it is read gives what was hashed and no more. Raises BadRecordError where compressed data
    breaks off, ReadError when it expands beyond reason.
    """
    compressed = opened.read(2) == b"\x1f\x8b"
    opened.seek(0)
    if compressed:
        yield from _decompressed(opened)
        return
    left = size
    while left > 0 and (piece := opened.read(min(_CHUNK, left))):
        left -= len(piece)
        yield piece


def _decompressed(opened: IO[bytes]) -> Iterator[bytes]:
    total = 0
    with gzip.GzipFile(fileobj=opened) as stream:
        while True:
            try:
                piece = stream.read(_CHUNK)
            except (EOFError, OSError, zlib.error) as fault:
                raise BadRecordError(BAD_COMPRESSION, f"{type(fault).__name__} after {total} bytes") from fault
            if not piece:
                return
            total += len(piece)
            if total > _FREE_BYTES and total > _MAX_RATIO * max(opened.tell(), 1):
                raise ReadError(
                    f"{opened.name}: expands to more than {_MAX_RATIO} times its size; "
                    "decompress it yourself if that is meant to be so, and load the result"
                )
            yield piece


def _expand(path: Path) -> list[Path]:
    if path.is_dir():
        inside = sorted(
            found
            for found in path.rglob("*")
            if found.name.lower().endswith(SUFFIXES)
            and found.is_file()
            and not any(part.startswith(".") for part in found.relative_to(path).parts)
        )
        if not inside:
            raise ReadError(f"{path}: no log files in this folder; a log's name ends in one of {', '.join(SUFFIXES)}")
        return inside
    if path.exists():
        return [_regular(path)]
    matches = sorted(glob.glob(str(path), recursive=True)) if glob.has_magic(str(path)) else []
    if not matches:
        raise ReadError(f"{path}: no such file; give a file, a folder or a pattern that matches one")
    return [_regular(found) for match in matches if not (found := Path(match)).is_dir()]


def _regular(path: Path) -> Path:
    if not stat.S_ISREG(path.stat().st_mode):
        raise ReadError(f"{path}: not a regular file; a load must be able to read it twice, so save it to a file first")
    return path
