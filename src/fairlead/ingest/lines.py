"""The records of a file one by one, each with its place; a record that cannot be had is given as its fault."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any, Final, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from fairlead.errors import ReadError
from fairlead.ingest import files
from fairlead.ingest import quarantine as reasons
from fairlead.ingest.quarantine import BadRecordError

__all__ = ["Entry", "entries", "from_lines"]

_MAX_LINE: Final = 16 << 20
_MAX_DOCUMENT: Final = 1 << 30
_BOM: Final = b"\xef\xbb\xbf"
_decode: Final = msgspec.json.Decoder().decode


class Entry(NamedTuple):
    """One record: where it stands, what it was made from, and what it says or why it cannot be read."""

    line: int
    byte_offset: int | None
    raw: Any
    record: dict[str, Any] | BadRecordError


def entries(opened: IO[bytes], size: int, kind: str) -> Iterator[Entry]:
    """Give every record of an open file; lines that hold nothing are none."""
    if kind == ".parquet":
        return _from_parquet(opened)
    readers: dict[str, Callable[[Iterable[bytes]], Iterator[Entry]]] = {".csv": _from_csv, ".json": _from_json}
    return readers.get(kind, from_lines)(files.chunks(opened, size))


def from_lines(pieces: Iterable[bytes], line: int = 1, offset: int = 0) -> Iterator[Entry]:
    """Give the records of lines of JSON, the first of which stands at a place in its file."""
    for line, offset, raw, ended in _split(pieces, line, offset):  # noqa: B020, PLR1704
        if isinstance(raw, BadRecordError):
            yield Entry(line, offset, raw.detail, raw)
            continue
        text = raw.removeprefix(_BOM) if line == 1 else raw
        if text and not text.isspace():
            yield Entry(line, offset, raw, _parse(text, ended))


def _parse(text: bytes, ended: bool) -> dict[str, Any] | BadRecordError:
    try:
        value = _decode(text)
    except RecursionError:
        return BadRecordError(reasons.TOO_DEEP)
    except (msgspec.MsgspecError, ValueError) as fault:
        return _why(text, ended, fault)
    return value if isinstance(value, dict) else BadRecordError(reasons.NOT_AN_OBJECT, type(value).__name__)


def _why(text: bytes, ended: bool, fault: Exception) -> BadRecordError:
    try:
        text.decode()
    except UnicodeDecodeError as bad:
        return BadRecordError(reasons.NOT_UTF8, f"byte {bad.start}")
    if not ended:
        return BadRecordError(reasons.TRUNCATED_LINE, "the file ends inside this line; load it again when it is whole")
    if any(word in text for word in (b"NaN", b"Infinity")):
        return BadRecordError(reasons.NAN_OR_INFINITY)
    return BadRecordError(reasons.NOT_JSON, str(fault))


def _split(
    pieces: Iterable[bytes], line: int = 1, offset: int = 0
) -> Iterator[tuple[int, int, bytes | BadRecordError, bool]]:
    """Give (line, offset, content, whether a newline ended it), holding at most one line and one piece."""
    tail = b""
    dropped, sha256 = 0, hashlib.sha256()  # of a line that is too long to hold
    try:
        for piece in pieces:
            *whole, tail = (tail + piece).split(b"\n")
            for content in whole:
                if dropped or len(content) > _MAX_LINE:
                    sha256.update(content)
                    yield line, offset, _too_long(sha256.hexdigest()), True
                else:
                    yield line, offset, content, True
                line, offset = line + 1, offset + dropped + len(content) + 1
                dropped, sha256 = (0, hashlib.sha256()) if dropped else (0, sha256)
            if len(tail) > _MAX_LINE:
                sha256.update(tail)
                dropped, tail = dropped + len(tail), b""
    except BadRecordError as fault:
        yield line, offset, fault, False
        return
    if dropped:
        yield line, offset, _too_long(sha256.hexdigest()), False
    elif tail:
        yield line, offset, tail, False


def _too_long(sha256: str) -> BadRecordError:
    return BadRecordError(reasons.LINE_TOO_LONG, f"over {_MAX_LINE} bytes, sha256 {sha256}")


def _from_json(pieces: Iterable[bytes]) -> Iterator[Entry]:
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
    text = b"".join(kept).removeprefix(_BOM)
    start = text.lstrip()[:1]
    try:
        if start == b"[":
            for index, raw in enumerate(msgspec.json.decode(text, type=list[msgspec.Raw]), start=1):
                yield Entry(index, None, bytes(raw), _parse(bytes(raw), True))
            return
        if start == b"{":
            yield Entry(1, 0, text, msgspec.json.decode(text, type=dict[str, Any]))
            return
    except RecursionError:
        yield Entry(1, 0, text, BadRecordError(reasons.TOO_DEEP))
        return
    except (msgspec.MsgspecError, ValueError) as fault:
        if start == b"[":
            yield Entry(1, 0, text, _why(text, True, fault))
            return
    yield from from_lines([text])


def _from_csv(pieces: Iterable[bytes]) -> Iterator[Entry]:
    rows = csv.reader(_text_lines(pieces))
    header: list[str] | None = None
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as fault:
            yield Entry(rows.line_num, None, str(fault), BadRecordError(reasons.WRONG_COLUMNS, str(fault)))
            continue
        if not row or (len(row) == 1 and not row[0].strip()):
            continue
        if header is None:
            header = _header(row)
        else:
            yield Entry(rows.line_num, None, row, _row(header, row))


def _header(row: list[str]) -> list[str]:
    names = [name.strip() for name in row]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ReadError(f"the header names the column {twice[0]!r} twice; rename one of them")
    return names


def _row(header: list[str], row: list[str]) -> dict[str, Any] | BadRecordError:
    if len(row) != len(header):
        return BadRecordError(reasons.WRONG_COLUMNS, f"{len(row)} values for {len(header)} columns")
    if any("\udc80" <= character <= "\udcff" for value in row if not value.isascii() for character in value):
        return BadRecordError(reasons.NOT_UTF8)
    return dict(zip(header, row, strict=True))


def _text_lines(pieces: Iterable[bytes]) -> Iterator[str]:
    """Give lines with their ends, so that a quoted value may hold one; bytes that are not UTF-8 become surrogates."""
    for line, _, raw, ended in _split(pieces):
        if isinstance(raw, BadRecordError):
            raise ReadError(f"line {line}: {raw}; repair that line and load the file again")
        content = raw.removeprefix(_BOM) if line == 1 else raw
        yield content.decode("utf-8", "surrogateescape") + ("\n" if ended else "")


def _from_parquet(opened: IO[bytes]) -> Iterator[Entry]:
    try:
        file = pq.ParquetFile(opened, page_checksum_verification=True)
        line = 0
        for batch in file.iter_batches(batch_size=8192):
            for record in batch.to_pylist():
                line += 1
                yield Entry(line, None, record, record)
    except (pa.ArrowException, OSError) as fault:
        raise ReadError(f"not a readable Parquet file ({type(fault).__name__}); write it again") from fault
