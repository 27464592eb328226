"""Builds features/*.sql: read, order by what they depend on, run, check the grain.

A feature table is a file; its name is the table's. The first comment says what a row is, `-- grain:` which columns
make it unique. Dependencies are parsed from the SQL, nothing else is declared.
"""

from __future__ import annotations

import graphlib
import json
import re
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from fairlead import store
from fairlead.errors import FeatureError

__all__ = ["FeatureTable", "build_tables", "read_folder"]

_GRAIN: Final = re.compile(r"^--\s*grain:\s*(.+)$", re.MULTILINE)


class FeatureTable(Struct, frozen=True):
    """One file: its name, its SELECT, and the columns that make a row unique."""

    name: str
    path: Path
    sql: str
    grain: tuple[str, ...]

    @property
    def of_request(self) -> bool:
        """True when a row describes a request, False when it describes an endpoint."""
        return "event_id" in self.grain


def read_folder(folder: Path) -> list[FeatureTable]:
    """Read every file of a folder; FeatureError names the file and what it lacks."""
    files = sorted(folder.glob("*.sql"))
    if not files:
        raise FeatureError(f"{folder}: no feature is declared here; add a SELECT, see {folder / 'README.md'}")
    return [_read(path) for path in files]


def _read(path: Path) -> FeatureTable:
    try:
        sql = path.read_text(encoding="utf-8").strip().rstrip(";")
    except UnicodeDecodeError as fault:
        raise FeatureError(f"{path}: not UTF-8 ({fault}); save it as UTF-8") from fault
    if not sql.startswith("--"):
        raise FeatureError(
            f"{path}: no first comment; say what a row is, e.g. `-- How each endpoint did, hour by hour.`"
        )
    found = _GRAIN.search(sql)
    if not found:
        raise FeatureError(
            f"{path}: no `-- grain:` line; say which columns make a row unique, e.g. `-- grain: endpoint, as_of`"
        )
    grain = tuple(part.strip() for part in found.group(1).split(",") if part.strip())
    if "event_id" not in grain and not {"endpoint", "as_of"} <= set(grain):
        raise FeatureError(
            f"{path}: grain {', '.join(grain)}: a row describes a request (event_id) or an endpoint at a moment "
            "(endpoint, as_of)"
        )
    return FeatureTable(path.stem, path, sql, grain)


def build_tables(con: Any, tables: list[FeatureTable]) -> dict[FeatureTable, int]:
    """Create the tables in a database, each after what it reads; give them in that order, with their rows."""
    by_name = {table.name: table for table in tables}
    needs = {table.name: _reads(con, table) & set(by_name) for table in tables}
    try:
        order = list(graphlib.TopologicalSorter(needs).static_order())
    except graphlib.CycleError as fault:
        raise FeatureError(f"features/: {' -> '.join(fault.args[1])} read each other in a circle; break it") from fault
    return {by_name[name]: _build(con, by_name[name]) for name in order}


def _build(con: Any, table: FeatureTable) -> int:
    try:
        # A row of a request is read once, by the join: a copy of every text's features would only take time and room.
        kind = "view" if table.of_request else "table"
        con.execute(f'create or replace {kind} "{table.name}" as {table.sql}')
    except store.DatabaseError as fault:
        raise FeatureError(f"{table.path}: {fault}") from fault
    columns = ", ".join(f'"{column}"' for column in table.grain)
    try:
        counted = con.sql(
            "select coalesce(sum(rows), 0), count(*) "
            f'from (select count(*) as rows from "{table.name}" group by {columns})'
        ).fetchall()
    except store.DatabaseError as fault:
        raise FeatureError(f"{table.path}: its grain names a column that it does not select ({fault})") from fault
    rows, unique = counted[0]
    if rows != unique:
        raise FeatureError(
            f"{table.path}: {rows - unique} of {rows} rows repeat the grain ({', '.join(table.grain)}); "
            "aggregate, or name more columns"
        )
    return int(rows)


def _reads(con: Any, table: FeatureTable) -> set[str]:
    parsed = json.loads(con.sql("select json_serialize_sql(?)", params=[table.sql]).fetchall()[0][0])
    if parsed.get("error"):
        raise FeatureError(f"{table.path}: {parsed.get('error_message')}; correct the SQL")
    return _base_tables(parsed)


def _base_tables(node: Any) -> set[str]:
    if isinstance(node, list):
        return set().union(*map(_base_tables, node))
    if not isinstance(node, dict):
        return set()
    mine = {str(node["table_name"])} if node.get("type") == "BASE_TABLE" else set()
    given: set[str] = set()  # a name that the query itself gives to a subquery is no file, even when a file has it
    for entry in (node.get("cte_map") or {}).get("map", []):
        mine |= _base_tables(entry["value"]) - given
        given.add(str(entry["key"]))
    return mine | (set().union(*(_base_tables(part) for name, part in node.items() if name != "cte_map")) - given)
