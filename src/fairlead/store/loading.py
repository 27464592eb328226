"""Taking one source file into the lake: gather rows, leave out what is known, commit once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from fairlead.errors import StoreError
from fairlead.schema import KEYS, TABLES, Quarantined
from fairlead.store import segments
from fairlead.store.arrow import as_table
from fairlead.store.manifest import Counts, Manifest, Segment, SourceFile

__all__ = ["Load", "LoadResult", "Stored"]

_FLUSH_ROWS: Final = 100_000
_TABLE_OF: Final = {struct: name for name, struct in TABLES.items()}
# Tables whose rows can come back with another day: a score that is changed moves to the day of the change.
_ANY_DAY: Final = frozenset({"feedback", "decisions", "usage", "quarantine"})

# Looks up which keys the lake holds already, and their newest source_updated_at in microseconds.
Stored = Callable[[str, Sequence[str], Sequence[date] | None], dict[str, int | None]]


class LoadResult(Struct, kw_only=True):
    """What became of the records that were read: `read` is the sum of the other three."""

    read: int = 0
    stored: int = 0
    duplicates: int = 0
    quarantined: int = 0
    path: str | None = None
    known: bool = False  # the same content was committed before, so nothing was written
    files: list[LoadResult] = []  # msgspec gives each instance its own


class Load:
    """One commit: what is added becomes visible as a whole when `commit` returns, and not at all before."""

    def __init__(self, lake: Path, manifest: Manifest, source: SourceFile, stored: Stored) -> None:
        self._lake = lake
        self._manifest = manifest
        self._source = source
        self._stored_keys = stored
        self._before = manifest.find(source)
        self._seen: dict[str, dict[str, int | None]] = defaultdict(dict)
        self._waiting: list[Sequence[Struct]] = []
        self._waiting_rows = 0
        self._segments: list[Segment] = []
        self._records = self._stored = self._quarantined = 0

    @property
    def known(self) -> bool:
        """Whether a source with this content, reader and mapping is committed already."""
        return self._before is not None

    def record(self, rows: Sequence[Struct]) -> None:
        """Add one record, which may be rows of several tables; it is a duplicate when all of its rows are known."""
        if not rows:
            raise StoreError(f"{self._source.path}: a record without rows; the reader has to refuse it instead")
        self._records += 1
        self._waiting.append(rows)
        self._waiting_rows += len(rows)
        if self._waiting_rows >= _FLUSH_ROWS:
            self._flush()

    def add(self, table: str, rows: Iterable[Struct]) -> None:
        """Add rows of one table, each of them a record of its own."""
        for row in rows:
            if _TABLE_OF[type(row)] != table:
                raise StoreError(f"a row of {_TABLE_OF[type(row)]} cannot be added to {table}")
            self.record((row,))

    def quarantine(self, row: Quarantined) -> None:
        """Add a line that could not be read."""
        self._quarantined += 1
        self._waiting.append((row,))
        self._waiting_rows += 1

    def commit(self) -> LoadResult:
        """Make everything that was added part of the lake; a source that is known already changes nothing."""
        if self._before is not None:
            before = self._before
            return LoadResult(
                read=before.read,
                duplicates=before.stored + before.duplicates,
                quarantined=before.quarantined,
                path=self._source.path,
                known=True,
            )
        self._flush()
        counts = Counts(
            read=self._records + self._quarantined,
            stored=self._stored,
            duplicates=self._records - self._stored,
            quarantined=self._quarantined,
        )
        self._manifest.commit(self._source, counts, self._segments)
        return LoadResult(
            read=counts.read,
            stored=counts.stored,
            duplicates=counts.duplicates,
            quarantined=counts.quarantined,
            path=self._source.path,
        )

    def _flush(self) -> None:
        tables: dict[str, list[tuple[int, Any]]] = defaultdict(list)
        for ordinal, rows in enumerate(self._waiting):
            for row in rows:
                tables[_TABLE_OF[type(row)]].append((ordinal, row))
        stored: set[int] = set()
        for table, pairs in tables.items():
            stored |= self._flush_table(table, pairs)
        self._stored += sum(not isinstance(self._waiting[ordinal][0], Quarantined) for ordinal in stored)
        self._waiting, self._waiting_rows = [], 0

    def _flush_table(self, table: str, pairs: list[tuple[int, Any]]) -> set[int]:
        """Write the rows that are new or newer, and give the ordinals of the records they belong to."""
        key = KEYS[table]
        days = None if table in _ANY_DAY else sorted({row.event_date for _, row in pairs})
        seen = self._seen[table]
        unseen = [name for _, row in pairs if (name := getattr(row, key)) not in seen]
        seen.update(self._stored_keys(table, unseen, days))
        stored = set()
        partitions: dict[tuple[date, str], list[Any]] = defaultdict(list)
        updates: dict[tuple[date, str], int] = defaultdict(int)
        for ordinal, row in pairs:
            name, version = getattr(row, key), _version(row)
            again = name in seen
            if again and not _newer(version, seen[name]):
                continue
            seen[name] = version
            stored.add(ordinal)
            partitions[row.event_date, row.source].append(row)
            updates[row.event_date, row.source] += again
        for (day, source), rows in sorted(partitions.items(), key=lambda item: item[0]):
            arrow = as_table(table, rows)
            self._segments.append(segments.write(self._lake, table, day, source, arrow, updates[day, source]))
        return stored


def _version(row: Any) -> int | None:
    updated: datetime | None = getattr(row, "source_updated_at", None)
    return None if updated is None else round(updated.timestamp() * 1_000_000)


def _newer(version: int | None, than: int | None) -> bool:
    return version is not None and (than is None or version > than)
