"""The only door to DuckDB: connections, queries, the views over the lake."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import duckdb
import pyarrow as pa

from fairlead.errors import StoreError
from fairlead.store import views

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Connection", "DatabaseError", "arrow", "fresh", "load_prices", "query", "replace_database"]

Connection: TypeAlias = "duckdb.DuckDBPyConnection"
DatabaseError = duckdb.Error


def connect(database: Path | None = None, *, read_only: bool = False) -> Connection:
    """Open DuckDB in memory, or on a file, with times in UTC."""
    try:
        con = duckdb.connect(":memory:" if database is None else str(database), read_only=read_only)
        con.execute("SET TimeZone = 'UTC'")
        # Where DuckDB guesses the left side of an ASOF join to be small, it pairs every row with every row of its key.
        con.execute("SET asof_loop_join_threshold = 0")
    except duckdb.Error as fault:
        raise StoreError(
            f"{database}: DuckDB cannot open it ({fault}); delete it, it is rebuilt from the lake"
        ) from fault
    return con


def query(con: Connection, sql: str, params: Sequence[Any] | Mapping[str, Any] | None = None) -> pl.DataFrame:
    """Run one SELECT and give its rows as a polars frame."""
    try:
        return cast("pl.DataFrame", con.sql(sql, params=params).pl())
    except duckdb.Error as fault:
        raise StoreError(f"a query failed: {fault}\n{sql.strip()}") from fault


def load_prices(con: Connection, path: Path) -> None:
    """Make the view `prices` (one row a meter) over a price catalogue, and `price_list` over its rows as they are."""
    name = str(path.resolve()).replace("'", "''")
    try:
        con.execute(views.PRICES.format(path=name))
        con.execute(f"CREATE OR REPLACE VIEW price_list AS SELECT * FROM read_csv('{name}', header = true)")
    except duckdb.Error as fault:
        raise StoreError(f"{path}: not a price catalogue ({fault}); see data/README.md for its columns") from fault


def make_views(con: Connection, statements: Sequence[str]) -> None:
    """Run the statements that define the views; StoreError when a segment cannot be read."""
    try:
        for statement in statements:
            con.execute(statement)
    except duckdb.Error as fault:
        raise StoreError(f"the lake cannot be read: {fault}; `Lake.verify` names the damaged segments") from fault


def fresh(con: Connection, table: str, key: str, files: Sequence[str], incoming: pa.Table) -> pa.Table:
    """Give which rows of `incoming` the files do not hold, or hold in an older version; see `views.fresh`."""
    try:
        return arrow(con, views.fresh(table, key, files), {"incoming": incoming})
    except duckdb.Error as fault:
        raise StoreError(f"the lake cannot be read: {fault}; `Lake.verify` names the damaged segments") from fault


def arrow(con: Connection, sql: str, tables: Mapping[str, pa.Table]) -> pa.Table:
    """Run one SELECT over Arrow tables and give an Arrow table; duckdb.Error is the caller's to explain."""
    for name, table in tables.items():
        con.register(name, table)
    try:
        return con.sql(sql).to_arrow_table()
    finally:
        for name in tables:
            con.unregister(name)


def replace_database(database: Path, build: Callable[[Connection], None]) -> None:
    """Build a DuckDB file beside `database` and put it in its place, so that whoever has the old one open keeps it."""
    database.parent.mkdir(parents=True, exist_ok=True)
    temporary = database.with_name(f".{database.name}.{uuid.uuid4().hex}.tmp")
    try:
        con = connect(temporary)
        try:
            build(con)
        finally:
            con.close()
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o640)
        temporary.replace(database)
    finally:
        temporary.unlink(missing_ok=True)
        temporary.with_name(temporary.name + ".wal").unlink(missing_ok=True)
