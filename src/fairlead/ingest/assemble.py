"""Attempts as Arrow columns: what a template holds for all its lines, beside what was read of each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct, structs

from fairlead.ingest import pricing, spans, template, typed
from fairlead.ingest.bulk import Bulk
from fairlead.ingest.context import Context
from fairlead.schema import Attempt, record_id
from fairlead.store import arrow

__all__ = ["Assembler", "Fixed", "fixed", "is_plain", "same"]

Places = np.ndarray[Any, np.dtype[np.int64]]

_DAY_US: Final = 86_400_000_000
_MOMENT: Final = pa.timestamp("us", tz="UTC")
_MONEY: Final = pa.decimal128(18, 12)
_NAME: Final = ("source", "source_instance", "source_record_id", "attempt_index")
_REPORTED, _LISTED, _ATTRIBUTES = "reported_cost_usd", "list_cost_usd", "attributes"


class Fixed(Struct, frozen=True):
    """What holds for every line of a template."""

    attempt: Attempt  # as the reader gave it without prices
    agreed: str | None  # its attributes where the reported cost is the list's
    apart: template.Cut | None  # its attributes where it is not


def is_plain(attempt: Attempt) -> bool:
    """Say whether an attempt is of the usual kind: what it cost follows from its five counts of tokens."""
    return attempt.status == "ok" and not attempt.usage_details and attempt.gateway_cache_status != "hit"


def fixed(attempt: Attempt, agreed: str | None, bulk: Bulk) -> Fixed | None:
    """Say what of an attempt holds for all lines of its template; None when that cannot be told."""
    apart = template.Cut((attempt.attributes or "",), ())
    if attempt.attributes:
        cut = template.cut(attempt.attributes, bulk.aliases, ())
        if cut is None:
            return None
        apart = cut
    if agreed:
        varying = template.cut(agreed, bulk.aliases, ())
        if varying is None or varying.slots:
            return None
    return Fixed(attempt, agreed, apart)


def same(rows: Mapping[str, dict[str, Any]], wanted: Sequence[tuple[Attempt, Fixed]]) -> list[bool]:
    """Say of each attempt, as the reader made it, whether the row assembled of the same line says the same."""
    attempts = []
    for attempt, known in wanted:
        agreed = attempt.list_cost_usd is not None and attempt.list_cost_usd == attempt.reported_cost_usd
        attempts.append(structs.replace(attempt, attributes=known.agreed if agreed else attempt.attributes))
    said = []
    for attempt in arrow.as_table("attempts", attempts).to_pylist():
        row = rows.get(attempt["source_record_id"], {})
        name = record_id(*(attempt[part] for part in _NAME))
        plain = {**row, "event_id": name, _ATTRIBUTES: json.loads(row.get(_ATTRIBUTES) or "null")}
        said.append(plain == {**attempt, _ATTRIBUTES: json.loads(attempt[_ATTRIBUTES] or "null")})
    return said


class Assembler:
    """Puts the columns of attempts together; it holds the fixed ones of every template."""

    def __init__(self, bulk: Bulk, context: Context) -> None:
        self._bulk = bulk
        self._known: list[Fixed] = []
        self._fixed: dict[str, pa.Array] = {}  # what each column holds, a value for each template
        self._sheets = None if context.price is None else pricing.Sheets(context.price)

    def add(self, known: Sequence[Fixed]) -> range:
        """Take templates in, and give their numbers."""
        start = len(self._known)
        self._known += known
        if known:
            rows = arrow.as_table("attempts", [one.attempt for one in self._known])
            self._fixed = {name: rows.column(name).combine_chunks() for name in rows.column_names}
            self._fixed["agreed"] = pa.array([one.agreed for one in self._known], pa.string())
        return range(start, len(self._known))

    def attempts(self, slots: spans.Slots, context: Context) -> tuple[Places, pa.Table]:
        """Give the places of the lines that can be read at once, and their attempts; `event_id` is to be derived."""
        sound, values = typed.read(slots, self._bulk.kinds)
        derived, right = self._bulk.derive(values)
        chosen = np.flatnonzero(sound & right)
        if not len(chosen):
            return chosen, arrow.schema("attempts").empty_table()
        if len(chosen) < len(sound):
            slots = slots.of(chosen)
            values, derived = _some(values, chosen), _some(derived, chosen)
        which = slots.templates
        made: dict[str, Any] = {name: values[alias] for name, alias in self._bulk.columns.items() if alias in values}
        made |= {name: _hashed(values[alias], context) for name, alias in self._bulk.people.items() if alias in values}
        made |= derived
        made["event_id"] = pa.nulls(len(which), pa.string())
        made["ingested_at"] = pa.repeat(pa.scalar(context.ingested_at, _MOMENT), len(which))
        made["event_date"] = pa.array((made["start_time"] // _DAY_US).astype(np.int32)).cast(pa.date32())
        listed, made["price_source"] = self._list_costs(which, made)
        reported = made[_REPORTED]
        made[_REPORTED], made[_LISTED] = _money(reported), _money(listed)
        made[_ATTRIBUTES] = self._attributes(slots, (listed == reported) & (listed >= 0))
        columns = [
            self._taken(field, which) if made.get(field.name) is None else _column(made[field.name], field)
            for field in arrow.schema("attempts")
        ]
        return slots.places, pa.Table.from_arrays(columns, schema=arrow.schema("attempts"))

    def _taken(self, field: pa.Field, which: Places) -> Any:
        values = self._fixed[field.name]
        if values.null_count == len(values):
            return pa.nulls(len(which), field.type)
        if pa.types.is_dictionary(field.type):
            return pa.DictionaryArray.from_arrays(values.indices.take(pa.array(which)), values.dictionary)
        return values.take(pa.array(which))

    def _list_costs(self, which: Places, made: dict[str, Any]) -> tuple[Any, Any]:
        if self._sheets is None:
            return np.full(len(which), -1), None
        counts = [self._counts(name, which, made) for name in pricing.TOKENS]
        attempts = [one.attempt for one in self._known]
        priced = self._sheets.price(attempts, which, made["start_time"], np.stack(counts, axis=1))
        names = pa.array([one or "" for one in priced.sources], pa.string())
        unknown = np.array([one is None for one in priced.sources])[priced.source]
        return priced.pico_usd, pa.DictionaryArray.from_arrays(
            pa.array(priced.source.astype(np.int32), mask=unknown), names
        )

    def _counts(self, name: str, which: Places, made: dict[str, Any]) -> Any:
        if name in made:
            return made[name]
        return pc.fill_null(self._fixed[name], 0).to_numpy()[which]

    def _attributes(self, slots: spans.Slots, agreed: Any) -> Any:
        texts = self._fixed["agreed"].take(pa.array(slots.templates))
        if agreed.all():
            return texts
        apart = np.flatnonzero(~agreed)
        some = slots.of(apart)
        shown = {alias: some.cut(spans[0]).to_pylist() for alias, spans in some.spans.items()}
        made = [_filled(self._known[number].apart, shown, row) for row, number in enumerate(some.templates.tolist())]
        return pc.replace_with_mask(texts, pa.array(~agreed), pa.array(made, pa.string()))


def _some(values: dict[str, Any], chosen: Places) -> dict[str, Any]:
    wanted = pa.array(chosen)
    return {
        name: value[chosen] if isinstance(value, np.ndarray) else value.take(wanted) for name, value in values.items()
    }


def _column(value: Any, field: pa.Field) -> Any:
    if isinstance(value, np.ndarray):
        value = pa.array(value)
    if str(field.name).endswith("_s"):
        value = pc.divide(pc.cast(value, pa.float64()), 1e6)
    return pc.cast(value, field.type) if value.type != field.type else value


def _filled(cut: template.Cut | None, slots: dict[str, list[str]], row: int) -> str | None:
    if cut is None:
        return None
    parts = [cut.pieces[0]]
    for alias, piece in zip(cut.slots, cut.pieces[1:], strict=True):
        parts += [slots[alias][row], piece]
    return "".join(parts) or None


def _hashed(ids: Any, context: Context) -> Any:
    """Give the keyed hashes of ids; an empty one is none."""
    hashes = pa.array([context.hashed(one) if one else None for one in ids.dictionary.to_pylist()], pa.string())
    return hashes.take(ids.indices)


def _money(pico: Any) -> Any:
    """Turn counts of 1e-12 USD into decimals; below zero is unknown."""
    words = np.stack([pico, pico >> 63], axis=1)
    valid = np.packbits(pico >= 0, bitorder="little")
    return pa.Array.from_buffers(_MONEY, len(pico), [pa.py_buffer(valid), pa.py_buffer(words)])
