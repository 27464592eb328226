"""Taking one source file into the lake: gather rows, leave out what is known, commit once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct

from fairlead.errors import StoreError
from fairlead.schema import KEYS, TABLES, Quarantined
from fairlead.store import connection, layout, segments
from fairlead.store.arrow import as_table, gather
from fairlead.store.manifest import Counts, Manifest, Segment, SourceFile

__all__ = ["Load", "LoadResult"]

_FLUSH_ROWS: Final = 100_000  # of Python objects, which are large
_FLUSH_COLUMNS: Final = 400_000  # of Arrow rows
Places = np.ndarray[Any, np.dtype[np.int64]]
_TABLE_OF: Final = {struct: name for name, struct in TABLES.items()}
# Tables whose rows can come back with another day: a score that is changed moves to the day of the change.
_ANY_DAY: Final = frozenset({"feedback", "decisions", "usage", "quarantine"})
_UNTIMED: Final = frozenset({"sglang"})  # sources whose records may have their day from the file alone


class LoadResult(Struct, kw_only=True):
    """What became of the records that were read: `read` is the sum of the other three."""

    read: int = 0
    stored: int = 0
    duplicates: int = 0
    quarantined: int = 0
    path: str | None = None
    known: bool = False  # the same content was committed before, so nothing was written
    deferred: int = 0  # records at the end of a growing file that are not whole; the next load takes them
    changed: bool = False  # the file no longer begins with what was committed under its name before
    fault: str | None = None  # why a file could not be loaded at all
    files: list[LoadResult] = []  # msgspec gives each instance its own

    @property
    def failed(self) -> list[LoadResult]:
        """The files that could not be loaded."""
        return [file for file in self.files if file.fault is not None]


class Load:
    """One commit: what is added becomes visible as a whole when `commit` returns, and not at all before."""

    def __init__(self, lake: Path, manifest: Manifest, source: SourceFile, con: connection.Connection) -> None:
        self._con = con
        self._lake = lake
        self._manifest = manifest
        self._source = source
        self._before = manifest.find(source)
        self._waiting: list[Sequence[Struct]] = []
        self._waiting_rows = 0
        self._columns: list[pa.Table] = []
        self._columns_rows = 0
        self._segments: list[Segment] = []
        self._writing: dict[str, list[Future[Segment]]] = defaultdict(list)
        self._writer = ThreadPoolExecutor(max_workers=1)
        self._records = self._stored = self._quarantined = 0

    def __enter__(self) -> Load:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.shutdown(wait=True, cancel_futures=True)

    @property
    def known(self) -> bool:
        """Whether a source with this content, reader and mapping is committed already."""
        return self._before is not None

    def record(self, rows: Sequence[Struct]) -> None:
        """Add one record, which may be rows of several tables; it is a duplicate when the first of them is known."""
        if not rows:
            raise StoreError(f"{self._source.path}: a record without rows; the reader has to refuse it instead")
        self._records += 1
        self._waiting.append(rows)
        self._waiting_rows += len(rows)
        if self._waiting_rows >= _FLUSH_ROWS:
            self._flush()

    def attempts(self, rows: pa.Table) -> None:
        """Add attempts, each a record of its own, as a table of canonical columns; `event_id` null is derived."""
        self._records += rows.num_rows
        self._columns.append(layout.physical("attempts", rows))
        self._columns_rows += rows.num_rows
        if self._columns_rows >= _FLUSH_COLUMNS:
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

    def commit(self, marks: Mapping[str, str] | None = None) -> LoadResult:
        """Make everything that was added part of the lake; a source that is known already changes no row.

        The marks, which say how far the source's origin has been read, move with the rows or not at all.
        """
        if self._before is not None:
            if marks:
                self._manifest.mark(marks)
            before = self._before
            return LoadResult(
                read=before.read,
                duplicates=before.stored + before.duplicates,
                quarantined=before.quarantined,
                path=self._source.path,
                known=True,
            )
        self._flush()
        for table in list(self._writing):
            self._written(table)
        counts = Counts(
            read=self._records + self._quarantined,
            stored=self._stored,
            duplicates=self._records - self._stored,
            quarantined=self._quarantined,
        )
        self._manifest.commit(self._source, counts, self._segments, marks)
        return LoadResult(
            read=counts.read,
            stored=counts.stored,
            duplicates=counts.duplicates,
            quarantined=counts.quarantined,
            path=self._source.path,
        )

    def _flush(self) -> None:
        """Hand what waits to the writer: rows of the same table at once, with the records they belong to."""
        tables: dict[str, list[tuple[int, Any]]] = defaultdict(list)
        for ordinal, rows in enumerate(self._waiting):
            for row in rows:
                tables[_TABLE_OF[type(row)]].append((ordinal, row))
        stored: set[int] = set()
        attempts = tables.pop("attempts", [])
        if attempts or self._columns:
            stored |= self._flush_attempts(attempts)
        for table, pairs in tables.items():
            kept = self._keep(table, as_table(table, [row for _, row in pairs]))
            stored.update(pairs[index][0] for index in kept if self._waiting[pairs[index][0]][0] is pairs[index][1])
        self._stored += sum(not isinstance(self._waiting[ordinal][0], Quarantined) for ordinal in stored)
        self._waiting, self._waiting_rows = [], 0

    def _flush_attempts(self, pairs: list[tuple[int, Any]]) -> set[int]:
        parts = list(self._columns)
        if pairs:
            parts.append(layout.physical("attempts", as_table("attempts", [row for _, row in pairs])))
        rows = pa.concat_tables(parts).unify_dictionaries()
        kept = self._keep("attempts", rows)
        plain = self._columns_rows
        self._columns, self._columns_rows = [], 0
        self._stored += int(np.count_nonzero(kept < plain))
        return {pairs[index - plain][0] for index in kept[kept >= plain]}

    def _keep(self, table: str, rows: pa.Table) -> Places:
        """Write the rows that are new or newer, and give their places."""
        anywhere = table in _ANY_DAY or not _UNTIMED.isdisjoint(pc.unique(rows.column("source")).to_pylist())
        days = None if anywhere else pc.unique(rows.column("event_date")).to_pylist()
        found = connection.fresh(self._con, table, KEYS[table], self._files(table, days), _named(table, rows))
        kept: Places = found.column("ordinal").to_numpy()
        again = found.column("again").to_numpy()
        for day, source, chosen in _partitions(rows, kept, segments.ORDER[table]):
            updates = int(again[chosen].sum())
            target = (self._lake, table, day, source)
            self._writing[table].append(self._writer.submit(_write, target, rows, kept[chosen], updates))
        return kept

    def _files(self, table: str, days: Sequence[date] | None) -> list[str]:
        """Give the files that may hold a row already: committed ones, and what this load has written so far."""
        self._written(table)
        own = [one for one in self._segments if one.table == table and (days is None or one.event_date in days)]
        return [str(self._lake / one.path) for one in (*self._manifest.segments(table, days), *own)]

    def _written(self, table: str) -> None:
        """Wait for what is being written of a table."""
        self._segments += [one.result() for one in self._writing.pop(table, [])]


def _write(target: tuple[Path, str, date, str], rows: pa.Table, places: Places, updates: int) -> Segment:
    return segments.write(*target, gather(rows, places), updates)


def _named(table: str, rows: pa.Table) -> pa.Table:
    """Give what tells rows apart, and their places."""
    names = ("event_id", "source", "source_instance", "source_record_id", "attempt_index")
    wanted = [*(names if table == "attempts" else (KEYS[table],)), "source_updated_at"]
    columns = {name: rows.column(name) for name in wanted if name in rows.column_names}
    return pa.table({**columns, "ordinal": np.arange(rows.num_rows)})


def _partitions(rows: pa.Table, kept: Places, by: str) -> Iterator[tuple[date, str, Places]]:
    """Give the days and sources among the kept rows, each with its places in `kept`, in order of time."""
    days = rows.column("event_date").combine_chunks()
    sources = rows.column("source").combine_chunks()
    day = days.cast(pa.int32()).to_numpy()[kept]
    source = sources.indices.to_numpy()[kept]
    when = rows.column(by).combine_chunks().cast(pa.int64()).to_numpy()[kept]
    order = np.lexsort((when, source, day))
    ends = np.flatnonzero((np.diff(day[order]) != 0) | (np.diff(source[order]) != 0)) + 1
    for chosen in np.split(order, ends):
        if len(chosen):
            first = int(kept[chosen[0]])
            yield days[first].as_py(), sources[first].as_py(), chosen
