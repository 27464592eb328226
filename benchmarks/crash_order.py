"""The order in which a load makes things durable, read from its system calls; it stands in for a power cut.

Every segment's data before its name, its name before its folder, every new folder in its parent, and all of that
before the manifest says that the segment is there.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import crash_faults
import crash_lake as lake

SYNCS = ("fsync", "fdatasync")
WRITES = ("write", "pwrite64")


def run(folder: Path) -> dict[str, Any]:
    """Load once under strace and give every rule that was broken."""
    paths, _, _ = lake.logs(folder / "logs", files=1, lines=5, overlap=0)
    root, log = lake.fresh(folder, "project"), folder / "calls.log"
    crash_faults.traced_load(root, paths, log)
    return {"wrong": broken([(call, rest) for _, _, call, rest in crash_faults.lines_of(log)])}


def broken(calls: list[tuple[str, str]]) -> list[str]:
    """Say what was not durable when the manifest was committed."""
    renames = [(place, *_paths(rest)) for place, (call, rest) in enumerate(calls) if call.startswith("rename")]
    segments = [one for one in renames if one[2].endswith(".parquet") and "/." not in one[2]]
    if not segments:
        return ["no segment was renamed into its place"]
    first = min(_first(calls, WRITES, temporary) for _, temporary, _ in segments)
    commit = next(
        (place for place in range(first, len(calls)) if _is(calls[place], WRITES, "manifest.sqlite-wal")), None
    )
    if commit is None:
        return ["nothing was written to the manifest after the segments"]
    wrong = []
    for place, temporary, final in segments:
        written = max(n for n, call in enumerate(calls) if _is(call, WRITES, temporary))
        if not any(_is(call, SYNCS, temporary) for call in calls[written:place]):
            wrong.append(f"{final}: renamed before its data was synced")
        if not any(_is(call, SYNCS, str(Path(final).parent)) for call in calls[place:commit]):
            wrong.append(f"{final}: committed before its folder was synced")
    for place, (call, rest) in enumerate(calls[:commit]):
        made = re.match(r'"([^"]+)".* = 0', rest)
        if (
            call == "mkdir"
            and made
            and not any(_is(one, SYNCS, str(Path(made[1]).parent)) for one in calls[place:commit])
        ):
            wrong.append(f"{made[1]}: committed before its parent was synced")
    if not any(_is(call, SYNCS, "manifest.sqlite-wal") for call in calls[commit:]):
        wrong.append("the commit itself was not synced")
    return wrong


def _paths(rest: str) -> tuple[str, str]:
    source, target = re.findall(r'"([^"]+)"', rest)[:2]
    return source, target


def _first(calls: list[tuple[str, str]], names: tuple[str, ...], path: str) -> int:
    return next(place for place, call in enumerate(calls) if _is(call, names, path))


def _is(call: tuple[str, str], names: tuple[str, ...], path: str) -> bool:
    """Say whether a call is one of these on an open file of this path (its end, where it has no slash in front)."""
    if call[0] not in names:
        return False
    opened = re.match(r"\d+<([^>]*)>", call[1])
    return bool(opened) and (opened[1] == path if path.startswith("/") else opened[1].endswith(path))
