"""Cascades valued on requests whose every answer is known: what they would have reached, paid and waited for.

Every answer that was asked for is paid, those not taken too. The rule that decides a request was fitted on the other
folds.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import Any, Final

import numpy as np
from msgspec import Struct

from fairlead.errors import EvidenceError
from fairlead.evaluation import baselines
from fairlead.evaluation.intervals import mean
from fairlead.scoring.cascade import StoppingRule
from fairlead.scoring.cascade.plan import Priced, after, by_name, first, opening
from fairlead.training.cascade import Evidence

__all__ = ["CascadePoint", "Costs", "Played", "at_floor", "play"]

Array = np.ndarray[Any, Any]
_STEPS: Final = 3  # two probes one after the other, then a better endpoint


class Costs(Struct, frozen=True, kw_only=True):
    """What a call was predicted to cost and did cost, in USD and seconds: (n, K), NaN where not known."""

    predicted_usd: Array
    predicted_s: Array
    outcome_usd: Array
    outcome_s: Array


class Played(Struct, frozen=True, kw_only=True):
    """What came of each request (n,): quality, dollars, seconds, the endpoint accepted; `asked` (n, K) were paid."""

    quality: Array
    cost_usd: Array
    latency_s: Array
    accepted: Array
    asked: Array


class CascadePoint(Struct, frozen=True, kw_only=True):
    """A price of a dollar, and what it gave; None: no price holds the floor, send everything to the best single."""

    usd_price: float | None
    quality: float
    cost_usd: float
    margin_low: float  # one-sided lower bound of quality over the floor
    tested: int


def play(
    rules: Sequence[StoppingRule],
    fold: Array,
    evidence: Evidence,
    costs: Costs,
    usd_price: float,
    second_price: float = 0.0,
) -> Played:
    """Run every request through the cascade, by the rule that was fitted without its fold."""
    n, width = evidence.quality.shape
    asked, accepted, wait = np.zeros((n, width), dtype=bool), np.full(n, -1), np.zeros(n)
    # What was never seen to cost anything cannot be valued, so it is not asked.
    blind = ~(np.isfinite(evidence.outcome) & np.isfinite(costs.outcome_usd))
    quality = np.where(blind, np.nan, evidence.quality)
    for part, rule in enumerate(rules):
        mine = np.flatnonzero(fold == part)
        sub = evidence.take(mine)
        priced = Priced(quality[mine], costs.predicted_usd[mine], costs.predicted_s[mine], usd_price, second_price)
        asked[mine], accepted[mine], wait[mine] = _played(rule, sub, priced, costs.outcome_s[mine])
    if (accepted < 0).any():
        raise EvidenceError("a request has no endpoint with a known quality and cost; leave it out")
    return Played(
        quality=evidence.outcome[np.arange(n), accepted],
        cost_usd=np.where(asked, costs.outcome_usd, 0.0).sum(axis=1),
        latency_s=wait,
        accepted=accepted,
        asked=asked,
    )


def at_floor(
    rules: Sequence[StoppingRule],
    fold: Array,
    evidence: Evidence,
    costs: Costs,
    *,
    grid: Array,
    floor: float = 0.99,
    level: float = 0.95,
) -> CascadePoint:
    """Find the cheapest price whose quality stays over `floor` times the best single's, with confidence `level`.

    Prices are tested from dear to cheap, and testing stops at the first that fails (fixed-sequence testing), so that
    trying many costs no confidence. The difference is paired by request.
    """
    best = baselines.best_single(evidence.outcome, costs.outcome_usd)
    asked = floor * evidence.outcome[:, best]
    found = CascadePoint(
        usd_price=None,
        quality=float(np.nanmean(evidence.outcome[:, best])),
        cost_usd=float(np.nanmean(costs.outcome_usd[:, best])),
        margin_low=float(np.nanmean(evidence.outcome[:, best] - asked)),
        tested=0,
    )
    for tested, price in enumerate(np.sort(grid), start=1):
        played = play(rules, fold, evidence, costs, float(price))
        over = mean("over", played.quality - asked)
        low = over.value - NormalDist().inv_cdf(level) * over.standard_error
        if low < 0:
            break
        if played.cost_usd.mean() < found.cost_usd:
            found = CascadePoint(
                usd_price=float(price),
                quality=float(played.quality.mean()),
                cost_usd=float(played.cost_usd.mean()),
                margin_low=low,
                tested=tested,
            )
    return found


def _played(rule: StoppingRule, evidence: Evidence, priced: Priced, seconds: Array) -> tuple[Array, Array, Array]:
    """Give who was asked (n, K), whose answer was taken (n,) and how long it took (n,)."""
    n, width = priced.quality.shape
    asked, accepted, wait = np.zeros((n, width), dtype=bool), np.full(n, -1), np.zeros(n)
    options = opening(rule)
    order = by_name(rule, options)
    worth = first(rule, priced)[:, order]
    start = np.array(order)[worth.argmax(axis=1)]
    for place, option in enumerate(options):
        mine = (start == place) & np.isfinite(worth).any(axis=1)
        asked[np.ix_(mine, list(option))] = True
        wait[mine] += seconds[np.ix_(mine, list(option))].max(axis=1) if mine.any() else 0.0
        if len(option) == 1:
            accepted[mine] = option[0]
    order = by_name(rule, [(k,) for k in range(width)])
    for _ in range(_STEPS):
        before = asked.copy()
        for stage in rule.stages:
            places = [rule.endpoints.index(name) for name in stage.asked]
            mine = np.flatnonzero((before == np.isin(np.arange(width), places)).all(axis=1))
            if mine.size:
                sub = evidence.take(mine)
                steps, _ = after(rule, stage, priced.take(mine), sub.seen(places), sub.route)
                accepted[mine] = np.array(order)[steps[:, order].argmax(axis=1)]
                fresh = ~before[mine, accepted[mine]]
                asked[mine, accepted[mine]] = True
                wait[mine] += np.where(fresh, seconds[mine, accepted[mine]], 0.0)
    return asked, accepted, wait
