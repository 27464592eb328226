"""One policy on a case: every metric by every estimator, whether the log supports it, and it against another."""

from __future__ import annotations

from typing import Any, Final, Literal

import numpy as np
from msgspec import Struct

from fairlead.errors import EvidenceError
from fairlead.evaluation import comparison, estimators, judgement, overlap, quantiles, seen, sensitivity, simulate
from fairlead.evaluation.case import METRICS, Case
from fairlead.evaluation.intervals import Statistic
from fairlead.evaluation.judgement import Metric, PolicyJudgement, Reading
from fairlead.evaluation.pick import Pick, pick
from fairlead.evaluation.slices import slices

__all__ = ["Kind", "Valued", "judged", "picked", "status_quo", "value"]

Array = np.ndarray[Any, Any]
_ESTIMATORS: Final = {
    "replay": estimators.replay,
    "ips": estimators.ips,
    "snips": estimators.snips,
    "dm": estimators.direct,
    "dr": estimators.doubly_robust,
    "sndr": estimators.self_normalised_dr,
    "switch": estimators.switch_dr,
}
# The direct method's interval is about the requests, not about the model being wrong; replay is right of uniform logs
# alone, and a switch is biased where it switches: their values are shown, and no intervals.
_BARE: Final = frozenset({"dm", "replay", "switch"})
Kind = Literal["status_quo", "baseline", "candidate"]


class Valued(Struct, frozen=True, kw_only=True):
    """A policy's choices (n, K), its estimates by metric and estimator, and whether the log supports them."""

    name: str
    kind: Kind
    chances: Array
    statistics: dict[str, dict[str, Statistic]]
    verdict: overlap.Verdict

    def dr(self, metric: str) -> Statistic | None:
        """Give the estimate that decides."""
        return self.statistics[metric].get("dr")


def value(case: Case, name: str, kind: Kind, chances: Array) -> Valued:
    """Estimate every metric of a policy's choices (n, K), and say how far the log supports it."""
    known = np.isfinite(case.log.propensity)
    return Valued(
        name=name,
        kind=kind,
        chances=chances,
        statistics={metric: _statistics(case, metric, chances) for metric in METRICS},
        verdict=overlap.verdict(_weight(case, chances), propensities_share=float(known.mean())),
    )


def _weight(case: Case, chances: Array) -> Array:
    """Give the weights of the requests whose propensity is known; an endpoint that is unknown here has none."""
    at = np.arange(len(chances)), np.maximum(case.log.endpoint, 0)
    target = np.where(case.log.endpoint >= 0, chances[at], 0.0)
    known = np.isfinite(case.log.propensity)
    weight: Array = target[known] / case.log.propensity[known]
    return weight


def _statistics(case: Case, metric: str, chances: Array) -> dict[str, Statistic]:
    rows = case.usable[metric]
    if rows.sum() < 2:
        return {}
    log = case.logged(metric, chances, rows)
    found = {}
    for name, estimator in _ESTIMATORS.items():
        try:
            found[name] = estimator(log)
        except EvidenceError:
            continue  # a policy that never agrees with the log has no self-normalised estimate
    found["dr_cf"] = estimators.doubly_robust(case.logged(metric, chances, rows, fitted=True))
    return {name: case.grouped(statistic, rows) for name, statistic in found.items()}


def status_quo(case: Case, candidate: Valued) -> PolicyJudgement:
    """Give the log itself: plain means of what happened, over every request with an outcome."""
    metrics, now = {}, {}
    for name in METRICS:
        outcomes = case.log.outcomes[name]
        rows = case.usable[name] if name == "quality" and case.feedback.keep is not None else np.isfinite(outcomes)
        own = None
        if rows.sum() > 1:
            own = judgement.reading(case.status_quo(name, rows).estimate())
        metrics[name] = Metric(ips=own, snips=own, dr=own)
        now[name] = case.status_quo(name, case.usable[name]) if case.usable[name].sum() > 1 else None
    latency = case.log.outcomes["latency_s"][np.isfinite(case.log.outcomes["latency_s"])]
    shares = np.bincount(case.log.endpoint + 1, minlength=len(case.predicted.endpoints) + 1)[1:] / max(len(case.log), 1)
    return PolicyJudgement(
        name="status_quo",
        kind="status_quo",
        metrics=metrics,
        latency_p95_s=Reading(float(np.quantile(latency, 0.95))) if latency.size else None,
        ess=float(len(case.log)),
        max_weight_share=1 / len(case.log),
        verdict="trust",
        reasons=[],
        candidate_savings_share=_against(candidate.dr("cost_usd"), now["cost_usd"], candidate.verdict),
        candidate_quality_change=_against(candidate.dr("quality"), now["quality"], candidate.verdict, True),
        endpoint_shares=dict(zip(case.predicted.endpoints, shares.tolist(), strict=True)),
    )


def judged(case: Case, own: Valued, candidate: Valued | None) -> PolicyJudgement:
    """Give a policy's judgement, against the log and, for a baseline, the candidate in its place."""
    verdict = own.verdict
    both = verdict if candidate is None or not verdict.can_tell else candidate.verdict
    truths = _truths(case, own.chances)
    now = {m: case.status_quo(m, case.usable[m]) if case.usable[m].sum() > 1 else None for m in ("cost_usd", "quality")}
    return PolicyJudgement(
        name=own.name,
        kind=own.kind,
        metrics={
            metric: Metric(
                **{
                    which: Reading(s.value) if which in _BARE else judgement.reading(s.estimate(), verdict)
                    for which, s in found.items()
                },
                truth=truths.get(metric),
            )
            for metric, found in own.statistics.items()
        },
        latency_p95_s=_p95(case, own),
        ess=verdict.ess,
        max_weight_share=verdict.max_weight_share,
        verdict=verdict.verdict,
        reasons=[*verdict.reasons, *verdict.remedies],
        savings_share=_against(own.dr("cost_usd"), now["cost_usd"], verdict),
        quality_change=_against(own.dr("quality"), now["quality"], verdict, True),
        candidate_savings_share=_against(candidate.dr("cost_usd"), own.dr("cost_usd"), both) if candidate else None,
        candidate_quality_change=_against(candidate.dr("quality"), own.dr("quality"), both, True)
        if candidate
        else None,
        endpoint_shares=dict(zip(case.predicted.endpoints, own.chances.mean(axis=0).tolist(), strict=True)),
        slices=slices(case, own.chances) if own.kind == "candidate" else [],
        overlap=seen.overlaps(case, own.chances) if own.kind == "candidate" else [],
        weights=seen.weights(_weight(case, own.chances)) if own.kind == "candidate" else [],
        sensitivity=_sensitivity(case, own.chances) if verdict.propensities_share < 1 - overlap.MISSING else {},
    )


def picked(case: Case, policies: list[Valued]) -> Pick:
    """Pick among the policies and what is run now, by quality, and by cost among those of equal quality."""
    rows = case.usable["quality"]
    quality, cost, untold = {}, {}, []
    if rows.sum() > 1:
        quality["status_quo"] = case.status_quo("quality", rows)
        if case.usable["cost_usd"].sum() > 1:
            cost["status_quo"] = case.status_quo("cost_usd", case.usable["cost_usd"]).value
    for own in policies:
        good, usd = own.dr("quality"), own.dr("cost_usd")
        if good is None or not own.verdict.can_tell:
            untold.append(own.name)
            continue
        quality[own.name] = good
        if usd is not None:
            cost[own.name] = usd.value
    return pick(quality, cost, untold)


def _truths(case: Case, chances: Array) -> dict[str, float]:
    if case.truth is None:
        return {}
    true = simulate.true_value(case.truth, chances)
    found = {"quality": true.quality, "cost_usd": true.cost_usd, "latency_s": true.duration_s}
    return {name: one for name, one in found.items() if np.isfinite(one)}


def _p95(case: Case, own: Valued) -> Reading | None:
    rows = case.usable["latency_s"]
    if not rows.any():
        return None
    try:
        group = None if case.cluster is None else case.cluster[rows]
        found = quantiles.quantile(case.logged("latency_s", own.chances, rows), 0.95, group=group)
        return judgement.reading(found, own.verdict)
    except EvidenceError:
        return None


def _sensitivity(case: Case, chances: Array) -> dict[str, list[sensitivity.Bounds]]:
    """Bound quality and cost on the requests whose endpoint and outcome are known, whatever drew them."""
    found = {}
    placed = case.log.endpoint >= 0
    if not placed.any():
        return {}
    guessed = sensitivity.guessed_propensities(case.log.endpoint[placed], case.route[placed], chances.shape[1])
    target = chances[np.arange(len(chances)), np.maximum(case.log.endpoint, 0)][placed]
    for metric in ("quality", "cost_usd"):
        reward = case.log.outcomes[metric][placed]
        seen = np.isfinite(reward)
        if seen.any():
            found[metric] = sensitivity.bounds(reward[seen], target[seen], guessed[seen])
    return found


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
