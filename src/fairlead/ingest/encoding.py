"""What is not UTF-8 text is refused by its first bytes, with the name of what it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

from fairlead.errors import ReadError

__all__ = ["checked"]

_LOOK: Final = 256
_ENOUGH: Final = 4
_MARKS: Final = (
    (b"\xff\xfe\x00\x00", "text in UTF-32"),
    (b"\x00\x00\xfe\xff", "text in UTF-32"),
    (b"\xff\xfe", "text in UTF-16"),
    (b"\xfe\xff", "text in UTF-16"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"BZh", "compressed with bzip2"),
    (b"\xfd7zXZ\x00", "compressed with xz"),
    (b"SQLite format 3\x00", "a SQLite database"),
    (b"ARROW1\x00\x00", "an Arrow file"),
    (b"Obj\x01", "an Avro file"),
)
_WAYS: Final = {"text": "write it as UTF-8 (`iconv -t UTF-8`)", "an": "save it as Parquet, JSON lines or CSV"}


def checked(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Give the pieces of a file as they are; ReadError when the first is no text that a log could be."""
    rest = iter(pieces)
    first = next(rest, b"")
    found = next((name for mark, name in _MARKS if first.startswith(mark)), None) or _wide(first[:_LOOK])
    if found:
        way = _WAYS.get(found.split(" ", maxsplit=1)[0], "unpack it or export its records")
        raise ReadError(f"{found}, which is not read; {way} and load the result")
    yield from chain((first,), rest)


def _wide(head: bytes) -> str | None:
    """Tell UTF-16 without its mark: every other byte of what is mostly ASCII is 0."""
    low, high = head[0::2], head[1::2]
    if len(high) < _ENOUGH:
        return None
    for zeros, others in ((low, high), (high, low)):
        if zeros.count(0) > len(zeros) * 0.8 and others.count(0) < len(others) * 0.2:
            return "text in UTF-16"
    return None
