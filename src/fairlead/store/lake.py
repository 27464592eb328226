"""The lake: immutable Parquet segments, the manifest that lists them, and SQL views over both."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pyarrow.parquet as pq
from msgspec import Struct

from fairlead.errors import StoreError
from fairlead.schema import KEYS, SCHEMA_VERSION, TABLES
from fairlead.store import connection, layout, segments, views
from fairlead.store.loading import Load
from fairlead.store.lock import exclusive
from fairlead.store.manifest import Manifest, Segment, SourceFile

__all__ = ["Fault", "Lake", "open_lake"]

_SCHEMAS: Final = ".schema"
_LOCK_TIMEOUT_S: Final = 600.0


class Fault(Struct, frozen=True, kw_only=True):
    """A segment that is not as the manifest says."""

    path: str
    fault: str  # missing, size, sha256


class Lake:
    """All the data of a project."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._manifest = Manifest(root / "manifest.sqlite")

    @contextmanager
    def loading(self, source: SourceFile, *, timeout_s: float = _LOCK_TIMEOUT_S) -> Iterator[Load]:
        """Take in one source file as the only writer; what was added counts only when `commit` was reached."""
        with exclusive(self.root / "lock", timeout_s):
            con = connection.connect()
            try:
                with Load(self.root, self._manifest, source, con) as load:
                    yield load
            finally:
                con.close()

    def segments(self, table: str) -> list[Path]:
        """Give the files of a table's committed segments, oldest day first."""
        return [self.root / segment.path for segment in self._manifest.segments(_checked(table))]

    def sources(self) -> list[tuple[SourceFile, Any]]:
        """Give every committed source file with what became of its records, oldest first."""
        return list(self._manifest.sources())

    def listed(self) -> list[Segment]:
        """Give what the manifest says of every committed segment, oldest day first."""
        return self._manifest.segments()

    def marks(self, prefix: str) -> dict[str, str]:
        """Give how far origins have been read (a table's newest row, an object's version), by name."""
        return self._manifest.marks(prefix)

    def connect(
        self, database: Path | None = None, *, as_of: datetime | None = None, without: Sequence[Fault] = ()
    ) -> connection.Connection:
        """Open DuckDB (in memory, or on `database`) with a view for each table and `requests` over the attempts.

        The views show what is committed now, and go on showing it: a connection is a consistent picture. With `as_of`
        they show what the sources knew then: attempts that were over, feedback that had been given, each in its
        version of that moment. The segments of the faults `without` are left out. Close it.
        """
        con = connection.connect(database)
        try:
            self._make_views(con, as_of, {one.path for one in without})
        except BaseException:
            con.close()
            raise
        return con

    def rebuild(self, database: Path, build: Callable[[connection.Connection], None] | None = None) -> None:
        """Write the DuckDB file anew and put it in place at once; `build` may add tables to it first.

        Whoever has the old file open goes on reading it and never holds this up.
        """

        def everything(con: connection.Connection) -> None:
            self._make_views(con)
            if build is not None:
                build(con)

        connection.replace_database(database, everything)

    def verify(self) -> list[Fault]:
        """Read every committed segment and compare it with the manifest; no faults, empty list."""
        faults = ((segment, self._fault(segment)) for segment in self._manifest.segments())
        return [Fault(path=segment.path, fault=fault) for segment, fault in faults if fault]

    def sweep(self, *, timeout_s: float = _LOCK_TIMEOUT_S) -> list[Path]:
        """Remove what interrupted loads left behind, as the only writer, and give the removed files."""
        with exclusive(self.root / "lock", timeout_s):
            listed = {self.root / segment.path for segment in self._manifest.segments()}
            found = (path for table in TABLES for path in (self.root / table).rglob("*"))
            strays = sorted(
                path
                for path in found
                if path.suffix in {".parquet", segments.TEMPORARY} and path not in listed and path.is_file()
            )
            for path in strays:
                path.unlink()
        return strays

    def _fault(self, segment: Segment) -> str | None:
        path = self.root / segment.path
        if not path.is_file():
            return "missing"
        if path.stat().st_size != segment.bytes:
            return "size"
        return None if segments.digest(path) == segment.sha256 else "sha256"

    def _make_views(
        self, con: connection.Connection, as_of: datetime | None = None, without: Collection[str] = ()
    ) -> None:
        listed: dict[str, list[Segment]] = {table: [] for table in TABLES}
        for segment in self._manifest.segments():
            if segment.path not in without:
                listed[segment.table].append(segment)
        statements = [self._view(table, found, as_of) for table, found in listed.items()]
        connection.make_views(con, [*statements, views.FINAL_ATTEMPTS, views.REQUESTS])

    def _view(self, table: str, found: Sequence[Segment], as_of: datetime | None) -> str:
        # The empty file gives the view its columns when there is no segment, and columns added since.
        files = [str(self._empty(table)), *(str(self.root / segment.path) for segment in found)]
        updated = [str(self.root / segment.path) for segment in found if segment.updates]
        by_name = any(segment.schema_version != SCHEMA_VERSION for segment in found)
        return views.table_view(table, KEYS.get(table), files, updated, by_name, as_of)

    def _empty(self, table: str) -> Path:
        path = self.root / _SCHEMAS / f"{table}-{_fingerprint(table)}.parquet"
        if not path.is_file():
            path.parent.mkdir(exist_ok=True)
            temporary = path.with_name(f"{uuid4().hex}{segments.TEMPORARY}")
            pq.write_table(layout.schema(table).empty_table(), temporary)
            with temporary.open("rb+") as written:
                os.fsync(written.fileno())
            temporary.replace(path)
        return path


def open_lake(root: Path) -> Lake:
    """Open the lake in `root`, making its folder and manifest on first use."""
    try:
        segments.make(root)
    except OSError as fault:
        raise StoreError(f"{root}: the lake's folder cannot be made ({fault.strerror}); check its parent") from fault
    return Lake(root.resolve())


def _fingerprint(table: str) -> str:
    return hashlib.sha256(layout.schema(table).serialize().to_pybytes()).hexdigest()[:16]


def _checked(table: str) -> str:
    if table not in TABLES:
        raise StoreError(f"no table {table!r}; the tables are {', '.join(TABLES)}")
    return table
