"""Whether everything that was read is where it should be: conservation, sound segments, lines set aside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from fairlead import store
from fairlead.reports import formats
from fairlead.reports.health.check import Check, Rows, graded, nothing
from fairlead.reports.queries import Ask
from fairlead.store import Counts, Fault, Lake, Segment, SourceFile

__all__ = ["checks", "poisoned"]

Loads = list[tuple[SourceFile, Counts]]
_GROUP = "loads"
_UNREAD_OK, _UNREAD_BAD = 0.01, 0.1
_AGAIN_MANY = 0.5


def checks(ask: Ask, lake: Lake, damaged: Sequence[Fault]) -> list[Check]:
    """Check every load and every segment of the lake, whatever the days of the report."""
    loads: Loads = lake.sources()
    if not loads:
        why = "No file has been taken in."
        return [
            nothing(name, _GROUP, why) for name in ("conservation", "segments", "unreadable lines", "exact duplicates")
        ]
    faults = {one.path: one.fault for one in damaged}
    return [
        _conservation(loads),
        _segments(ask, lake, lake.listed(), faults),
        _unread(loads),
        _known(loads),
    ]


def poisoned(loads: Loads) -> Rows:
    """Give the files of which most was set aside: name, read, quarantined, the worst share first."""
    bad = [(one, counts) for one, counts in loads if counts.quarantined]
    bad.sort(key=lambda pair: (-pair[1].quarantined / pair[1].read, -pair[1].quarantined, pair[0].path))
    return [
        {"name": one.path, "reader": one.reader, "read": counts.read, "quarantined": counts.quarantined}
        for one, counts in bad
    ]


def _conservation(loads: Loads) -> Check:
    read, stored = sum(one.read for _, one in loads), sum(one.stored for _, one in loads)
    again, bad = sum(one.duplicates for _, one in loads), sum(one.quarantined for _, one in loads)
    broken = [file.path for file, one in loads if one.read != one.stored + one.duplicates + one.quarantined]
    words = f"{read:,} records in {len(loads):,} files = {stored:,} stored + {again:,} known + {bad:,} quarantined."
    if broken:
        words += f" It does not add up for {len(broken):,} of them, such as {formats.visible(broken[0], 70)}."
    return Check(
        name="conservation",
        group=_GROUP,
        value="broken" if broken else "holds",
        verdict="bad" if broken else "fine",
        meaning=words,
        action="Records were lost or counted twice: restore manifest.sqlite from a backup." if broken else "",
        threshold="read = stored + known + quarantined, for every file",
    )


def _segments(ask: Ask, lake: Lake, listed: list[Segment], faults: dict[str, str]) -> Check:
    """Compare checksums, the rows in each file, and the rows that the tables show."""
    sound = [one for one in listed if one.path not in faults]
    held = _rows_in(ask, lake, sound)
    off = sum(held[str(lake.root / one.path)] != one.rows for one in sound)
    lost = [] if faults else _lost(ask, listed)
    rows = sum(one.rows for one in listed)
    words = f"{len(listed):,} segments hold {rows:,} rows"
    if faults:
        path, fault = next(iter(faults.items()))
        words += f"; {len(faults):,} are damaged ({fault}: {formats.visible(path, 90)})"
    if off:
        words += f"; {off:,} hold another number of rows than the manifest says"
    if lost:
        words += f"; {', '.join(lost)}: the table does not show every row in its newest version once"
    wrong = bool(faults or off or lost)
    return Check(
        name="segments",
        group=_GROUP,
        value=formats.count(len(faults) + off) + " damaged" if wrong else "sound",
        verdict="bad" if wrong else "fine",
        meaning=words + ".",
        action="Restore the lake from a backup, or delete it and ingest the logs again." if wrong else "",
        threshold="checksum, rows and what the tables show are as the manifest says",
    )


def _rows_in(ask: Ask, lake: Lake, listed: list[Segment]) -> dict[str, int]:
    files = [str(lake.root / one.path) for one in listed]
    if not files:
        return {}
    sql = "select file_name, num_rows from parquet_file_metadata($files)"
    return dict(store.query(ask.connection, sql, {"files": files}).rows())


def _lost(ask: Ask, listed: list[Segment]) -> list[str]:
    written, updates = Counter[str](), Counter[str]()
    for one in listed:
        written[one.table] += one.rows
        updates[one.table] += one.updates
    return [row["name"] for row in ask("health_rows") if row["n"] != written[row["name"]] - updates[row["name"]]]


def _unread(loads: Loads) -> Check:
    read, bad = sum(one.read for _, one in loads), sum(one.quarantined for _, one in loads)
    share = bad / read if read else 0.0
    worst = poisoned(loads)
    words = f"{bad:,} of {read:,} records are in quarantine."
    verdict = graded(share, _UNREAD_OK, _UNREAD_BAD)
    if worst and worst[0]["quarantined"] / worst[0]["read"] > _UNREAD_BAD and verdict == "fine":
        verdict = "look"
    if worst:
        words += f" Most of {formats.visible(worst[0]['name'], 70)}: {_share(worst[0])}."
    return Check(
        name="unreadable lines",
        group=_GROUP,
        value=formats.share(share),
        verdict=verdict,
        meaning=words,
        action="See the reasons below; mend the export or its mapping, then ingest it again." if share else "",
        threshold="look: over 1 %, or over 10 % of one file; bad: over 10 %",
    )


def _share(row: dict[str, int]) -> str:
    return formats.share(row["quarantined"] / row["read"])


def _known(loads: Loads) -> Check:
    read, again = sum(one.read for _, one in loads), sum(one.duplicates for _, one in loads)
    share = again / read if read else 0.0
    many = share > _AGAIN_MANY
    return Check(
        name="exact duplicates",
        group=_GROUP,
        value=formats.share(share),
        verdict="look" if many else "fine",
        meaning=f"{again:,} records had been read before and were counted once.",
        action="The exports overlap a great deal: export less often, or less each time." if many else "",
        threshold="look: over 50 %",
    )
