"""A table of PostgreSQL as it is read: which columns order it, and the statements over them."""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct

from fairlead.errors import ReadError, UsageError

__all__ = ["Layout", "look"]

_FIND: Final = """\
SELECT c.oid::int8, n.nspname::text, c.relname::text
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND c.relname = $1
  AND CASE WHEN $2::text IS NULL THEN pg_catalog.pg_table_is_visible(c.oid) ELSE n.nspname = $2 END"""
_COLUMNS: Final = """\
SELECT a.attname::text, pg_catalog.format_type(a.atttypid, NULL), a.attnotnull,
       array_position(i.indkey::int2[], a.attnum)
FROM pg_catalog.pg_attribute a
LEFT JOIN pg_catalog.pg_index i ON i.indrelid = a.attrelid AND i.indisprimary
WHERE a.attrelid = $1::int8::oid AND a.attnum > 0 AND NOT a.attisdropped"""
_MOMENTS: Final = ("timestamp without time zone", "timestamp with time zone")


class Layout(Struct, frozen=True, kw_only=True):
    """What a table is ordered by: a moment, and its primary key among rows of one moment."""

    oid: int  # another table under the same name is read from its beginning
    schema: str
    name: str
    cursor: str
    moment: str  # the cursor's type
    keys: tuple[tuple[str, str], ...]  # name and type

    @property
    def title(self) -> str:
        """The table's name, with its schema where that is not the usual one."""
        return self.name if self.schema == "public" else f"{self.schema}.{self.name}"

    def rows(self, *, begun: bool) -> str:
        """Give the statement for the rows after a place: a moment and a key, or a moment alone to begin with.

        PostgreSQL makes the JSON, so that every column type means what it means there. Places travel as text.
        """
        order = ", ".join([_quoted(self.cursor), *(_quoted(name) for name, _ in self.keys)])
        places = ", ".join(f"{_quoted(name)}::text" for name in (self.cursor, *(name for name, _ in self.keys)))
        types = [self.moment, *(kind for _, kind in self.keys)]
        after = ", ".join(f"${number}::text::{kind}" for number, kind in enumerate(types, start=1))
        where = f"({order}) > ({after})" if begun else f"{_quoted(self.cursor)} >= $1::text::{self.moment}"
        return (
            f"SELECT row_to_json(fairlead_row.*)::text, {places} FROM {_quoted(self.schema)}.{_quoted(self.name)}"
            f" AS fairlead_row WHERE {where} ORDER BY {order} LIMIT {{limit}}"
        )

    def now(self) -> str:
        """Give the statement for the moment it is at the server."""
        return f"SELECT now()::{self.moment}::text"

    def earlier(self) -> str:
        """Give the statement for the earlier of two moments."""
        return f"SELECT least($1::text::{self.moment}, $2::text::{self.moment})::text"

    def before(self) -> str:
        """Give the statement for the moment a number of seconds before another."""
        return f"SELECT ($1::text::{self.moment} - make_interval(secs => $2::float8))::text"


async def look(connection: Any, table: str, cursor: str) -> Layout:
    """Look a table up; UsageError when it does not exist or cannot be read in order."""
    schema, _, name = table.rpartition(".")
    found = await connection.fetchrow(_FIND, name, schema or None)
    if found is None:
        raise UsageError(f"table {table!r} is not in this database, or not to be seen by this user; check --table")
    oid, schema, name = found
    columns = {row[0]: tuple(row)[1:] for row in await connection.fetch(_COLUMNS, oid)}
    keys = sorted((place, column, kind) for column, (kind, _, place) in columns.items() if place is not None)
    if not keys:
        raise ReadError(f"table {table!r} has no primary key, so it cannot be read piece by piece; add one")
    if cursor not in columns:
        moments = sorted(column for column, (kind, filled, _) in columns.items() if kind in _MOMENTS and filled)
        raise UsageError(
            f"table {table!r} has no column {cursor!r}; name with --cursor the moment its rows are ordered by"
            + (f": {', '.join(moments)}" if moments else "; this table has none")
        )
    kind, filled, _ = columns[cursor]
    if kind not in _MOMENTS or not filled:
        raise UsageError(
            f"column {cursor!r} of table {table!r} is {kind}{'' if filled else ' and may be null'}; "
            "--cursor needs a timestamp that is never null, or rows would be missed"
        )
    return Layout(
        oid=oid, schema=schema, name=name, cursor=cursor, moment=kind, keys=tuple((one, how) for _, one, how in keys)
    )


def _quoted(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
