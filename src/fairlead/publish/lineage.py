"""From a decision back to the rows behind it, by the record of what was published."""

from __future__ import annotations

from msgspec import Struct

from fairlead import store
from fairlead.errors import EvidenceError
from fairlead.project import Project
from fairlead.scoring.record import RECORD, record_of
from fairlead.training import lineage
from fairlead.training.entry import Registered, Rows
from fairlead.training.registry import Registry

__all__ = ["Traced", "trace"]


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


def trace(project: Project, decision_id: str) -> list[Traced]:
    """Walk from a logged decision to its snapshot, to the predictors in it, to their rows.

    Raises EvidenceError where the log has no such decision, or where its snapshot is not on record.
    """
    version = _snapshot_of(project, decision_id)
    published = next(
        (one for one in record_of(project.published) if f"{one.version}+{one.sha256[:16]}" == version), None
    )
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
