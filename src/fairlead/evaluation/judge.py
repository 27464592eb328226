"""`fairlead judge`: what policies would have cost, and how good they would have been, on logged requests."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import structs

from fairlead import features
from fairlead.evaluation import baselines, daily, judgement, simulate
from fairlead.evaluation.callers import clusters_of
from fairlead.evaluation.case import Case, case_of
from fairlead.evaluation.judgement import Judgement, PolicyJudgement, Window
from fairlead.evaluation.net import overheads
from fairlead.evaluation.plan import Exploration, explorations
from fairlead.evaluation.reached import feedback_of
from fairlead.evaluation.replay import Replay, replay
from fairlead.evaluation.valued import Kind, Valued, judged, picked, status_quo, value
from fairlead.project import Project
from fairlead.scoring import whole
from fairlead.scoring.policies import make
from fairlead.scoring.predict import Predictor
from fairlead.scoring.snapshot import Snapshot, open_published

__all__ = ["judge", "latest"]

Array = np.ndarray[Any, Any]


def judge(project: Project, *, truth: Path | None = None, since: datetime.datetime | None = None) -> Judgement:
    """Value the published policy and the baselines on requests that its predictors have not seen.

    `truth` is a simulation's `truth.parquet`, to compare with. The result is kept as `var/judgements/latest.json`, and
    what each day says of the candidate beside it (daily.py). Raises EvidenceError when there is nothing to judge on,
    and SnapshotRefusedError when nothing is published.
    """
    snapshot, _ = open_published(project.published)
    trained = snapshot.manifest.lineage.get("trained_until")
    # Judging before the training's end would let predictors recite what they learned, so `since` only shortens.
    cut = max((m for m in (since, datetime.datetime.fromisoformat(trained) if trained else None) if m), default=None)
    joined = features.join(project, states=())
    log = replay(joined, snapshot.endpoints, cut)
    predicted = Predictor(snapshot).candidates(log.batch)
    clusters, cluster = clusters_of(project, log)
    case = case_of(
        log,
        predicted,
        simulate.truth_arrays(truth, log.request_ids, snapshot.endpoints) if truth else None,
        feedback_of(log, joined),
        _routes(log),
        cluster,
    )
    policies = [value(case, name, kind, chances) for name, kind, chances in _policies(case, snapshot)]
    candidate = policies[0]
    found = Judgement(
        judged_at=datetime.datetime.now(datetime.UTC),
        window=Window(start=log.start, end=log.end),
        requests=len(log),
        propensities_share=float(np.isfinite(log.propensity).mean()),
        candidate=snapshot.manifest.policy,
        policies=[
            status_quo(case, candidate),
            *(_netted(project, case, snapshot, one, candidate) for one in policies),
        ],
        clusters=clusters,
        daily=daily.updated(project.var / "judgements" / "sequences", snapshot.manifest, case, candidate),
        pick=picked(case, policies),
        feedback=case.feedback.told,
        plan=[] if candidate.verdict.verdict == "trust" else _plan(case, candidate),
    )
    _keep(project, found)
    return found


def _netted(project: Project, case: Case, snapshot: Snapshot, own: Valued, candidate: Valued) -> PolicyJudgement:
    """Judge a policy; of the candidate also say what its savings have to pay for."""
    if own is not candidate:
        return judged(case, own, candidate)
    found, now = judged(case, own, None), case.log.outcomes["cost_usd"]
    saved = None
    if found.savings_share is not None and found.savings_share.value is not None:
        saved = found.savings_share.value * float(np.nansum(now))
    costs = overheads(project, case.log, own.chances, list(snapshot.manifest.endpoints), saved)
    return structs.replace(found, overheads=costs)


def latest(project: Project) -> Judgement | None:
    """Give the project's last judgement; None when there is none yet."""
    path = project.var / "judgements" / "latest.json"
    return judgement.from_json(path.read_bytes(), path) if path.is_file() else None


def _policies(case: Case, snapshot: Snapshot) -> list[tuple[str, Kind, Array]]:
    """Give each policy's choices (n, K). What baselines stand on was chosen on training data, at publish."""
    lineage, manifest = snapshot.manifest.lineage, snapshot.manifest
    n, names = len(case.log), list(snapshot.endpoints)
    candidate = make(manifest.policy, manifest.parameters).probabilities(case.predicted)
    found: list[tuple[str, Kind, Array]] = [(manifest.policy, "candidate", candidate)]
    tables = Predictor(snapshot, tables_only=True).candidates(case.log.batch)
    price = lineage.get("category_table_usd_price", manifest.parameters.get("usd_price", 0.0))
    table = make("intelligent", {"usd_price": float(price)}).probabilities(tables)
    found.append(("category_table", "baseline", table))
    known = {name: names.index(lineage[name]) for name in ("best_single", "all_cheap") if lineage.get(name) in names}
    found += [(name, "baseline", baselines.single(n, len(names), column)) for name, column in known.items()]
    cheapest = np.where(case.predicted.eligible, case.predicted.cost_usd, np.inf)
    feasible = np.isfinite(cheapest).any(axis=1)
    if feasible.all():
        found.append(("cheapest_feasible", "baseline", np.eye(len(names))[cheapest.argmin(axis=1)]))
    if len(known) == 2:
        cost, quality = case.predicted.cost_usd.mean(axis=0), case.predicted.quality.mean(axis=0)
        target = float((candidate * np.nan_to_num(case.predicted.cost_usd)).sum(axis=1).mean())
        if np.isfinite(cost).any():
            mixed = baselines.cost_matched_random(n, cost, quality, target)
            found.append(("cost_matched_random", "baseline", mixed))
    return found


def _plan(case: Case, candidate: Valued) -> list[Exploration]:
    """What would make the logs tell of the candidate: what is run now is what was logged."""
    log = case.log
    placed = log.endpoint >= 0
    if not placed.any():
        return []
    now = np.zeros(candidate.chances.shape)
    now[np.arange(len(log)), np.maximum(log.endpoint, 0)] = 1.0
    days = max((log.end - log.start).total_seconds() / 86_400, 1e-6)
    return explorations(
        candidate.chances[placed],
        now[placed],
        case.predicted.quality[placed],
        case.predicted.cost_usd[placed],
        case.predicted.endpoints,
        len(log) / days,
    )


def _routes(log: Replay) -> Array:
    """Give each request's route as a code (n,), NaN where it names none."""
    named = log.batch.scalars.get("route")
    if named is None:
        return np.full(len(log), np.nan)
    codes: dict[Any, int] = {}
    return np.array(
        [np.nan if name is None else codes.setdefault(name, len(codes)) for name in named], dtype=np.float64
    )


def _keep(project: Project, found: Judgement) -> None:
    folder = project.var / "judgements"
    folder.mkdir(parents=True, exist_ok=True)
    whole.write(folder / "latest.json", judgement.to_json(found))
