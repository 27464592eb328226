"""The Arrow form of the canonical tables, derived from their classes so that a column is declared once.

>>> schema("feedback").field("time").type
TimestampType(timestamp[us, tz=UTC])
"""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, Final, Union, get_args, get_origin, get_type_hints

import numpy as np
import pyarrow as pa
from msgspec import Meta, Struct, structs

from fairlead.schema import TABLES, Candidate

__all__ = ["as_table", "gather", "schema"]

_PLAIN: Final[dict[Any, Any]] = {
    str: pa.string(),
    bool: pa.bool_(),
    int: pa.int64(),
    float: pa.float64(),
    bytes: pa.binary(),
    date: pa.date32(),
    datetime: pa.timestamp("us", tz="UTC"),
    Decimal: pa.decimal128(18, 12),
}
_HINTS: Final[dict[str, Any]] = {
    "int16": pa.int16(),
    "decimal128(18, 12)": pa.decimal128(18, 12),
    "decimal128(24, 15)": pa.decimal128(24, 15),
}


@cache
def schema(table: str) -> pa.Schema:
    """Give the Arrow schema of a canonical table."""
    struct = TABLES[table]
    return pa.schema(
        [pa.field(name, *_type(hint)) for name, hint in get_type_hints(struct, include_extras=True).items()],
        metadata={"fairlead_table": table},
    )


def as_table(table: str, rows: Sequence[Struct]) -> pa.Table:
    """Turn rows of a canonical table into Arrow."""
    target = schema(table)
    columns = zip(*(structs.astuple(row) for row in rows), strict=True)
    arrays = [_array(values, field.type) for values, field in zip(columns, target, strict=True)]
    return pa.Table.from_arrays(arrays, schema=target)


def gather(rows: pa.Table, places: Any) -> pa.Table:
    """Give some rows of a table by their places, a numpy array; columns that are empty need not be moved."""
    if len(places) and places[-1] - places[0] + 1 == len(places) and (np.diff(places) == 1).all():
        return rows.slice(int(places[0]), len(places))
    wanted = pa.array(places)
    columns = [
        pa.nulls(len(places), column.type) if column.null_count == len(column) else column.take(wanted)
        for column in rows.columns
    ]
    return pa.Table.from_arrays(columns, schema=rows.schema)


def _type(hint: Any) -> tuple[Any, bool]:
    """Give the Arrow type of an annotation, and whether it may be null."""
    origin = get_origin(hint)
    if origin in (types.UnionType, Union):
        (inner,) = [part for part in get_args(hint) if part is not type(None)]
        return _type(inner)[0], True
    if origin is Annotated:
        base, *metas = get_args(hint)
        return _hinted(base, [meta for meta in metas if isinstance(meta, Meta)]), False
    if origin is dict:
        key, value = get_args(hint)
        return pa.map_(_type(key)[0], _type(value)[0]), False
    if origin is list:
        (item,) = get_args(hint)
        # A bare list of floats is a vector of features, which are float32 from their making.
        return pa.list_(pa.float32() if item is float else _type(item)[0]), False
    if hint is Candidate:
        hints = get_type_hints(Candidate, include_extras=True)
        return pa.struct([pa.field(name, *_type(part)) for name, part in hints.items()]), False
    return _PLAIN[hint], False


def _hinted(base: Any, metas: Sequence[Meta]) -> Any:
    for meta in metas:
        extra = meta.extra or {}
        if extra.get("dictionary"):
            return pa.dictionary(pa.int32(), pa.string())
        if "arrow" in extra:
            return _HINTS[extra["arrow"]]
        if base is bytes and meta.max_length is not None and meta.max_length == meta.min_length:
            return pa.binary(meta.max_length)
    return _PLAIN[base]


def _array(values: Sequence[Any], kind: Any) -> Any:
    if all(value is None for value in values):
        return pa.nulls(len(values), kind)
    if pa.types.is_dictionary(kind):  # encoding at once is several times faster than building value by value
        return pa.array(values, pa.string()).dictionary_encode()
    reshape = _reshape(kind)
    if reshape is not None:
        values = [None if value is None else reshape(value) for value in values]
    return pa.array(values, kind)


def _reshape(kind: Any) -> Callable[[Any], Any] | None:
    if pa.types.is_map(kind):
        return _items
    if pa.types.is_list(kind) and pa.types.is_struct(kind.value_type):
        return _as_dicts
    return None


def _items(value: dict[str, Any]) -> list[tuple[str, Any]]:
    return list(value.items())


def _as_dicts(value: list[Struct]) -> list[dict[str, Any]]:
    return [structs.asdict(item) for item in value]
