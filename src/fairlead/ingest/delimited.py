"""The records of a CSV file, each with the place and the bytes of its row."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from typing import Any

from fairlead.errors import ReadError
from fairlead.ingest import quarantine as reasons
from fairlead.ingest.entry import BOM, Entry, split
from fairlead.ingest.quarantine import BadRecordError

__all__ = ["entries"]


def entries(pieces: Iterable[bytes]) -> Iterator[Entry]:
    """Give every row of a CSV file as a record; the first names the columns."""
    lines = _Lines(pieces)
    rows = csv.reader(lines)
    header: list[str] | None = None
    while True:
        row: list[str] | BadRecordError
        try:
            row = next(rows)
        except StopIteration:
            yield from lines.faults
            return
        except csv.Error as fault:
            row = BadRecordError(reasons.WRONG_COLUMNS, str(fault))
        line, offset, raw = lines.taken()
        yield from lines.faults
        lines.faults.clear()
        if isinstance(row, list) and not any(value.strip() for value in row[:1]) and len(row) <= 1:
            continue
        if header is not None:
            yield Entry(line, offset, raw, row if isinstance(row, BadRecordError) else _record(header, row))
        elif isinstance(row, BadRecordError):
            raise ReadError(f"the header cannot be read ({row.detail}); correct the first line")
        else:
            header = _header(row)


class _Lines:
    """Lines with their ends, so that a quoted value may hold one; it remembers what the row was made from."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self.faults: list[Entry] = []
        self._lines = split(pieces)
        self._place: tuple[int, int] = (1, 0)
        self._parts: list[bytes] = []

    def __iter__(self) -> Iterator[str]:
        for line, offset, raw, ended in self._lines:
            if isinstance(raw, BadRecordError):
                self.faults.append(Entry(line, offset, raw.detail, raw))
                continue
            if not self._parts:
                self._place = (line, offset)
            self._parts.append(raw)
            content = raw.removeprefix(BOM) if line == 1 else raw
            # Bytes that are not UTF-8 become surrogates, which no text of UTF-8 holds.
            yield content.decode("utf-8", "surrogateescape") + ("\n" if ended else "")

    def taken(self) -> tuple[int, int, bytes]:
        """Give where the row began, as line and byte, and its bytes."""
        raw = b"\n".join(self._parts)
        self._parts = []
        return *self._place, raw


def _header(row: list[str]) -> list[str]:
    names = [name.strip() for name in row]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ReadError(f"the header names the column {twice[0]!r} twice; rename one of them")
    return names


def _record(header: list[str], row: list[str]) -> dict[str, Any] | BadRecordError:
    if len(row) != len(header):
        return BadRecordError(reasons.WRONG_COLUMNS, f"{len(row)} values for {len(header)} columns")
    if any("\udc80" <= character <= "\udcff" for value in row if not value.isascii() for character in value):
        return BadRecordError(reasons.NOT_UTF8)
    return dict(zip(header, row, strict=True))
