"""The manifest: which segments are in the lake and which source files they came from, in one SQLite file.

A segment that is not listed here does not exist. One transaction a source file is the only commit point there is.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Final

from msgspec import Struct, structs

from fairlead.errors import StoreError
from fairlead.schema import SCHEMA_VERSION
from fairlead.store.lock import exclusive

__all__ = ["Counts", "Manifest", "Segment", "SourceFile"]

_LOCK_TIMEOUT_S: Final = 60.0
_LAYOUT: Final = 3  # of the manifest and the segments
_TABLES: Final = """\
CREATE TABLE IF NOT EXISTS sources (
    id INTEGER PRIMARY KEY,
    path TEXT NOT NULL, sha256 TEXT NOT NULL, bytes INTEGER NOT NULL,
    reader TEXT NOT NULL, mapping_sha256 TEXT NOT NULL,
    read INTEGER NOT NULL, stored INTEGER NOT NULL, duplicates INTEGER NOT NULL, quarantined INTEGER NOT NULL,
    committed_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ')),
    UNIQUE (sha256, reader, mapping_sha256)
) STRICT;
CREATE TABLE IF NOT EXISTS segments (
    path TEXT PRIMARY KEY,
    source_id INTEGER NOT NULL REFERENCES sources (id),
    table_name TEXT NOT NULL, event_date TEXT NOT NULL, sha256 TEXT NOT NULL,
    rows INTEGER NOT NULL, bytes INTEGER NOT NULL, updates INTEGER NOT NULL, schema_version INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS segments_by_date ON segments (table_name, event_date);
CREATE TABLE IF NOT EXISTS marks (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
"""
_MARK: Final = "INSERT INTO marks VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"


class SourceFile(Struct, frozen=True, kw_only=True):
    """A file as it was handed in: the name it had, what was in it, and how it was read."""

    path: str
    sha256: str
    bytes: int
    reader: str = "auto"
    mapping_sha256: str = ""


class Segment(Struct, frozen=True, kw_only=True):
    """One immutable Parquet file of one table, day and source; its path is relative to the lake."""

    path: str
    table: str
    event_date: date
    sha256: str
    rows: int
    bytes: int
    updates: int = 0  # how many of its rows are newer versions of rows stored before
    schema_version: int = SCHEMA_VERSION


class Counts(Struct, frozen=True, kw_only=True):
    """What became of the records of one file."""

    read: int = 0
    stored: int = 0
    duplicates: int = 0
    quarantined: int = 0


class Manifest:
    """The list of what is in the lake."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if self._layout() < _LAYOUT:
            # SQLite does not wait where two processes turn the same new file to WAL: one of them would fail. A lock of
            # its own, since a load holds the lake's for as long as it takes.
            with exclusive(path.with_name("manifest.lock"), _LOCK_TIMEOUT_S):
                self._make()

    def _layout(self) -> int:
        with self._connection() as connection:
            layout = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if layout > _LAYOUT:
            raise StoreError(
                f"{self.path}: written by a newer fairlead (layout {layout}, this one knows {_LAYOUT});"
                " upgrade fairlead"
            )
        if 0 < layout < _LAYOUT:
            raise StoreError(
                f"{self.path}: written by an older fairlead (layout {layout}, this one needs {_LAYOUT});"
                " move this folder away and ingest the logs again"
            )
        return layout

    def _make(self) -> None:
        if self._layout() == _LAYOUT:
            return
        with self._connection() as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version={_LAYOUT}; COMMIT;")

    def commit(
        self, source: SourceFile, counts: Counts, segments: Sequence[Segment], marks: Mapping[str, str] | None = None
    ) -> None:
        """Make a source file, its segments and how far its origin has been read part of the lake, all or nothing."""
        with self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            row = {**structs.asdict(source), **structs.asdict(counts)}
            names = ", ".join(row)
            cursor = connection.execute(
                f"INSERT INTO sources ({names}) VALUES ({', '.join('?' * len(row))})", tuple(row.values())
            )
            connection.executemany(
                "INSERT INTO segments (source_id, path, table_name, event_date, sha256, rows, bytes, updates,"
                " schema_version) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [(cursor.lastrowid, *_values(segment)) for segment in segments],
            )
            connection.executemany(_MARK, (marks or {}).items())
            connection.execute("COMMIT")

    def mark(self, marks: Mapping[str, str]) -> None:
        """Remember how far an origin has been read when what was read is part of the lake already."""
        with self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(_MARK, marks.items())
            connection.execute("COMMIT")

    def marks(self, prefix: str) -> dict[str, str]:
        """Give the marks whose names begin with `prefix`."""
        with self._connection() as connection:
            return dict(
                connection.execute(
                    "SELECT name, value FROM marks WHERE substr(name, 1, ?) = ?", (len(prefix), prefix)
                ).fetchall()
            )

    def find(self, source: SourceFile) -> Counts | None:
        """Give the counts of a source file that was committed before under any name; None when it was not."""
        with self._connection() as connection:
            row = connection.execute(
                "SELECT read, stored, duplicates, quarantined FROM sources"
                " WHERE sha256 = ? AND reader = ? AND mapping_sha256 = ?",
                (source.sha256, source.reader, source.mapping_sha256),
            ).fetchone()
        return None if row is None else Counts(read=row[0], stored=row[1], duplicates=row[2], quarantined=row[3])

    def segments(self, table: str | None = None, dates: Sequence[date] | None = None) -> list[Segment]:
        """Give the committed segments, of one table or of all, on the given days or on all."""
        where, values = ["1"], list[str]()
        if table is not None:
            where.append("table_name = ?")
            values.append(table)
        if dates is not None:
            where.append(f"event_date IN ({', '.join('?' * len(dates))})")
            values.extend(day.isoformat() for day in dates)
        with self._connection() as connection:
            rows = connection.execute(
                "SELECT path, table_name, event_date, sha256, rows, bytes, updates, schema_version FROM segments"
                f" WHERE {' AND '.join(where)} ORDER BY event_date, path",
                values,
            ).fetchall()
        return [
            Segment(
                path=row[0],
                table=row[1],
                event_date=date.fromisoformat(row[2]),
                sha256=row[3],
                rows=row[4],
                bytes=row[5],
                updates=row[6],
                schema_version=row[7],
            )
            for row in rows
        ]

    def sources(self) -> list[tuple[SourceFile, Counts]]:
        """Give every committed source file with what became of its records, oldest first."""
        with self._connection() as connection:
            rows = connection.execute(
                "SELECT path, sha256, bytes, reader, mapping_sha256, read, stored, duplicates, quarantined"
                " FROM sources ORDER BY id"
            ).fetchall()
        return [
            (
                SourceFile(path=row[0], sha256=row[1], bytes=row[2], reader=row[3], mapping_sha256=row[4]),
                Counts(read=row[5], stored=row[6], duplicates=row[7], quarantined=row[8]),
            )
            for row in rows
        ]

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = sqlite3.connect(self.path, timeout=30, isolation_level=None)
            try:
                connection.execute("PRAGMA synchronous=FULL")
                connection.execute("PRAGMA foreign_keys=ON")
                yield connection
            finally:
                connection.close()  # an open transaction is rolled back
        except sqlite3.Error as fault:
            raise StoreError(
                f"{self.path}: {fault}; free space and rights of this folder first, then restore it from a backup"
            ) from fault


def _values(segment: Segment) -> tuple[str | int, ...]:
    values = structs.asdict(segment) | {"event_date": segment.event_date.isoformat()}
    return tuple(values.values())
