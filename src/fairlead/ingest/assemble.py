"""Attempts as Arrow columns: what a template holds for all its lines, beside what SQL read of each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct, structs

from fairlead.ingest import pricing, template
from fairlead.ingest.bulk import Bulk
from fairlead.ingest.context import Context
from fairlead.schema import Attempt, record_id
from fairlead.store import arrow

__all__ = ["Assembler", "Fixed", "fixed", "is_plain", "same"]

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
        self._columns: pa.Table | None = None
        self._sheets = None if context.price is None else pricing.Sheets(context.price)
        self._shown: dict[tuple[str, ...], set[str]] = {}

    def add(self, known: Sequence[Fixed], slots: Sequence[tuple[str, ...]]) -> range:
        """Take templates in, and give their numbers."""
        start = len(self._known)
        self._known += known
        for one, order in zip(known, slots, strict=True):
            self._shown.setdefault(order, set()).update(one.apart.slots if one.apart else ())
        if known:
            rows = arrow.as_table("attempts", [one.attempt for one in known])
            before = [] if self._columns is None else [self._columns]
            self._columns = pa.concat_tables([*before, rows]).unify_dictionaries().combine_chunks()
        return range(start, len(self._known))

    def shown(self, slots: tuple[str, ...]) -> list[str]:
        """Name the aliases that attributes may hold."""
        return sorted(self._shown.get(slots, ()))

    def attempts(self, found: pa.Table, context: Context) -> pa.Table:
        """Make the canonical columns of what `Bulk.matches` found; `event_id` is left to be derived."""
        which = found.column("template").to_numpy()
        made: dict[str, Any] = {name: found.column(name) for name in self._bulk.columns}
        made |= {name: _hashed(found.column(f"slot_{alias}"), context) for name, alias in self._bulk.people.items()}
        made["event_id"] = pa.nulls(len(which), pa.string())
        made["ingested_at"] = pa.array([context.ingested_at] * len(which), pa.timestamp("us", tz="UTC"))
        made["event_date"] = pc.cast(made["start_time"], pa.date32())
        listed, made["price_source"] = self._list_costs(which, made)
        reported = found.column(_REPORTED).to_numpy()
        made[_REPORTED], made[_LISTED] = _money(reported), _money(listed)
        made[_ATTRIBUTES] = self._attributes(found, which, (listed == reported) & (listed >= 0))
        columns = []
        for field in arrow.schema("attempts"):
            value = made.get(field.name)
            if value is None:
                value = self._taken(field, which)
            elif str(field.name).endswith("_s"):
                value = pc.divide(pc.cast(value, pa.float64()), 1e6)
            columns.append(pc.cast(value, field.type) if value.type != field.type else value)
        return pa.Table.from_arrays(columns, schema=arrow.schema("attempts"))

    def _taken(self, field: pa.Field, which: Any) -> Any:
        assert self._columns is not None  # noqa: S101  there is no match without a template
        values = self._columns.column(field.name)
        return pa.nulls(len(which), field.type) if values.null_count == len(values) else values.take(pa.array(which))

    def _list_costs(self, which: Any, made: dict[str, Any]) -> tuple[Any, Any]:
        if self._sheets is None:
            return np.full(len(which), -1), pa.nulls(len(which), pa.string())
        start_us = pc.cast(made["start_time"], pa.int64()).to_numpy()
        counts = [self._counts(name, which, made) for name in pricing.TOKENS]
        priced = self._sheets.price([one.attempt for one in self._known], which, start_us, np.stack(counts, axis=1))
        source = pa.DictionaryArray.from_arrays(
            pa.array(priced.source, pa.int32()), pa.array(["" if one is None else one for one in priced.sources])
        )
        empty = pa.array([one is None for one in priced.sources]).take(pa.array(priced.source))
        return priced.pico_usd, pc.if_else(empty, None, pc.cast(source, pa.string()))

    def _counts(self, name: str, which: Any, made: dict[str, Any]) -> Any:
        values = made.get(name)
        if values is None:
            values = self._taken(arrow.schema("attempts").field(name), which)
        return pc.fill_null(pc.cast(values, pa.int64()), 0).to_numpy()

    def _attributes(self, found: pa.Table, which: Any, agreed: Any) -> Any:
        texts = pa.array([one.agreed for one in self._known], pa.string())
        if agreed.all():
            return texts.take(pa.array(which))
        apart = np.flatnonzero(~agreed)
        shown = found.select([name for name in found.column_names if name.startswith("slot_")]).take(apart)
        slots = {name: shown.column(name).to_pylist() for name in shown.column_names}
        made = [_filled(self._known[number].apart, slots, row) for row, number in enumerate(which[apart].tolist())]
        return pc.replace_with_mask(texts.take(pa.array(which)), pa.array(~agreed), pa.array(made, pa.string()))


def _filled(cut: template.Cut | None, slots: dict[str, list[str]], row: int) -> str | None:
    if cut is None:
        return None
    parts = [cut.pieces[0]]
    for alias, piece in zip(cut.slots, cut.pieces[1:], strict=True):
        parts += [slots[f"slot_{alias}"][row], piece]
    return "".join(parts) or None


def _hashed(ids: Any, context: Context) -> Any:
    """Give the keyed hashes of ids; an empty one is none."""
    coded = ids.combine_chunks().dictionary_encode()
    hashes = pa.array([context.hashed(one) if one else None for one in coded.dictionary.to_pylist()], pa.string())
    return hashes.take(coded.indices)


def _money(pico: Any) -> Any:
    """Turn counts of 1e-12 USD into decimals; below zero is unknown."""
    words = np.stack([pico, pico >> 63], axis=1)
    valid = np.packbits(pico >= 0, bitorder="little")
    return pa.Array.from_buffers(_MONEY, len(pico), [pa.py_buffer(valid), pa.py_buffer(words)])
