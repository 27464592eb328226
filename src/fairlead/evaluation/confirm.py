"""Holds a choice against later days: what it promised, and what those days say with an interval."""

from __future__ import annotations

import datetime
from typing import Literal

import numpy as np
from msgspec import Struct

from fairlead.errors import EvidenceError
from fairlead.evaluation import comparison
from fairlead.evaluation.bounds import Tail, lower, upper
from fairlead.evaluation.evidence import Evidence
from fairlead.evaluation.goals import Goal
from fairlead.evaluation.intervals import Estimate, Statistic, Vector, mean
from fairlead.evaluation.optimise import SLOW_SHARE
from fairlead.evaluation.reach import limits_of, tail_of

__all__ = ["Confirmation", "confirm"]


class Confirmation(Struct, frozen=True, kw_only=True):
    """What later days say of a setting, against what was logged on the same requests.

    `confirmed`: it keeps its promise with confidence. `open`: it may, and these days are too few to be sure. `broken`:
    it does not, with confidence. `cannot tell`: the log does not support it there.
    """

    verdict: Literal["confirmed", "open", "broken", "cannot tell"]
    reason: str
    start: datetime.datetime
    end: datetime.datetime
    requests: int
    ess: float
    quality_change: Estimate | None  # 0..1; None where the logs cannot tell
    cost_usd: Estimate | None  # a request
    savings_share: Estimate | None
    slow_share: Estimate | None  # of requests over the goal's limit
    p95_s: Tail | None


def confirm(evidence: Evidence, goal: Goal, parameters: dict[str, float]) -> Confirmation:
    """Value a setting on requests that it was not chosen on."""
    chances = evidence.choices(parameters)
    support = evidence.support(chances)
    start, end = (
        datetime.datetime.fromtimestamp(at, datetime.UTC) for at in (evidence.time.min(), evidence.time.max())
    )
    slow = _slow(evidence, goal, chances)
    kept, promise = _promise(evidence, goal, chances, slow)
    low, high = lower(kept, goal.confidence), upper(kept, goal.confidence)
    if not support.can_tell:
        verdict, reason = "cannot tell", "; ".join(support.reasons)
    elif low >= 0:
        verdict, reason = "confirmed", f"{promise}, with {goal.sure}"
    elif high < 0:
        verdict, reason = "broken", f"not so with {goal.sure}: {promise}"
    else:
        so = "as far as they go, yes" if kept.value >= 0 else "as far as they go, no"
        verdict, reason = "open", f"these days are too few to be sure of it ({so}): {promise}"
    told = support.can_tell
    return Confirmation(
        verdict=verdict,  # type: ignore[arg-type]  # one of the four above
        reason=reason,
        start=start,
        end=end,
        requests=len(evidence),
        ess=support.ess,
        quality_change=evidence.change(chances).estimate() if told else None,
        cost_usd=evidence.spend(chances).estimate() if told else None,
        savings_share=_saved(evidence, chances) if told else None,
        slow_share=slow.estimate() if told and slow is not None else None,
        p95_s=tail_of(chances, limits_of(evidence)) if told and np.isfinite(evidence.latency_s).any() else None,
    )


def _promise(evidence: Evidence, goal: Goal, chances: Vector, slow: Statistic | None) -> tuple[Statistic, str]:
    """By how much the goal is kept, 0 or more where it is, and what it says."""
    if goal.goal == "budget":
        usd = goal.usd_per_1000 or 0.0
        left = usd / 1000 - evidence.spend(chances).contributions
        return mean("left", left), f"1,000 requests cost at most {usd:g} USD"
    if slow is not None:
        under = f"at most {SLOW_SHARE:.0%} of requests take over {goal.p95_s:g} s"
        return mean("spare", SLOW_SHARE - slow.contributions), under
    spare = mean("spare", evidence.change(chances).contributions + goal.margin)
    return spare, f"quality is not worse than what was logged by more than {goal.margin_points:g} points"


def _slow(evidence: Evidence, goal: Goal, chances: Vector) -> Statistic | None:
    if goal.goal != "latency" or goal.p95_s is None:
        return None
    return mean("slow_share", evidence.of(evidence.slow(goal.p95_s), chances))


def _saved(evidence: Evidence, chances: Vector) -> Estimate | None:
    try:
        found = comparison.savings_share(evidence.spend(chances), mean("logged", evidence.logged_cost_usd))
    except EvidenceError:
        return None  # a spend that cannot be told from zero has no share to save
    return found.estimate()
