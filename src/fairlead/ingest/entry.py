"""One record of a file and where it stands, and the lines that most files are made of."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from fairlead.errors import ReadError
from fairlead.ingest import quarantine as reasons
from fairlead.ingest.quarantine import BadRecordError

__all__ = ["BOM", "Entry", "UnfinishedError", "split"]

MAX_LINE: Final = 16 << 20
BOM: Final = b"\xef\xbb\xbf"


class Entry(NamedTuple):
    """One record: where it stands, what it was made from, and what it says or why it cannot be read."""

    line: int
    byte_offset: int | None
    raw: Any
    record: dict[str, Any] | BadRecordError


class UnfinishedError(ReadError):
    """A document that is still being written: nothing of it can be taken yet."""


def split(
    pieces: Iterable[bytes], line: int = 1, offset: int = 0
) -> Iterator[tuple[int, int, bytes | BadRecordError, bool]]:
    """Give (line, offset, content, whether a newline ended it), holding at most one line and one piece."""
    tail = b""
    dropped, sha256 = 0, hashlib.sha256()  # of a line that is too long to hold
    try:
        for piece in pieces:
            *whole, tail = (tail + piece).split(b"\n")
            for content in whole:
                if dropped or len(content) > MAX_LINE:
                    sha256.update(content)
                    yield line, offset, _too_long(sha256.hexdigest()), True
                    sha256 = hashlib.sha256()
                else:
                    yield line, offset, content, True
                line, offset, dropped = line + 1, offset + dropped + len(content) + 1, 0
            if len(tail) > MAX_LINE:
                sha256.update(tail)
                dropped, tail = dropped + len(tail), b""
    except BadRecordError as fault:
        yield line, offset, fault, False
        return
    if dropped:
        sha256.update(tail)
        yield line, offset, _too_long(sha256.hexdigest()), False
    elif tail:
        yield line, offset, tail, False


def _too_long(sha256: str) -> BadRecordError:
    return BadRecordError(reasons.LINE_TOO_LONG, f"over {MAX_LINE} bytes", sha256=sha256)
