"""`fairlead judge`: what policies would have cost, and how good they would have been, on logged requests."""

from __future__ import annotations

import datetime
import os
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from msgspec import Struct

from fairlead import features
from fairlead.errors import EvidenceError
from fairlead.evaluation import baselines, comparison, estimators, judgement, overlap, simulate
from fairlead.evaluation.estimators import Logged
from fairlead.evaluation.intervals import Statistic, mean
from fairlead.evaluation.judgement import Judgement, Metric, PolicyJudgement, Reading, Window
from fairlead.evaluation.replay import Replay, replay
from fairlead.project import Project
from fairlead.scoring.policies import make
from fairlead.scoring.predict import Candidates, Predictor
from fairlead.scoring.snapshot import Snapshot, open_published

__all__ = ["judge", "latest"]

Array = np.ndarray[Any, Any]
METRICS: Final = ("quality", "cost_usd", "latency_s")
_ESTIMATORS: Final = {
    "ips": estimators.ips,
    "snips": estimators.snips,
    "dm": estimators.direct,
    "dr": estimators.doubly_robust,
}
Kind = Literal["status_quo", "baseline", "candidate"]


class _Case(Struct, frozen=True, kw_only=True):
    """The requests, what is predicted of them, and what the log says of its own choices."""

    log: Replay
    predicted: Candidates
    truth: simulate.Truth | None
    usable: dict[str, Array]  # by metric: the requests whose outcome and propensity are known
    observed: dict[str, Statistic]  # by metric: what the log itself had on those requests


class _Valued(Struct, frozen=True, kw_only=True):
    """A policy's estimates by metric and estimator, and whether the log supports them."""

    statistics: dict[str, dict[str, Statistic]]
    verdict: overlap.Verdict

    def dr(self, metric: str) -> Statistic | None:
        return self.statistics[metric].get("dr")


def judge(project: Project, *, truth: Path | None = None, since: datetime.datetime | None = None) -> Judgement:
    """Value the published policy and the baselines on requests that its predictors have not seen.

    `truth` is a simulation's `truth.parquet`, to compare with. The result is kept as
    `var/judgements/latest.json`. Raises EvidenceError when there is nothing to judge on, and SnapshotRefusedError
    when nothing is published.
    """
    snapshot, _ = open_published(project.published)
    trained = snapshot.manifest.lineage.get("trained_until")
    # Judging before the training's end would let predictors recite what they learned, so `since` only shortens.
    cut = max((m for m in (since, datetime.datetime.fromisoformat(trained) if trained else None) if m), default=None)
    log = replay(features.join(project, states=()), snapshot.endpoints, cut)
    usable = _usable(log)
    case = _Case(
        log=log,
        predicted=Predictor(snapshot).candidates(log.batch),
        truth=simulate.truth_arrays(truth, log.request_ids, snapshot.endpoints) if truth else None,
        usable=usable,
        observed={name: mean("status_quo", log.outcomes[name][rows]) for name, rows in usable.items() if rows.any()},
    )
    policies = _policies(case, snapshot)
    valued = {name: _valued(case, chances) for name, _, chances in policies}
    candidate = valued[snapshot.manifest.policy]
    found = Judgement(
        judged_at=datetime.datetime.now(datetime.UTC),
        window=Window(start=log.start, end=log.end),
        requests=len(log),
        propensities_share=float(np.isfinite(log.propensity).mean()),
        candidate=snapshot.manifest.policy,
        policies=[
            _status_quo(case, candidate),
            *(
                _judged(case, name, kind, chances, valued[name], candidate if kind == "baseline" else None)
                for name, kind, chances in policies
            ),
        ],
    )
    _keep(project, found)
    return found


def latest(project: Project) -> Judgement | None:
    """Give the project's last judgement; None when there is none yet."""
    path = project.var / "judgements" / "latest.json"
    return judgement.from_json(path.read_bytes(), path) if path.is_file() else None


def _policies(case: _Case, snapshot: Snapshot) -> list[tuple[str, Kind, Array]]:
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
    if len(known) == 2:
        cost, quality = case.predicted.cost_usd.mean(axis=0), case.predicted.quality.mean(axis=0)
        target = float((candidate * np.nan_to_num(case.predicted.cost_usd)).sum(axis=1).mean())
        if np.isfinite(cost).any():
            mixed = baselines.cost_matched_random(n, cost, quality, target)
            found.append(("cost_matched_random", "baseline", mixed))
    return found


def _usable(log: Replay) -> dict[str, Array]:
    """Say which requests each metric can be judged on: outcome and propensity known."""
    known = np.isfinite(log.propensity) & (log.propensity > 0)
    return {name: known & np.isfinite(log.outcomes[name]) for name in METRICS}


def _status_quo(case: _Case, candidate: _Valued) -> PolicyJudgement:
    """The log itself: plain means of what happened, over every request with an outcome."""
    metrics = {}
    for name in METRICS:
        seen = case.log.outcomes[name][np.isfinite(case.log.outcomes[name])]
        value = judgement.reading(mean(name, seen).estimate()) if len(seen) > 1 else None
        metrics[name] = Metric(ips=value, snips=value, dr=value)
    shares = np.bincount(case.log.endpoint + 1, minlength=len(case.predicted.endpoints) + 1)[1:] / max(len(case.log), 1)
    return PolicyJudgement(
        name="status_quo",
        kind="status_quo",
        metrics=metrics,
        ess=float(len(case.log)),
        max_weight_share=1 / len(case.log),
        verdict="can tell",
        reasons=[],
        candidate_savings_share=_against(candidate.dr("cost_usd"), case.observed.get("cost_usd"), candidate.verdict),
        candidate_quality_change=_against(
            candidate.dr("quality"), case.observed.get("quality"), candidate.verdict, True
        ),
        endpoint_shares=dict(zip(case.predicted.endpoints, shares.tolist(), strict=True)),
    )


def _valued(case: _Case, chances: Array) -> _Valued:
    """Estimate every metric of a policy's choices (n, K), and say how far the log supports it."""
    target = np.where(case.log.endpoint >= 0, chances[np.arange(len(chances)), case.log.endpoint], 0.0)
    known = np.isfinite(case.log.propensity)
    weight = target[known] / case.log.propensity[known]
    return _Valued(
        statistics={metric: _statistics(case, metric, chances, target) for metric in METRICS},
        verdict=overlap.verdict(weight, propensities_share=float(known.mean())),
    )


def _judged(
    case: _Case,
    name: str,
    kind: Kind,
    chances: Array,
    valued: _Valued,
    candidate: _Valued | None,
) -> PolicyJudgement:
    true = simulate.true_value(case.truth, chances) if case.truth else None
    truths = {} if true is None else {"quality": true.quality, "cost_usd": true.cost_usd, "latency_s": true.duration_s}
    verdict = valued.verdict
    both = verdict if candidate is None or not verdict.can_tell else candidate.verdict
    return PolicyJudgement(
        name=name,
        kind=kind,
        metrics={
            metric: Metric(
                # The direct method's interval is about the requests, not about the model being wrong: none is shown.
                **{
                    which: Reading(s.value) if which == "dm" else judgement.reading(s.estimate(), verdict)
                    for which, s in found.items()
                },
                truth=_finite(truths.get(metric)),
            )
            for metric, found in valued.statistics.items()
        },
        ess=verdict.ess,
        max_weight_share=verdict.max_weight_share,
        verdict=verdict.verdict,
        reasons=[*verdict.reasons, *verdict.remedies],
        savings_share=_against(valued.dr("cost_usd"), case.observed.get("cost_usd"), verdict),
        quality_change=_against(valued.dr("quality"), case.observed.get("quality"), verdict, True),
        candidate_savings_share=_against(candidate.dr("cost_usd"), valued.dr("cost_usd"), both) if candidate else None,
        candidate_quality_change=(
            _against(candidate.dr("quality"), valued.dr("quality"), both, True) if candidate else None
        ),
        endpoint_shares=dict(zip(case.predicted.endpoints, chances.mean(axis=0).tolist(), strict=True)),
    )


def _statistics(case: _Case, metric: str, chances: Array, target: Array) -> dict[str, Statistic]:
    rows = case.usable[metric]
    if rows.sum() < 2:
        return {}
    predicted = getattr(case.predicted, metric)
    # Any prediction keeps the doubly robust estimate valid: an unknown one is as good as its endpoints' mean.
    filled = np.where(
        np.isfinite(predicted), predicted, np.nan_to_num(np.nanmean(predicted)) if np.isfinite(predicted).any() else 0.0
    )
    log = Logged(
        reward=case.log.outcomes[metric][rows],
        propensity=case.log.propensity[rows],
        target=target[rows],
        predicted_logged=filled[np.arange(len(filled)), case.log.endpoint][rows],
        predicted_target=(chances * filled).sum(axis=1)[rows],
    )
    return {name: estimator(log) for name, estimator in _ESTIMATORS.items()}


def _against(
    new: Statistic | None, old: Statistic | None, verdict: overlap.Verdict, quality: bool = False
) -> Reading | None:
    """Compare two policies on the same requests: the share of cost saved, or the change of quality."""
    if new is None or old is None:
        return None
    try:
        pair = comparison.quality_change(new, old) if quality else comparison.savings_share(new, old)
    except EvidenceError:
        return None  # a spend that cannot be told from zero has no share to save
    return judgement.reading(pair.estimate(), verdict)


def _finite(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else value


def _keep(project: Project, found: Judgement) -> None:
    folder = project.var / "judgements"
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / ".latest.json"
    temporary.write_bytes(judgement.to_json(found))
    os.replace(temporary, folder / "latest.json")
