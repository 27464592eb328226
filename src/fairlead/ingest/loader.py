"""Taking log files into the lake."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import IO, Any, Final

from msgspec import structs

from fairlead import store
from fairlead.errors import ReadError, UsageError
from fairlead.ingest import costs, encoding, files, prices, quarantine, settings, sources, taken, texts, verdict
from fairlead.ingest import mapping as mappings
from fairlead.ingest.columns import Columns
from fairlead.ingest.context import Context
from fairlead.ingest.lines import Entry, UnfinishedError, entries
from fairlead.ingest.quarantine import UNKNOWN_FORMAT, UNKNOWN_VALUE, BadRecordError
from fairlead.ingest.readers import Reader, all_readers
from fairlead.ingest.sources import local
from fairlead.ingest.stream import Lanes
from fairlead.ingest.written import written_at
from fairlead.project import Project
from fairlead.schema import Attempt, Quarantined
from fairlead.store import Load, LoadResult, SourceFile

__all__ = ["Progress", "load"]

AUTO: Final = "auto"
_GENERIC: Final = "generic"
_TOLD_EVERY: Final = 2_000
_PLAIN: Final = sources.Options()

# Called with the file, the records read from it so far, and whether it is finished.
Progress = Callable[[Path, int, bool], None]


def load(
    project: Project,
    paths: Iterable[Path | str],
    *,
    reader: str = AUTO,
    mapping: Path | None = None,
    options: sources.Options = _PLAIN,
    progress: Progress | None = None,
) -> LoadResult:
    """Take files, folders, globs and URLs into the project's lake, one commit a file, and count their records.

    A file whose content is in the lake already changes nothing. A record that cannot be read goes to the quarantine
    table; one that is still being written at the end of its file is deferred to the next load. A file that stands
    beside a mapping of its own name (`scores.csv`, `scores.toml`) is read by it. Raises LoadError, with the result,
    when a file could not be read at all or more than `max_quarantined_share` of what was read is in quarantine: what
    could be loaded is. Raises StoreError at once when the lake cannot take more. With `options.remove`, a file goes
    once it is committed, and is set aside as `NAME.refused` where a record of it could not be read.
    """
    readers = _readers(reader, mapping)
    asked = settings.read(project)
    chosen = None if mapping is None else mappings.read(mapping)
    if chosen is not None:
        readers = [all_readers()[_GENERIC]]
    how = f"{reader} {'' if chosen is None else chosen.sha256}"
    found, refused = sources.find(paths, options, lambda prefix: store.open_lake(project.lake).marks(prefix), how)
    lanes = Lanes(readers, asked.columns)
    job = _Job(
        path=Path(), name="", kind="", reader=reader, readers=readers, progress=progress, lanes=lanes,
        columns=asked.columns, remove=options.remove,
    )  # fmt: skip
    results = [LoadResult(path=name, fault=fault) for name, fault in refused.items()]
    with _fewer_collections():
        lake = store.open_lake(project.lake)
        results += _load_sources(lake, found, job, replace(_context(project, asked), mapping=chosen))
    total = LoadResult(
        read=sum(result.read for result in results),
        stored=sum(result.stored for result in results),
        duplicates=sum(result.duplicates for result in results),
        quarantined=sum(result.quarantined for result in results),
        deferred=sum(result.deferred for result in results),
        changed=any(result.changed for result in results),
        files=results,
    )
    return verdict.judge(total, asked.max_quarantined_share)


def _load_sources(
    lake: store.Lake, found: dict[str, sources.Source], job: _Job, context: Context
) -> Iterator[LoadResult]:
    """Load every source, and say of each part what became of it; one that fails does not stop the others."""
    before = {source.path: source for source, _ in lake.sources()}
    for name, source in found.items():
        part = None
        try:
            with closing(source.parts()) as parts:
                for part in parts:
                    yield _load_part(lake, part, *_for_part(part, job, context), before.get(part.name))
                    part = None  # noqa: PLW2901  what fails now is the source's next part, which has no name yet
        except ReadError as fault:
            named = part.name if part is not None else sources.without_secrets(name)
            yield LoadResult(path=named, fault=str(fault).removeprefix(f"{named}: "))


def _for_part(part: sources.Part, job: _Job, context: Context) -> tuple[_Job, Context]:
    """Give the job of one part, by the mapping that stands beside it where there is one and none was chosen."""
    job = replace(
        job,
        path=part.path or Path(part.name),
        name=part.name,
        kind="" if part.file is None else files.kind(part.name, part.file, part.size),
    )
    beside = _mapping_beside(part.path) if part.path is not None else None
    if beside is None or context.mapping is not None or job.reader != AUTO or not _is_mapping(beside):
        return job, context
    generic = [all_readers()[_GENERIC]]
    return replace(job, readers=generic, lanes=Lanes(generic, job.columns)), replace(
        context, mapping=mappings.read(beside)
    )


def _mapping_beside(path: Path) -> Path:
    """Name the mapping that would belong to a file: `a.b.jsonl.gz` -> `a.b.toml`."""
    plain = path.with_suffix("") if path.suffix in {".gz", ".zst"} else path
    return plain.with_suffix(".toml")


@dataclass(frozen=True)
class _Job:
    path: Path
    name: str  # as errors and quarantine rows say it
    kind: str
    reader: str
    readers: list[Any]
    progress: Progress | None
    columns: Columns
    lanes: Lanes
    remove: bool


def _load_part(
    lake: store.Lake, part: sources.Part, job: _Job, context: Context, before: SourceFile | None
) -> LoadResult:
    known_as = SourceFile(
        path=part.name,
        sha256=part.sha256,
        bytes=part.size,
        reader=_GENERIC if context.mapping else job.reader,
        mapping_sha256="" if context.mapping is None else context.mapping.sha256,
    )
    try:
        changed = part.taken is not None and part.file is not None and taken.is_other(part.file, part.taken, before)
        with lake.loading(known_as) as load:
            if not load.known:
                if part.file is None:
                    raise ReadError("remembered as loaded, but not in the lake; restore the lake from a backup")
                now, written = datetime.now(UTC), written_at(part.name, part.path)
                _take_all(load, part.file, part.size, job, replace(context, ingested_at=now, written_at=written))
                if part.taken is not None:
                    taken.check(part.file, part.taken)
            deferred = 0 if part.taken is None else part.taken.deferred
            result = structs.replace(load.commit(part.marks), deferred=deferred, changed=changed)
    except UnfinishedError:
        return LoadResult(path=part.name, deferred=1)
    except OSError as fault:
        raise ReadError(f"{fault.strerror}; nothing of this file was loaded, load it again") from fault
    if job.progress is not None:
        job.progress(job.path, result.read, True)
    if job.remove:
        local.remove(part, result.quarantined)
    return result


def _take_all(load: Load, opened: IO[bytes], size: int, job: _Job, context: Context) -> None:
    last = job.readers[0]
    if job.kind == ".jsonl":
        found = job.lanes.entries(load, encoding.checked(files.chunks(opened, size)), context)
    else:
        found = entries(opened, size, job.kind)
    for count, entry in enumerate(found, start=1):
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
            rows = [job.columns.kept(row) for row in tuple(last.read(record, context))]
        except Exception as fault:
            load.quarantine(_bad(fault, entry, entry.raw if record is entry.record else record, job, context))
        else:
            load.record(rows)
    return last


def _bad(fault: Exception, entry: Entry, raw: Any, job: _Job, context: Context) -> Quarantined:
    return quarantine.row(
        quarantine.explain(fault),
        file=job.name,
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


def _context(project: Project, asked: settings.Settings) -> Context:
    return Context(
        ingested_at=datetime.now(UTC),
        hash_key=project.hash_key(),
        source_instance=asked.source_instance,
        trace_is_session=asked.trace_is_session,
        price=partial(_price, prices.of(project)) if project.prices.is_file() else None,
    )


def _price(book: prices.PriceBook, attempt: Attempt) -> None:
    attempt.list_cost_usd, attempt.price_source = costs.list_cost(book, attempt)
