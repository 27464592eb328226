"""How the tables lie on disk: the canonical columns without what can be had back from the others.

Ids are most of a row's bytes, so an id that repeats another one is written as the empty text, which no id can be, and
an `event_id` that follows from its record's name is not written at all. Durations are whole microseconds, as the
moments they were taken from. The reported cost is written as its difference from the list cost, mostly 0. The views
give the canonical columns back.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final, get_type_hints

import pyarrow as pa
import pyarrow.compute as pc

from fairlead.schema import Attempt, Seconds, record_id
from fairlead.store import arrow

__all__ = ["encodings", "identity", "logical", "physical", "schema"]

_REPEATS: Final = {  # column: the one it may repeat; each is resolved before those that may repeat it
    "request_id": "source_record_id",
    "trace_id": "request_id",
    "conversation_id": "trace_id",
    "response_id": "source_record_id",
    "span_id": "source_record_id",
}
_REPORTED: Final = "reported_less_list_usd"
_NAME: Final = "concat_ws(chr(31), source, coalesce(source_instance, ''), source_record_id, attempt_index)"
_UNSORTED_IDS: Final = "DELTA_LENGTH_BYTE_ARRAY"
_NUMBERS: Final = "DELTA_BINARY_PACKED"


@cache
def _seconds() -> tuple[str, ...]:
    hints = get_type_hints(Attempt, include_extras=True)
    return tuple(name for name, hint in hints.items() if Seconds in getattr(hint, "__args__", ()) or hint is Seconds)


@cache
def schema(table: str) -> pa.Schema:
    """Give the Arrow schema that the segments of a table have."""
    plain = arrow.schema(table)
    if table != "attempts":
        return plain
    return pa.schema([_field(field) for field in plain], metadata=plain.metadata)


def _field(field: pa.Field) -> pa.Field:
    if field.name == "event_id":
        return field.with_nullable(True)
    if field.name in _seconds():
        return pa.field(_micro(field.name), pa.int64(), field.nullable)
    return field.with_name(_REPORTED) if field.name == "reported_cost_usd" else field


def physical(table: str, rows: pa.Table) -> pa.Table:
    """Turn canonical columns into those of a segment."""
    if table != "attempts":
        return rows
    columns = {name: rows.column(name) for name in rows.column_names}
    columns["event_id"] = _event_ids(rows)
    for name, base in _REPEATS.items():
        columns[name] = _without_repeats(rows.column(name), rows.column(base))
    columns["reported_cost_usd"] = _less(rows.column("reported_cost_usd"), rows.column("list_cost_usd"))
    for name in _seconds():
        columns[name] = pc.cast(pc.round(pc.multiply(rows.column(name), 1e6)), pa.int64())
    return pa.Table.from_arrays(list(columns.values()), schema=schema(table))


def logical(table: str) -> str:
    """Give the SELECT list that makes the canonical columns of a segment's."""
    if table != "attempts":
        return "*"
    return ", ".join(f"{_expression(name)} AS {name}" for name in arrow.schema(table).names)


def identity(table: str, key: str) -> tuple[str, str]:
    """Give the SQL, over a segment's columns, of what names a record and of a part of it that is quick to find."""
    if table != "attempts":
        return key, key
    return f"coalesce(event_id, {_NAME})", "source_record_id"


@cache
def encodings(table: str) -> dict[str, Any]:
    """Give how the columns of a segment are to be written."""
    if table != "attempts":
        return {}
    dense = dict.fromkeys(("event_id", "source_record_id", *_REPEATS), _UNSORTED_IDS)
    dense |= {_micro(name): _NUMBERS for name in _seconds()} | {"start_time": _NUMBERS}
    rest = [field.name for field in schema(table) if field.name not in dense and not pa.types.is_nested(field.type)]
    nested = [f"{name}.key_value.{part}" for name in ("tags", "usage_details") for part in ("key", "value")]
    return {"column_encoding": dense, "use_dictionary": [*rest, *nested], "store_decimal_as_integer": True}


def _event_ids(rows: pa.Table) -> pa.Array:
    if rows.column("event_id").null_count == rows.num_rows:
        return pa.nulls(rows.num_rows, pa.string())
    given = rows.column("event_id").to_pylist()
    parts = ("source", "source_instance", "source_record_id", "attempt_index")
    derived = map(record_id, *(rows.column(name).to_pylist() for name in parts))
    return pa.array([None if own == name else own for own, name in zip(given, derived, strict=True)], pa.string())


def _without_repeats(column: Any, base: Any) -> Any:
    return pc.if_else(pc.fill_null(pc.equal(column, base), False), "", column)


def _less(reported: Any, listed: Any) -> Any:
    zero = pa.scalar(0, pa.decimal128(18, 12))
    return pc.cast(pc.subtract(reported, pc.fill_null(listed, zero)), pa.decimal128(18, 12))


def _micro(name: str) -> str:
    return name.removesuffix("_s") + "_us"


def _expression(name: str) -> str:
    if name == "event_id":
        return f"coalesce(event_id, left(sha256({_NAME}), 32))"  # as schema.record_id has it
    if name in _REPEATS:
        return f"CASE {name} WHEN '' THEN {_expression(_REPEATS[name])} ELSE {name} END"
    if name == "route":
        return "coalesce(route, tags['route'], request_model)"
    if name == "reported_cost_usd":
        return f"CAST({_REPORTED} + coalesce(list_cost_usd, 0) AS DECIMAL(18, 12))"
    return f"{_micro(name)} / 1e6" if name in _seconds() else name
