"""Compressed bytes as a stream: gzip and zstd, told by their content, with a cap on how far they may expand."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from typing import IO, Any, Final

import pyarrow as pa

from fairlead.errors import ReadError
from fairlead.ingest.quarantine import BAD_COMPRESSION, BadRecordError

__all__ = ["SUFFIXES", "decompressed", "kind"]

SUFFIXES: Final = (".gz", ".zst")
_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_SKIPPED: Final = b"\x2a\x4d\x18"  # after a byte from 0x50: a zstd frame of somebody's notes, as parallel writers make
# A broken stream loses what was asked for last, so no more is asked for than is worth the call.
_CHUNK: Final = {"gzip": 1 << 20, "zstd": 1 << 16}
_MAX_RATIO: Final = 200  # zlib reaches 1030 on zeros, zstd far more; logs compress 5 to 50 times
_FREE_BYTES: Final = 256 << 20  # decompressed bytes below which the ratio does not matter


def kind(opened: IO[bytes]) -> str | None:
    """Say how an open file is compressed (gzip, zstd or None) by its first bytes, and go back to its beginning."""
    head = opened.read(4)
    opened.seek(0)
    if head.startswith(_GZIP):
        return "gzip"
    return "zstd" if head == _ZSTD or (head[1:] == _SKIPPED and head[0] >> 4 == 5) else None


def decompressed(opened: IO[bytes], how: str) -> Iterator[bytes]:
    """Give what a compressed file holds: every gzip member, every zstd frame, one after the other.

    Raises BadRecordError where the data breaks off, ReadError when it expands beyond reason. A zstd frame that asks
    for more than 128 MB of window is refused as broken.
    """
    total = 0
    with _stream(opened, how) as stream:
        while True:
            try:
                piece = stream.read(_CHUNK[how])
            except (EOFError, OSError, zlib.error) as fault:
                raise BadRecordError(BAD_COMPRESSION, f"{how}: {type(fault).__name__} after {total} bytes") from fault
            if not piece:
                return
            total += len(piece)
            if total > _FREE_BYTES and total > _MAX_RATIO * max(opened.tell(), 1):
                raise ReadError(
                    f"expands to more than {_MAX_RATIO} times its size; "
                    "decompress it yourself if that is meant to be so, and load the result"
                )
            yield piece


def _stream(opened: IO[bytes], how: str) -> Any:
    if how == "gzip":
        return gzip.GzipFile(fileobj=opened)
    # The wrapper would close the file, which is its opener's to close.
    return pa.CompressedInputStream(pa.PythonFile(_Borrowed(opened), mode="r"), "zstd")


class _Borrowed:
    """A file that somebody else closes."""

    closed = False

    def __init__(self, opened: IO[bytes]) -> None:
        self._opened = opened

    def read(self, size: int = -1) -> bytes:
        return self._opened.read(size)

    def close(self) -> None:
        self.closed = True
