"""The frontier of cost and quality: what the best mix of some choices reaches at each price.

Costs are mean USD a request, qualities mean 0..1. AIQ is RouterBench's idea (Hu et al. 2024), with its range fixed:
`aiq` over [cheapest single, dearest single], `aiq_b` over [cheapest single, best single], so that a dear bad endpoint
cannot inflate it. Values are comparable only between routers over the same endpoints and requests.

>>> singles = Frontier.of(np.array([1.0, 2.0, 3.0]), np.array([0.5, 0.9, 0.8]))
>>> singles.quality_at(np.array([1.5, 3.0])).tolist()
[0.7, 0.9]
"""

from __future__ import annotations

import numpy as np
from msgspec import Struct

from fairlead.errors import EvidenceError
from fairlead.evaluation.intervals import Vector

__all__ = ["Areas", "Frontier", "areas", "savings_at"]


class Frontier(Struct, frozen=True, eq=False):
    """The non-decreasing concave hull of points: its corners, from the cheapest to the best."""

    cost: Vector  # (h,), rising
    quality: Vector  # (h,), rising

    @staticmethod
    def of(cost: Vector, quality: Vector) -> Frontier:
        """Find the corners of the points' hull; what is dearer and no better is left out."""
        cost, quality = np.asarray(cost, dtype=np.float64), np.asarray(quality, dtype=np.float64)
        if cost.shape != quality.shape or cost.ndim != 1 or len(cost) == 0:
            raise EvidenceError(f"a frontier needs a cost and a quality a point; got {cost.shape} and {quality.shape}")
        if not (np.isfinite(cost).all() and np.isfinite(quality).all()):
            raise EvidenceError("a frontier needs known costs and qualities; leave endpoints without a price out")
        corners: list[tuple[float, float]] = []
        for point in sorted(zip(cost.tolist(), quality.tolist(), strict=True), key=lambda p: (p[0], -p[1])):
            if corners and point[1] <= corners[-1][1]:
                continue
            while len(corners) > 1 and _not_above(corners[-2], corners[-1], point):
                corners.pop()
            corners.append(point)
        x, y = np.array(corners).T
        return Frontier(x, y)

    def quality_at(self, cost: Vector) -> Vector:
        """Give the height at each cost; flat beyond the last corner, NaN below the first: nothing is that cheap."""
        height: Vector = np.interp(cost, self.cost, self.quality, left=np.nan)
        return height

    def cost_of(self, quality: float) -> float:
        """Give the least cost at which the frontier reaches a quality; NaN when it never does."""
        if quality > self.quality[-1]:
            return float("nan")
        return float(np.interp(quality, self.quality, self.cost))

    def mean_height(self, low: float, high: float) -> float:
        """Give the mean height over costs from `low` to `high`; the height itself when they are one."""
        if high <= low:
            return float(self.quality_at(np.array([low]))[0])
        inner = self.cost[(self.cost > low) & (self.cost < high)]
        at = np.concatenate([[low], inner, [high]])
        return float(np.trapezoid(self.quality_at(at), at) / (high - low))


class Areas(Struct, frozen=True, kw_only=True):
    """The readings of one router beside those of the endpoints it can choose from."""

    aiq: float
    aiq_b: float
    zero_aiq: float  # the zero router: the best mix of single endpoints, which knows nothing of a request
    zero_aiq_b: float
    best_single: int  # column of the best single endpoint; the cheaper one of equals
    saving_at: dict[str, float | None]  # quality kept ("95%", of the best single's) -> share of its cost saved


def areas(cost: Vector, quality: Vector, single_cost: Vector, single_quality: Vector) -> Areas:
    """Read a router's points (p,) against the single endpoints (K,).

    The cheapest single belongs to every router's frontier: any of them may send everything there.
    """
    best = int(np.lexsort((single_cost, -single_quality))[0])
    cheapest = int(np.lexsort((-single_quality, single_cost))[0])
    low, high, dearest = single_cost[cheapest], single_cost[best], single_cost.max()
    zero = Frontier.of(single_cost, single_quality)
    router = Frontier.of(np.append(cost, low), np.append(quality, single_quality[cheapest]))
    return Areas(
        aiq=router.mean_height(low, dearest),
        aiq_b=router.mean_height(low, high),
        zero_aiq=zero.mean_height(low, dearest),
        zero_aiq_b=zero.mean_height(low, high),
        best_single=best,
        saving_at={
            f"{share:.0%}": savings_at(router, float(single_quality[best]), float(high), share)
            for share in (0.95, 0.99, 1.0)
        },
    )


def savings_at(frontier: Frontier, best_quality: float, best_cost: float, share: float) -> float | None:
    """Read the share of the best single's cost saved where the frontier reaches `share` of its quality; None if never.

    An after-the-fact reading of the requests it was drawn from, **not a promise**: choosing a price by it broke the
    floor in up to 58 % of splits. operating_point.py says what may be promised.
    """
    cost = frontier.cost_of(share * best_quality)
    return None if np.isnan(cost) or best_cost <= 0 else 1 - cost / best_cost


def _not_above(left: tuple[float, float], middle: tuple[float, float], right: tuple[float, float]) -> bool:
    """Whether the middle point lies on or below the line from left to right."""
    rise = (right[1] - left[1]) * (middle[0] - left[0])
    return (middle[1] - left[1]) * (right[0] - left[0]) <= rise
