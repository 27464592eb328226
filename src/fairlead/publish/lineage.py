"""From a decision back to the rows behind it, by the record of what was published."""

from __future__ import annotations

import os
from typing import Final

import msgspec
from msgspec import Struct

from fairlead import store
from fairlead.errors import EvidenceError
from fairlead.project import Project
from fairlead.training import lineage
from fairlead.training.entry import Registered, Rows
from fairlead.training.registry import Registry

__all__ = ["RECORD", "PublishedBefore", "Traced", "note", "record_of", "trace"]

RECORD: Final = "published.jsonl"


class PublishedBefore(Struct, frozen=True, kw_only=True):
    """One snapshot that was published, and which registered version of each predictor it holds."""

    version: int
    sha256: str
    created_at: str
    policy: str
    predictors: dict[str, int]


class Traced(Struct, frozen=True, kw_only=True):
    """One predictor behind a decision. `same` says that the lake still gives exactly the rows it learned from."""

    predictor: str
    version: int
    run_id: str
    rows: int
    until: str | None
    digest: str
    same: bool
    found: int


def note(project: Project, published: PublishedBefore) -> None:
    """Add a snapshot to the record, on the disk before it returns."""
    project.published.mkdir(parents=True, exist_ok=True)
    with (project.published / RECORD).open("ab") as out:
        out.write(msgspec.json.encode(published) + b"\n")
        out.flush()
        os.fsync(out.fileno())


def record_of(project: Project) -> list[PublishedBefore]:
    """Read the record, oldest first; a last line that was cut off is left out."""
    path = project.published / RECORD
    found = []
    for line in path.read_bytes().splitlines() if path.is_file() else []:
        try:
            found.append(msgspec.json.decode(line, type=PublishedBefore))
        except msgspec.MsgspecError:
            continue
    return found


def trace(project: Project, decision_id: str) -> list[Traced]:
    """Walk from a logged decision to its snapshot, to the predictors in it, to their rows.

    Raises EvidenceError where the log has no such decision, or where its snapshot is not on record.
    """
    version = _snapshot_of(project, decision_id)
    published = next((one for one in record_of(project) if f"{one.version}+{one.sha256[:16]}" == version), None)
    if published is None:
        raise EvidenceError(
            f"decision {decision_id} was made with {version}, which no line of {project.published / RECORD} names"
        )
    registry = Registry.of(project)
    fits = [registry.version(name, number) for name, number in published.predictors.items()]
    found: dict[Rows, tuple[int, bool]] = {}
    return [_traced(project, fit, found) for fit in fits]


def _traced(project: Project, fit: Registered, found: dict[Rows, tuple[int, bool]]) -> Traced:
    if fit.rows is None:
        raise EvidenceError(f"{fit.name} version {fit.version} does not say which rows it learned from; train again")
    if fit.rows not in found:  # predictors that were trained together learned from the same rows
        frame, same = lineage.find(project, fit.rows)
        found[fit.rows] = (len(frame), same)
    return Traced(
        predictor=fit.name,
        version=fit.version,
        run_id=fit.run_id,
        rows=fit.rows.count,
        until=fit.rows.until,
        digest=fit.rows.digest,
        same=found[fit.rows][1],
        found=found[fit.rows][0],
    )


def _snapshot_of(project: Project, decision_id: str) -> str:
    con = store.open_lake(project.lake).connect()
    try:
        asked = "select any_value(policy_version) from attempts where decision_id = $1 having count(*) > 0"
        found = con.sql(asked, params=[decision_id]).fetchall()
    finally:
        con.close()
    if not found or found[0][0] is None:
        raise EvidenceError(f"no logged attempt bears decision {decision_id}; ingest the gateway's log that holds it")
    return str(found[0][0])
