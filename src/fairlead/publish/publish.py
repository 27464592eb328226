"""Writes the snapshot: compile the champions, audit them against their boosters, then swap."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

import numpy as np
from msgspec import Struct

from fairlead.errors import GateError
from fairlead.project import Project
from fairlead.publish.compile import compile_trees
from fairlead.publish.endpoints import endpoints_in
from fairlead.publish.pack import pack
from fairlead.publish.replay import audit, audit_rows
from fairlead.scoring import swap
from fairlead.scoring.heads import HEADS
from fairlead.scoring.manifest import FORMAT, Endpoint, HeadSpec, Manifest
from fairlead.scoring.parts import PARTS
from fairlead.scoring.policies import make
from fairlead.scoring.record import PublishedBefore, note
from fairlead.scoring.snapshot import CANDIDATE, CURRENT, Head, Snapshot
from fairlead.scoring.table import CategoryTable
from fairlead.training import spec as specs
from fairlead.training.champions import Champion, champion_of
from fairlead.training.demand.budget import usual_hours
from fairlead.training.predictor import TrainedHead, TrainedPredictor
from fairlead.training.registry import Registry

__all__ = ["Published", "assemble", "publish"]


class Published(Struct, frozen=True, kw_only=True):
    """What was published, and how exactly it follows the boosters."""

    path: str
    version: int
    sha256: str
    bytes: int
    endpoints: list[str]
    policy: str
    parameters: dict[str, Any]
    largest_difference: float
    rows_audited: int


def publish(
    project: Project,
    *,
    policy: str = "intelligent",
    parameters: Mapping[str, Any] | None = None,
    lineage: Mapping[str, str] | None = None,
    candidate: bool = False,
) -> Published:
    """Publish the champions as the project's snapshot.

    The new file is audited before it takes the place of the current one, which is kept as the last good one; a
    `candidate` is laid beside it, and takes its place by `promote`. Raises GateError when there is no champion, when
    champions do not fit together, or when the audit fails; then nothing changes.
    """
    registry = Registry.of(project)
    champions = [_champion(registry, spec.name) for spec in specs.read_all(project.models)]
    folder = project.published
    version = swap.next_version(folder)
    snapshot = assemble(
        [champion.predictor for champion in champions],
        endpoints_in(project, champions[0].predictor),
        policy=policy,
        parameters=dict(parameters or {}),
        version=version,
        lineage={
            **{champion.name: f"version {champion.version}, run {champion.run_id}" for champion in champions},
            "labels": str(_labels(champions)),
            **(lineage or {}),
        },
        demand=usual_hours(project),
    )
    snapshot = Snapshot.from_bytes(snapshot.to_bytes(), "the new snapshot")
    rows = audit_rows(snapshot)
    difference = audit(snapshot, [champion.predictor for champion in champions], rows)
    path = folder / (CANDIDATE if candidate else CURRENT)
    if not candidate:
        swap.keep_last_good(folder)
    # Noted first: a decision whose snapshot is on no record could not be traced.
    note(
        folder,
        PublishedBefore(
            version=version,
            sha256=snapshot.sha256,
            created_at=snapshot.manifest.created_at,
            policy=policy,
            predictors={champion.name: champion.version for champion in champions},
        ),
    )
    snapshot.write(path)
    return Published(
        path=str(path),
        version=version,
        sha256=snapshot.sha256,
        bytes=path.stat().st_size,
        endpoints=list(snapshot.endpoints),
        policy=policy,
        parameters=dict(parameters or {}),
        largest_difference=difference,
        rows_audited=len(rows),
    )


def assemble(
    predictors: list[TrainedPredictor],
    endpoints: list[Endpoint],
    *,
    policy: str,
    parameters: dict[str, Any],
    version: int,
    lineage: dict[str, str],
    demand: list[float] | None = None,
) -> Snapshot:
    """Put predictors together as a snapshot; GateError when they do not share endpoints, routes and columns.

    `demand` are the usual shares of a day's dollars by hour, for budgets to plan by; None where they are not known.
    """
    first = predictors[0]
    for other in predictors[1:]:
        if other.signature != first.signature:
            raise GateError(
                f"{other.spec.name} and {first.spec.name} were trained on different endpoints, routes or features; "
                "run `fairlead train` so that they fit together"
            )
    make(policy, parameters)  # a policy that cannot be built must not be published
    newest = max(predictors, key=lambda predictor: predictor.trained_until)
    bounds = next((p for p in predictors if p.margins is not None), None)
    # Heads that no decision reads (time to first token) stay in the registry: each would cost every decision its trees.
    read = [head for predictor in predictors for head in predictor.heads if head.plan.name in HEADS]
    heads = {head.plan.name: _head(head) for head in read}
    until = datetime.datetime.fromtimestamp(newest.trained_until, datetime.UTC)
    manifest = Manifest(
        format=FORMAT,
        version=version,
        created_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        feature_version=first.feature_version,
        columns=first.columns,
        categories=first.categories,
        endpoints=endpoints,
        heads=[head.spec for head in heads.values()],
        policy=policy,
        parameters=parameters,
        lineage={**lineage, "trained_until": until.isoformat()},
        demand=demand or [],
    )
    served = [head for head in read if head.serve == "forest"]
    trees = [compile_trees(head.booster, head.plan.name) for head in served]
    count = len(endpoints)
    return Snapshot(
        manifest=manifest,
        heads=heads,
        forests=pack(trees, len(first.columns)),
        endpoint_rows=newest.endpoint_rows,
        margin_edges=np.zeros(0) if bounds is None or bounds.margin_edges is None else bounds.margin_edges,
        margins=np.ones((count, 1)) if bounds is None or bounds.margins is None else bounds.margins,
        reference=newest.reference,
        parts=next((h.parts for p in predictors for h in p.heads if h.parts is not None), PARTS),
    )


def _head(head: TrainedHead) -> Head:
    return Head(
        spec=HeadSpec(name=head.plan.name, link=head.link, serve=head.serve, trees=head.trees),
        table=CategoryTable(values=head.table),
        offset=head.offset,
        scale=head.scale,
    )


def _labels(champions: list[Champion]) -> int:
    """How many labels quality learned from."""
    heads = (head for champion in champions for head in champion.predictor.heads if head.plan.name == "quality")
    return int(max((head.metrics.get("rows", 0.0) for head in heads), default=0.0))


def _champion(registry: Registry, name: str) -> Champion:
    champion = champion_of(registry, name)
    if champion is None:
        raise GateError(f"no champion of {name!r} is registered; run `fairlead train`")
    return champion
