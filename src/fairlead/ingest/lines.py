"""The records of a file one by one, each with its place; a record that cannot be had is given as its fault."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import IO, Any, Final

import msgspec

from fairlead.errors import ReadError
from fairlead.ingest import delimited, encoding, files, parquet
from fairlead.ingest import quarantine as reasons
from fairlead.ingest.entry import BOM, Entry, UnfinishedError, split
from fairlead.ingest.quarantine import BadRecordError
from fairlead.ingest.repeats import repeated
from fairlead.ingest.unfinished import breaks_off

__all__ = ["Entry", "UnfinishedError", "entries", "from_lines"]

_MAX_DOCUMENT: Final = 1 << 30
_decode: Final = msgspec.json.Decoder().decode


def entries(opened: IO[bytes], size: int, kind: str) -> Iterator[Entry]:
    """Give every record of an open file; lines that hold nothing are none.

    Raises UnfinishedError for a document (not lines) that is still being written.
    """
    if kind == ".parquet" or parquet.is_parquet(opened):
        return parquet.entries(opened)
    grows = not files.is_compressed(opened)
    pieces = encoding.checked(files.chunks(opened, size))
    if kind == ".csv":
        return delimited.entries(pieces)
    return _from_json(pieces, grows) if kind == ".json" else from_lines(pieces)


def from_lines(pieces: Iterable[bytes], line: int = 1, offset: int = 0) -> Iterator[Entry]:
    """Give the records of lines of JSON, the first of which stands at a place in its file."""
    for line, offset, raw, ended in split(pieces, line, offset):  # noqa: B020, PLR1704
        if isinstance(raw, BadRecordError):
            yield Entry(line, offset, raw.detail, raw)
            continue
        text = raw.removeprefix(BOM) if line == 1 else raw
        if text and not text.isspace():
            yield Entry(line, offset, raw, _parse(text, ended))


def _parse(text: bytes, ended: bool) -> dict[str, Any] | BadRecordError:
    try:
        value = _decode(text)
    except RecursionError:
        return BadRecordError(reasons.TOO_DEEP)
    except (msgspec.MsgspecError, ValueError) as fault:
        return _why(text, ended, fault)
    if not isinstance(value, dict):
        return BadRecordError(reasons.NOT_AN_OBJECT, type(value).__name__)
    return BadRecordError(reasons.DUPLICATE_KEY) if repeated(text, value) else value


def _why(text: bytes, ended: bool, fault: Exception) -> BadRecordError:
    try:
        text.decode()
    except UnicodeDecodeError as bad:
        return BadRecordError(reasons.NOT_UTF8, f"byte {bad.start}")
    if not ended and breaks_off(text):
        return BadRecordError(reasons.TRUNCATED_LINE, "the file ends inside this line")
    if any(word in text for word in (b"NaN", b"Infinity")):
        return BadRecordError(reasons.NAN_OR_INFINITY)
    return BadRecordError(reasons.NOT_JSON, str(fault))


def _from_json(pieces: Iterable[bytes], grows: bool) -> Iterator[Entry]:
    """Read an array of records, or one record; a file that is neither may be lines under the wrong name."""
    kept, size = [], 0
    try:
        for piece in pieces:
            kept.append(piece)
            size += len(piece)
            if size > _MAX_DOCUMENT:
                raise ReadError(f"a JSON document over {_MAX_DOCUMENT} bytes; split it, or write one record a line")
    except BadRecordError as fault:
        yield Entry(1, 0, fault.detail, fault)
        return
    whole = b"".join(kept)
    text = whole.removeprefix(BOM)
    start = text.lstrip()[:1]
    if start not in (b"[", b"{"):
        yield from from_lines([whole])
        return
    try:
        if start == b"[":
            for index, raw in enumerate(msgspec.json.decode(text, type=list[msgspec.Raw]), start=1):
                yield Entry(index, None, bytes(raw), _parse(bytes(raw), True))
        else:
            msgspec.json.decode(text, type=msgspec.Raw)
            yield Entry(1, 0, text, _parse(text, True))
    except RecursionError:
        yield Entry(1, 0, text, BadRecordError(reasons.TOO_DEEP))
    except (msgspec.MsgspecError, ValueError) as fault:
        # An array breaks off where an object that holds it would.
        if grows and breaks_off(b'{"":' + text if start == b"[" else text):
            raise UnfinishedError("a document that is not finished") from fault
        if start == b"[":
            yield Entry(1, 0, text, _why(text, True, fault))
        else:
            yield from from_lines([whole])
