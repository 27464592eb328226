"""The set-based way of reading a log: lines that differ only in known slots are read all at once.

The first line of each kind is read by the reader itself; what it gives for everything but the slots holds for every
line that is the same text with other values in the slots, which is checked letter by letter. Any other line goes to the
reader as before, so the two ways cannot differ in what they accept.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
from msgspec import structs

from fairlead.ingest import assemble, spans, template
from fairlead.ingest.bulk import Bulk
from fairlead.ingest.context import Context
from fairlead.ingest.readers import Reader
from fairlead.schema import Attempt

__all__ = ["Begun", "Lane"]

Places = np.ndarray[Any, np.dtype[np.int64]]

_decode: Final = msgspec.json.Decoder().decode
_MOST_TEMPLATES: Final = 20_000
_MOST_OF_A_KIND: Final = 8
_FREE_TEMPLATES: Final = 2_000  # that are learned whether it pays or not
_LEAST_LINES: Final = 4  # that a template must have stood for on average, to learn more of them


class _Learned(NamedTuple):
    layout: spans.Layout
    cut: template.Cut
    fixed: assemble.Fixed


class Begun(NamedTuple):
    """What was made of some lines by the templates that were known then."""

    known: int
    tables: list[pa.Table]
    left: Places


class Lane:
    """Reads the lines of one format; it learns their kinds as they come, and keeps them from file to file."""

    def __init__(self, reader: Reader, bulk: Bulk, context: Context) -> None:
        self._reader, self._bulk, self._context = reader, bulk, context
        self._learned: list[_Learned] = []
        self._of_a_kind: Counter[bytes] = Counter()
        self._lines = 0
        self._assembler = assemble.Assembler(bulk, context)
        self._layouts: dict[spans.Layout, spans.Kinds] = {}

    def begin(self, lines: spans.Text, context: Context) -> Begun:
        """Do what can be done with the templates that are known now; several threads may."""
        known = len(self._learned)
        tables, left = self._match(lines, np.arange(len(lines)), context)
        return Begun(known, tables, left)

    def take(self, lines: spans.Text, begun: Begun, context: Context) -> tuple[list[pa.Table], Places]:
        """Give the attempts among lines of text, and the places of the lines that are left for the reader."""
        known, tables, left = begun
        if len(left) and known < len(self._learned):
            more, left = self._match(lines, left, context)
            tables += more
        if len(left) and self._learn(lines, left, context):
            more, left = self._match(lines, left, context)
            tables += more
        self._lines += len(lines) - len(left)
        return tables, left

    def _match(self, lines: spans.Text, left: Places, context: Context) -> tuple[list[pa.Table], Places]:
        """Give the attempts among some lines by the templates that are known, and the places of the others."""
        tables = []
        for kinds in tuple(self._layouts.values()):
            slots = kinds.match(lines, left) if len(left) else None
            if slots is not None:
                places, table = self._assembler.attempts(slots, context)
                if len(places):
                    tables.append(table)
                    left = np.setdiff1d(left, places, assume_unique=True)
        return tables, left

    def _learn(self, lines: spans.Text, left: Places, context: Context) -> bool:
        """Learn a template from one line of each kind among those that no template matches."""
        if len(self._learned) >= min(_MOST_TEMPLATES, max(_FREE_TEMPLATES, self._lines // _LEAST_LINES)):
            return False
        first: dict[bytes, int] = {}
        for place in left.tolist():
            kind = self._kind(lines.line(place))
            if kind is not None:
                first.setdefault(kind, place)
        found = {}
        for kind, place in first.items():
            if self._of_a_kind[kind] < _MOST_OF_A_KIND:
                made = self._template(lines.line(place).decode())
                if made is not None:
                    found[place] = made
                # A kind of which two lines did not do, such as failed calls, is not worth looking at again.
                self._of_a_kind[kind] += 1 if made is not None else _MOST_OF_A_KIND // 2
        if not found:
            return False
        kept = self._right(lines, found, context)
        self._add(kept)
        return bool(kept)

    def _kind(self, line: bytes) -> bytes | None:
        """Tell which kind of line it is; None where it is none that could be learned."""
        try:
            record = _decode(line)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return None
        return msgspec.json.encode([record.get(name) for name in self._bulk.key]) if type(record) is dict else None

    def _template(self, line: str) -> _Learned | None:
        """Make a template of a line; None for a line that the reader refuses, or of which more than columns vary."""
        try:
            record = msgspec.json.decode(line)
            rows = tuple(self._reader.read(record, replace(self._context, price=None)))
            if len(rows) != 1 or not isinstance(rows[0], Attempt) or not assemble.is_plain(rows[0]):
                return None
            cut = template.cut(line, self._bulk.aliases, self._bulk.texts)
            agreed = tuple(self._reader.read(record, replace(self._context, price=_agree)))
        except Exception:  # whatever is wrong with it, the reader will say so when it is asked for this line
            return None
        if cut is None or not self._bulk.needed <= set(cut.slots) or len(agreed) != 1:
            return None
        if not isinstance(agreed[0], Attempt):
            return None
        fixed, layout = assemble.fixed(rows[0], agreed[0].attributes, self._bulk), spans.layout(cut)
        return None if fixed is None or layout is None else _Learned(layout, cut, fixed)

    def _right(self, lines: spans.Text, found: dict[int, _Learned], context: Context) -> list[_Learned]:
        """Give those that give for their own line what the reader gives for it."""
        trial = Lane(self._reader, self._bulk, self._context)
        trial._add(list(found.values()))
        places = np.array(sorted(found), dtype=np.int64)
        tables, _ = trial._match(lines, places, context)
        rows = {row["source_record_id"]: row for table in tables for row in table.to_pylist()}
        attempts = [structs.replace(one.fixed.attempt, ingested_at=context.ingested_at) for one in found.values()]
        pairs = [(context.priced(attempt), one.fixed) for attempt, one in zip(attempts, found.values(), strict=True)]
        return [one for one, right in zip(found.values(), assemble.same(rows, pairs), strict=True) if right]

    def _add(self, learned: list[_Learned]) -> None:
        numbers = self._assembler.add([one.fixed for one in learned])
        for number, one in zip(numbers, learned, strict=True):
            if one.layout not in self._layouts:
                self._layouts[one.layout] = spans.Kinds(one.layout)
            self._layouts[one.layout].add(number, one.cut.pieces)
        self._learned += learned


def _agree(attempt: Attempt) -> None:
    attempt.list_cost_usd = attempt.reported_cost_usd
