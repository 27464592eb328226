"""Taking log files into the lake."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import IO, Any, Final

from msgspec import Struct

from fairlead import store
from fairlead.errors import ReadError, UsageError
from fairlead.ingest import costs, files, prices, quarantine, texts
from fairlead.ingest import mapping as mappings
from fairlead.ingest.context import Context
from fairlead.ingest.lines import Entry, entries
from fairlead.ingest.quarantine import UNKNOWN_FORMAT, UNKNOWN_VALUE, BadRecordError
from fairlead.ingest.readers import Reader, all_readers
from fairlead.ingest.stream import Lanes
from fairlead.project import Project
from fairlead.schema import Attempt, Quarantined
from fairlead.store import Load, LoadResult, SourceFile

__all__ = ["Progress", "load"]

AUTO: Final = "auto"
_GENERIC: Final = "generic"
_TOLD_EVERY: Final = 2_000

# Called with the file, the records read from it so far, and whether it is finished.
Progress = Callable[[Path, int, bool], None]


def load(
    project: Project,
    paths: Iterable[Path | str],
    *,
    reader: str = AUTO,
    mapping: Path | None = None,
    progress: Progress | None = None,
) -> LoadResult:
    """Take files, folders and globs into the project's lake, one commit a file, and count what became of each record.

    A file whose content is in the lake already changes nothing. A record that cannot be read goes to the quarantine
    table. A file that stands beside a mapping of its own name (`scores.csv`, `scores.toml`) is read by it. Raises
    ReadError for a file that cannot be read at all; the files before it stay loaded.
    """
    found = files.find(paths)
    with _fewer_collections():
        return _load_files(project, found, reader, mapping, progress)


def _load_files(
    project: Project, found: list[Path], reader: str, mapping: Path | None, progress: Progress | None
) -> LoadResult:
    readers = _readers(reader, mapping)
    context = _context(project)
    lake = store.open_lake(project.lake)
    chosen = None if mapping is None else mappings.read(mapping)
    usual = Lanes(readers)
    results = []
    for path in found:
        beside = _mapping_beside(path)
        own = mappings.read(beside) if chosen is None and reader == AUTO and _is_mapping(beside) else chosen
        chosen_readers = [all_readers()[_GENERIC]] if own else readers
        lanes = Lanes(chosen_readers) if own else usual
        job = _Job(path=path, reader=reader, readers=chosen_readers, progress=progress, lanes=lanes)
        results.append(_load_file(lake, job, replace(context, mapping=own)))
    return LoadResult(
        read=sum(result.read for result in results),
        stored=sum(result.stored for result in results),
        duplicates=sum(result.duplicates for result in results),
        quarantined=sum(result.quarantined for result in results),
        files=results,
    )


def _mapping_beside(path: Path) -> Path:
    """Name the mapping that would belong to a file: `a.b.jsonl.gz` -> `a.b.toml`."""
    plain = path.with_suffix("") if path.suffix in {".gz", ".zst"} else path
    return plain.with_suffix(".toml")


class _Job(Struct, frozen=True):
    path: Path
    reader: str
    readers: list[Any]
    progress: Progress | None
    lanes: Lanes


def _load_file(lake: store.Lake, job: _Job, context: Context) -> LoadResult:
    try:
        with job.path.open("rb") as opened:
            sha256, size = files.digest(opened)
            source = SourceFile(
                path=str(job.path),
                sha256=sha256,
                bytes=size,
                reader=_GENERIC if context.mapping else job.reader,
                mapping_sha256="" if context.mapping is None else context.mapping.sha256,
            )
            with lake.loading(source) as load:
                if not load.known:
                    _take_all(load, opened, size, job, replace(context, ingested_at=datetime.now(UTC)))
                result = load.commit()
    except ReadError as fault:
        raise ReadError(f"{job.path}: {fault}" if str(job.path) not in str(fault) else str(fault)) from fault
    except OSError as fault:
        raise ReadError(f"{job.path}: {fault.strerror}; nothing of this file was loaded, load it again") from fault
    if job.progress is not None:
        job.progress(job.path, result.read, True)
    return result


def _take_all(load: Load, opened: IO[bytes], size: int, job: _Job, context: Context) -> None:
    last = job.readers[0]
    kind = files.kind(job.path)
    found = job.lanes.entries(load, files.chunks(opened, size), context) if kind == ".jsonl" else None
    for count, entry in enumerate(found or entries(opened, size, kind), start=1):
        last = _take(load, entry, last, job, context)
        if job.progress is not None and count % _TOLD_EVERY == 0:
            job.progress(job.path, count, False)


def _take(load: Load, entry: Entry, last: Reader, job: _Job, context: Context) -> Reader:
    """Add what an entry holds to the load, each record as rows or as quarantined, and give the reader that knew it."""
    try:
        entry = texts.offered(entry, job.readers)
        if isinstance(entry.record, BadRecordError):
            raise entry.record
        last = _reader(entry.record, last, job)
        split = getattr(last, "split", None)
        records = [entry.record] if split is None else list(split(entry.record))
        if not records:
            raise BadRecordError(UNKNOWN_VALUE, "a document without a single record")
    except Exception as fault:  # a reader must not be able to stop a load over what one record holds
        load.quarantine(_bad(fault, entry, entry.raw, job, context))
        return last
    for record in records:
        try:
            rows = tuple(last.read(record, context))
        except Exception as fault:
            load.quarantine(_bad(fault, entry, entry.raw if record is entry.record else record, job, context))
        else:
            load.record(rows)
    return last


def _bad(fault: Exception, entry: Entry, raw: Any, job: _Job, context: Context) -> Quarantined:
    return quarantine.row(
        quarantine.explain(fault),
        file=str(job.path),
        line=entry.line,
        byte_offset=entry.byte_offset,
        raw=raw,
        ingested_at=context.ingested_at,
    )


def _reader(record: dict[str, Any], last: Reader, job: _Job) -> Reader:
    if len(job.readers) == 1 or last.recognises(record):
        return last
    for reader in job.readers:
        found: Reader = reader
        if found.recognises(record):
            return found
    raise BadRecordError(UNKNOWN_FORMAT, "no reader knows this record; name one, or write a mapping")


def _readers(name: str, mapping: Path | None) -> list[Reader]:
    known = all_readers()
    if mapping is not None and name not in (AUTO, _GENERIC):
        raise UsageError(f"reader {name!r} takes no mapping; leave one of the two out")
    if name == _GENERIC and mapping is None:
        raise UsageError("reader 'generic' needs a mapping; give the TOML file that says what the columns mean")
    if name == AUTO:
        return [reader for reader in known.values() if reader.NAME != _GENERIC]
    if name not in known:
        raise UsageError(f"no reader {name!r}; there are {', '.join((AUTO, *sorted(known)))}")
    return [known[name]]


@contextmanager
def _fewer_collections() -> Iterator[None]:
    """Look for garbage less often: records hold no cycles, and looking takes a third of a load's time."""
    before = gc.get_threshold()
    gc.set_threshold(200_000, 50, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _is_mapping(path: Path) -> bool:
    return path.is_file() and b"[columns]" in path.read_bytes()


def _context(project: Project) -> Context:
    settings = project.settings.get("ingest", {})
    unknown = sorted(set(settings) - {"source_instance", "trace_is_session"})
    if unknown:
        raise UsageError(
            f"{project.root / 'pyproject.toml'} [tool.fairlead.ingest]: unknown key {unknown[0]!r};"
            " known are source_instance, trace_is_session"
        )
    return Context(
        ingested_at=datetime.now(UTC),
        hash_key=project.hash_key(),
        source_instance=settings.get("source_instance"),
        trace_is_session=bool(settings.get("trace_is_session", False)),
        price=partial(_price, prices.of(project)) if project.prices.is_file() else None,
    )


def _price(book: prices.PriceBook, attempt: Attempt) -> None:
    attempt.list_cost_usd, attempt.price_source = costs.list_cost(book, attempt)
