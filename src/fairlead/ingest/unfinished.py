"""What stands at the end of a file that is still being written: the record there is left for the next load.

Only a record that more bytes could complete is left. A last line without its newline that is whole is taken, and one
that can become nothing is set aside like any other.
"""

from __future__ import annotations

import csv
import os
import re
from typing import IO, Final

import msgspec

__all__ = ["breaks_off", "unfinished"]

_LONGEST: Final = 16 << 20
_CHUNK: Final = 1 << 20
_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_decode: Final = msgspec.json.Decoder().decode


def unfinished(opened: IO[bytes], kind: str) -> int:
    """Give how many bytes at the end of an open file belong to a record that is not yet whole; 0 for none."""
    size = opened.seek(0, os.SEEK_END)
    start = opened.seek(max(0, size - _LONGEST))
    tail = opened.read(size - start)
    if kind == ".csv":
        return _of_csv(opened, tail, start)
    newline = tail.rfind(b"\n")
    if newline < 0 and start > 0:
        return 0  # longer than any line may be, however it ends
    last = tail[newline + 1 :]
    return len(last) if breaks_off(last) else 0


def breaks_off(text: bytes) -> bool:
    """Say whether a text is the beginning of an object and not yet all of it.

    >>> [breaks_off(text) for text in (b'{"a": [1, 2', b'{"a": -', b'{"a": 1}', b"{oops", b"[1, 2")]
    [True, True, False, False, False]
    """
    text = text.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not text.startswith(b"{"):
        return False
    return any(_is_truncated(text + more) for more in (b"", b"0")) and _is_open(text)


def _is_truncated(text: bytes) -> bool:
    try:
        _decode(text)
    except msgspec.DecodeError as fault:
        return "truncated" in str(fault)
    except (ValueError, RecursionError):
        return False
    return False


def _is_open(text: bytes) -> bool:
    # The parser calls half a surrogate pair truncated too, wherever it stands.
    bare = _STRING.sub(b"", text)
    return b'"' in bare or bare.count(b"{") + bare.count(b"[") > bare.count(b"}") + bare.count(b"]")


def _of_csv(opened: IO[bytes], tail: bytes, start: int) -> int:
    """Look for a last row with fewer values than the header, or with a quote that nothing closes."""
    is_open = _quotes(opened) % 2 == 1
    end = len(tail)
    inside = 0
    while (newline := tail.rfind(b"\n", 0, end)) >= 0:
        inside += tail.count(b'"', newline + 1, end)
        if inside % 2 == is_open:
            break
        end = newline
    if newline < 0 and start > 0:
        return 0
    last = tail[newline + 1 :]
    if newline < 0 or not last.strip():
        return 0  # a header by itself, or nothing
    opened.seek(0)
    header = _values(opened.readline(_CHUNK))
    return len(last) if is_open or len(_values(last)) < len(header) else 0


def _values(text: bytes) -> list[str]:
    try:
        return next(csv.reader(text.decode("utf-8", "replace").splitlines(keepends=True)), [])
    except csv.Error:
        return []


def _quotes(opened: IO[bytes]) -> int:
    opened.seek(0)
    return sum(piece.count(b'"') for piece in iter(lambda: opened.read(_CHUNK), b""))
