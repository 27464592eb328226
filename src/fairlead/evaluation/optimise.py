"""Chooses where a policy stands so that it keeps a promise, or fills a budget.

Promises are tested along a path that the predictions fix, from the setting that keeps them most easily to the one that
saves most, and testing stops at the first failure (fixed-sequence testing, Maurer, Hothorn and Lehmacher 1995; Learn
then Test, Angelopoulos et al. 2021), so trying many settings costs no confidence. A promise is about requests to come,
whose mean has noise of its own: its bound is that of the mean over `ahead` times as many requests again. A setting
that the log does not support (`overlap.Limits`) fails, whatever its estimate says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from msgspec import Struct

from fairlead.errors import EvidenceError, UsageError
from fairlead.evaluation import operating_point
from fairlead.evaluation.bounds import lower, upper_share
from fairlead.evaluation.evidence import Evidence
from fairlead.evaluation.goals import Goal
from fairlead.evaluation.intervals import Vector
from fairlead.evaluation.operating_point import Training
from fairlead.evaluation.reach import limits_of, tail_of

__all__ = ["SLOW_SHARE", "Choice", "choose", "grid"]

SLOW_SHARE: Final = 0.05  # of requests over the limit: what "p95 under 4 s" allows
_SLO_PRICES: Final = (10.0, 3.0, 1.0, 0.5, 0.25, 0.1, 0.05, 0.02, 0.01, 0.0)  # from what heeds the limit most
_BEYOND: Final = 4  # prices past the grid's last, on the way to the cheapest
Spare = Callable[[Vector], float]


class Choice(Struct, frozen=True, kw_only=True):
    """A setting of `intelligent`, and what it had on the requests that it was chosen on. Means a request."""

    parameters: dict[str, float]
    reason: str
    requests: int
    quality_change: float  # against what was logged, 0..1
    cost_usd: float
    logged_cost_usd: float
    spare: float | None = None  # by how much the promise is kept at the least, in its own unit; None: none is made
    tested: int = 1

    @property
    def savings_share(self) -> float:
        """The share of the logged cost that it saves."""
        return 1 - self.cost_usd / self.logged_cost_usd if self.logged_cost_usd > 0 else 0.0


def choose(evidence: Evidence, goal: Goal, *, prices: Vector | None = None, ahead: float = 1.0) -> Choice:
    """Choose a setting for `margin`, `budget` or `latency`; EvidenceError says what could be kept instead.

    With `ahead` 0 a bound is that of the long-run mean alone. `prices` are the USD prices to look at, by default those
    between which choices change.
    """
    if goal.goal not in _WAYS:
        raise UsageError(f"the goal {goal.goal!r} is not chosen this way; {', '.join(_WAYS)} are")
    known = grid(evidence) if prices is None else np.sort(np.asarray(prices, dtype=np.float64))
    return _WAYS[goal.goal](evidence, goal, known, ahead)


def grid(evidence: Evidence, count: int = 24) -> Vector:
    """Give the prices of a dollar between which choices change: from 0 to where every request goes to its cheapest."""
    own = evidence.candidates
    quality = np.where(own.eligible, own.quality, np.nan)
    prices = operating_point.price_grid(quality, own.cost_usd, count)
    known = np.isfinite(quality) & np.isfinite(own.cost_usd)
    cost = np.where(known, own.cost_usd, np.inf)
    cheapest = cost.argmin(axis=1)[:, None]
    gain = np.where(known, quality, -np.inf) - np.take_along_axis(quality, cheapest, axis=1)
    spend = cost - np.take_along_axis(cost, cheapest, axis=1)
    turns = known & (gain > 0) & (spend > 0)
    last = 1.01 * float((gain[turns] / spend[turns]).max()) if turns.any() else 0.0
    if last <= prices[-1]:
        return prices
    return np.concatenate([prices, np.geomspace(max(prices[-1], 1e-9), last, _BEYOND + 1)[1:]])


def _margin(evidence: Evidence, goal: Goal, prices: Vector, ahead: float) -> Choice:
    """The cheapest setting whose quality is not worse than what was logged by more than the margin."""

    def spare(chances: Vector) -> float:
        return lower(evidence.change(chances), goal.confidence, ahead) + goal.margin

    path = [{"usd_price": float(price)} for price in prices]
    said = (
        f"cheapest that is not worse than what was logged by more than {goal.margin_points:g} points, with {goal.sure}"
    )
    passed, why = _along(
        evidence, path, spare, said, "it may be worse than what was logged by {:.2f} points", goal.margin
    )
    saving = [one for one in passed if one.cost_usd < one.logged_cost_usd]
    if not saving:
        raise EvidenceError(
            f"no setting that saves keeps the logged quality to within {goal.margin_points:g} points with "
            f"{goal.sure}: {why}; {_nearest_margin(evidence, path, spare, goal)}"
        )
    return min(saving, key=lambda one: one.cost_usd)


def _budget(evidence: Evidence, goal: Goal, prices: Vector, _: float) -> Choice:
    """The best quality at an expected cost: a mix of the two neighbouring prices that the budget lies between."""
    asked = (goal.usd_per_1000 or 0.0) / 1000
    costs = np.array([evidence.spend(evidence.choices({"usd_price": float(price)})).value for price in prices])
    falling = np.minimum.accumulate(costs)  # a higher price that costs more is no way to save
    if falling[-1] > asked:
        raise EvidenceError(
            f"no setting costs {1000 * asked:g} USD per 1,000 requests or less; the cheapest costs "
            f"{1000 * falling[-1]:.4g}: raise usd_per_1000 to that, or add a cheaper endpoint"
        )
    at = int(np.flatnonzero(falling <= asked)[0])
    if at == 0:
        said = f"the best quality costs {1000 * costs[0]:.4g} USD per 1,000 requests, less than the budget"
        return _seen(evidence, {"usd_price": float(prices[0])}, said)
    before, share = at - 1, (asked - costs[at]) / (costs[at - 1] - costs[at])
    parameters = {
        "usd_price": float(prices[before]),
        "usd_price_high": float(prices[at]),
        "mix_share": float(1 - share),
    }
    said = f"best quality whose expected cost fills {1000 * asked:g} USD per 1,000 requests, drawn between two prices"
    return _seen(evidence, parameters, said, tested=len(prices))


def _latency(evidence: Evidence, goal: Goal, prices: Vector, ahead: float) -> Choice:
    """The price of the status quo, and the least heed of the limit that still keeps it."""
    limit = goal.p95_s or 0.0
    if not np.isfinite(evidence.latency_s).any():
        raise EvidenceError("no call has a known duration; ingest logs that say when a call ended")
    slow = evidence.slow(limit)

    def spare(chances: Vector) -> float:
        return SLOW_SHARE - upper_share(evidence.of(slow, chances), goal.confidence, ahead)

    usd_price = _status_quo_price(evidence, prices)
    path = [{"usd_price": usd_price, "slo_price": heed, "slo_s": limit} for heed in _SLO_PRICES]
    said = f"at most {SLOW_SHARE:.0%} of requests take over {limit:g} s, with {goal.sure}"
    passed, why = _along(evidence, path, spare, said, "up to {:.1f} % of requests take longer", SLOW_SHARE)
    if not passed:
        raise EvidenceError(
            f"no setting keeps {1 - SLOW_SHARE:.0%} of requests under {limit:g} s with {goal.sure}: {why}; "
            f"{_nearest_limit(evidence, path[0], goal, ahead)}, or add a faster endpoint"
        )
    return passed[-1]


def _along(
    evidence: Evidence, path: Sequence[dict[str, float]], spare: Spare, said: str, short: str, allowed: float
) -> tuple[list[Choice], str]:
    """Test settings in order until one fails: those that passed, and why the next did not."""
    passed: list[Choice] = []
    for tested, parameters in enumerate(path, start=1):
        chances = evidence.choices(parameters)
        support, left = evidence.support(chances), spare(chances)
        if not support.can_tell:
            return passed, f"the logs cannot tell ({'; '.join(support.reasons)})"
        if left < 0:
            return passed, short.format(100 * (allowed - left))
        passed.append(_seen(evidence, parameters, said, left, tested))
    return passed, "none is left"


def _seen(
    evidence: Evidence, parameters: dict[str, float], reason: str, spare: float | None = None, tested: int = 1
) -> Choice:
    chances = evidence.choices(parameters)
    return Choice(
        parameters=parameters,
        reason=reason,
        requests=len(evidence),
        quality_change=evidence.change(chances).value,
        cost_usd=evidence.spend(chances).value,
        logged_cost_usd=float(evidence.logged_cost_usd.mean()),
        spare=spare,
        tested=tested,
    )


def _nearest_margin(evidence: Evidence, path: Sequence[dict[str, float]], spare: Spare, goal: Goal) -> str:
    """Say which margin the first setting that saves would need, everything before it included."""
    needed = 0.0
    for parameters in path:
        chances = evidence.choices(parameters)
        needed = max(needed, goal.margin - spare(chances))
        cost, paid = evidence.spend(chances).value, float(evidence.logged_cost_usd.mean())
        if cost < paid and evidence.support(chances).can_tell:
            points = np.ceil(1000 * needed) / 10
            return f"a margin of {points:g} points could be kept, and would save {1 - cost / paid:.0%}"
    return "no margin would do: nothing that the logs can tell of costs less than what was logged"


def _nearest_limit(evidence: Evidence, fastest: dict[str, float], goal: Goal, ahead: float) -> str:
    """Say which limit the setting that heeds it most could keep."""
    chances, limits = evidence.choices(fastest), limits_of(evidence)
    for seconds, over in zip(limits.seconds, limits.over, strict=True):
        share = upper_share(evidence.of(over, chances), goal.confidence, ahead)
        if seconds > (goal.p95_s or 0.0) and share <= SLOW_SHARE and evidence.support(chances).can_tell:
            return f"the fastest keeps {seconds:.3g} s (its 95th percentile is {tail_of(chances, limits).value:.3g} s)"
    return "no limit could be kept with that confidence"


def _status_quo_price(evidence: Evidence, prices: Vector) -> float:
    own = evidence.candidates
    training = Training(
        quality=np.where(own.eligible, own.quality, np.nan),
        cost_usd=own.cost_usd,
        outcome_quality=evidence.quality,
        outcome_cost_usd=evidence.cost_usd,
    )
    point = operating_point.no_worse_than(training, evidence.logged_quality, evidence.logged_cost_usd, grid=prices)
    return float(point.usd_price or 0.0)


_WAYS: Final = {"margin": _margin, "budget": _budget, "latency": _latency}
