"""What exploration costs, and what it buys: how much of other policies the log will be able to tell.

A request logged with probabilities P counts for other policies T by the effective sample size of its weights (Kish
1965), which is known before any request is drawn: (mean sum T)^2 / mean sum(T^2 / P), as a share of the requests.
Boltzmann exploration draws near-equals often and bad choices hardly ever, so the same loss buys more of it than
epsilon-greedy's even share of everything: see `benchmarks/exploration.py`.

>>> sure, half = np.array([[1.0, 0.0]]), np.array([[0.5, 0.5]])
>>> ess_share(sure, half), ess_share(half, half), ess_share(half, sure)
(0.5, 1.0, 0.0)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import numpy as np
from msgspec import Struct

from fairlead.errors import EvidenceError
from fairlead.evaluation import baselines
from fairlead.evaluation.evidence import Evidence
from fairlead.evaluation.intervals import Vector
from fairlead.evaluation.optimise import grid
from fairlead.evaluation.overlap import Limits

__all__ = ["ROWS", "WAYS", "Priced", "Way", "alternatives", "ess_share", "exploration_for", "priced"]

Family = Literal["boltzmann", "epsilon"]
ROWS: Final = 20_000  # requests that a price of exploration needs, however many there are
_FLOOR: Final = 0.02  # of Boltzmann's draw, spread evenly, so that no weight is boundless
_STRENGTHS: Final[dict[Family, tuple[float, ...]]] = {
    "boltzmann": (0.003, 0.005, 0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.2),  # temperatures
    "epsilon": (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5),  # shares
}


class Way(Struct, frozen=True):
    """A way to explore: a temperature or a share, over the `top` best endpoints; None: over all of them."""

    family: Family
    strength: float
    top: int | None = 3

    def parameters(self, endpoints: int) -> dict[str, float]:
        """Give it as parameters of `intelligent`."""
        top = endpoints if self.top is None else min(self.top, endpoints)
        if self.family == "boltzmann":
            return {"temperature": self.strength, "exploration": _FLOOR, "top": top}
        return {"temperature": 0.0, "exploration": self.strength, "top": top}

    def __str__(self) -> str:
        over = "all endpoints" if self.top is None else f"the top {self.top}"
        return f"{self.family} {self.strength:g} over {over}"


WAYS: Final = tuple(
    Way(family, strength, top)
    for family, strengths in _STRENGTHS.items()
    for top in (3, None)
    for strength in strengths
)


class Priced(Struct, frozen=True, kw_only=True):
    """One way to explore: what it costs a request, and which share of requests count for each other policy."""

    way: Way
    parameters: dict[str, float]
    loss: float  # of utility: quality less the price of dollars and seconds, 0..1
    quality_change: float
    cost_change_share: float  # of the cost without exploring
    ess_shares: dict[str, float]  # by policy; 0 where the log could never tell

    @property
    def typical(self) -> float:
        """The share of requests that count for the other policy in the middle."""
        return float(np.median(list(self.ess_shares.values())))


def priced(
    evidence: Evidence,
    base: Mapping[str, float],
    others: Mapping[str, Vector],
    ways: Sequence[Way] = WAYS,
) -> list[Priced]:
    """Price ways to explore around `intelligent` with the parameters `base`.

    Where every choice's outcome was seen they are priced by that; on a log by the predictions, since the noise of
    doubly robust stand-ins is many times the difference that a little exploration makes.
    `others` are the policies the log shall tell of: probabilities (n, K) by name, see `alternatives`. Utility is that
    of `base`.
    """
    if not others:
        raise EvidenceError("name at least one other policy that the log shall tell of")
    greedy = evidence.choices(dict(base))
    own, full = evidence.candidates, evidence.propensity is None
    quality, cost = (evidence.quality, evidence.cost_usd) if full else (own.quality, own.cost_usd)
    paid = float(evidence.of(cost, greedy).mean())
    found = []
    for way in ways:
        parameters = dict(base) | way.parameters(greedy.shape[1])
        chances = evidence.choices(parameters)
        better = float((evidence.of(quality, chances) - evidence.of(quality, greedy)).mean())
        dearer = float(evidence.of(cost, chances).mean()) - paid
        found.append(
            Priced(
                way=way,
                parameters=parameters,
                loss=-better + _usd_price(base) * dearer,
                quality_change=better,
                cost_change_share=dearer / paid if paid > 0 else 0.0,
                ess_shares={name: ess_share(target, chances) for name, target in others.items()},
            )
        )
    return found


def alternatives(evidence: Evidence, base: Mapping[str, float], reach: int = 4) -> dict[str, Vector]:
    """Give the policies a team is likely to ask about: neighbouring prices on the frontier, and the best single.

    `reach` steps of the price grid up and down, each step a few per cent of the spend.
    """
    prices = grid(evidence)
    at = int(np.searchsorted(prices, _usd_price(base)))
    near = [place for place in range(at - reach, at + reach + 1) if 0 <= place < len(prices)]
    greedy = evidence.choices(dict(base))
    found = {}
    for place in near:
        alone = {name: value for name, value in base.items() if name not in ("usd_price_high", "mix_share")}
        target = evidence.choices(alone | {"usd_price": float(prices[place])})
        if not np.array_equal(target, greedy):
            found[f"usd_price {prices[place]:.4g}"] = target
    best = baselines.best_single(evidence.quality, evidence.cost_usd)
    found["best_single"] = baselines.single(len(greedy), greedy.shape[1], best)
    return found


def ess_share(target: Vector, logging: Vector) -> float:
    """Give the share of requests that will count for a policy: both (n, K); 0 where over 1 % of it is out of reach."""
    reached = (target > 0) & (logging > 0)
    inside = np.where(reached, target, 0.0).sum(axis=1).mean()
    if 1 - inside > Limits().unsupported_share:
        return 0.0
    squares = np.divide(target**2, logging, out=np.zeros_like(target), where=reached).sum(axis=1).mean()
    return float(inside**2 / squares)


def exploration_for(ways: Sequence[Priced], target_ess: float, requests_a_day: float, *, days: float = 7.0) -> Priced:
    """Give the way that loses least among those whose logs of `days` tell of the typical other policy.

    That is: count for `target_ess` requests of it or more (140 makes intervals honest). EvidenceError says how long
    the strongest would take.
    """
    needed = target_ess / max(requests_a_day * days, 1e-9)
    enough = [one for one in ways if one.typical >= needed]
    if not enough:
        best = max(ways, key=lambda one: one.typical)
        most = best.typical * requests_a_day
        wait = "never" if most <= 0 else f"in {math.ceil(target_ess / most):,} days"
        raise EvidenceError(
            f"no exploration makes {days:g} days of {requests_a_day:,.0f} requests count for {target_ess:g} of another "
            f"policy; {best.way} would get there {wait}"
        )
    return min(enough, key=lambda one: one.loss)


def _usd_price(base: Mapping[str, Any]) -> float:
    share = float(base.get("mix_share", 0.0))
    return (1 - share) * float(base.get("usd_price", 0.0)) + share * float(base.get("usd_price_high") or 0.0)
