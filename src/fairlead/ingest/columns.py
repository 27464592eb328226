"""Which columns a project keeps: `columns` names all that it wants, `drop` those that it does not.

A column without which a row could not be found, dated or told apart always stays.

>>> kept = Columns.of({"drop": ["tags"]})
>>> kept.dropped["feedback"]
('tags',)
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

import pyarrow as pa
from msgspec import Struct, structs

from fairlead.errors import UsageError
from fairlead.schema import TABLES

__all__ = ["Columns"]

_ALWAYS: Final = {"schema_version", "source_updated_at", "attempt_index"}
_TABLE_OF: Final = {struct: name for name, struct in TABLES.items()}
_WHOLE: Final = {"quarantine", "prices"}  # they hold nothing of a record
Row = TypeVar("Row", bound=Struct)


class Columns(Struct, frozen=True):
    """The columns of each table that are left empty."""

    dropped: dict[str, tuple[str, ...]] = {}

    @classmethod
    def of(cls, settings: Mapping[str, Any], where: str = "[tool.fairlead.ingest]") -> Columns:
        """Read `columns` and `drop`; UsageError names an unknown column and the nearest known one."""
        chosen, unwanted = (_names(settings, key, where) for key in ("columns", "drop"))
        if not chosen and not unwanted:
            return cls()
        optional = {table: _optional(table) for table in TABLES if table not in _WHOLE}
        _check(chosen or (), {field.name for struct in TABLES.values() for field in structs.fields(struct)}, where)
        _check(unwanted or (), {name for names in optional.values() for name in names}, where)
        return cls(
            {
                table: tuple(
                    name for name in names if (chosen is not None and name not in chosen) or name in (unwanted or ())
                )
                for table, names in optional.items()
            }
        )

    def kept(self, row: Row) -> Row:
        """Give the row with nothing in the columns that are dropped."""
        for name in self.dropped.get(_TABLE_OF[type(row)], ()):
            setattr(row, name, None)
        return row

    def kept_columns(self, table: str, rows: pa.Table) -> pa.Table:
        """Give rows of a table with nothing in the columns that are dropped."""
        for name in self.dropped.get(table, ()):
            place = rows.schema.get_field_index(name)
            rows = rows.set_column(place, rows.schema.field(place), pa.nulls(len(rows), rows.schema.field(place).type))
        return rows


def _optional(table: str) -> list[str]:
    return [
        field.name for field in structs.fields(TABLES[table]) if field.default is None and field.name not in _ALWAYS
    ]


def _names(settings: Mapping[str, Any], key: str, where: str) -> Sequence[str] | None:
    found = settings.get(key)
    if found is not None and not (isinstance(found, list) and all(isinstance(name, str) for name in found)):
        raise UsageError(f'{where} {key}: expected a list of column names, as ["tags", "attributes"]')
    return found


def _check(names: Sequence[str], known: set[str], where: str) -> None:
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, sorted(known), n=1)
            hint = f"did you mean {close[0]!r}?" if close else "it is always kept, or there is none of that name"
            raise UsageError(f"{where}: no column {name!r} that could be left out or kept; {hint}")
