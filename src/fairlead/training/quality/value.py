"""What a predictor of quality is worth for routing: the mean height of its cost/quality hull, with resamples.

Choosing by Brier score is choosing wrong: the best one gave a worse router than no predictor at all on one public set.
The hull is the non-decreasing concave one of RouterBench (Hu et al. 2024), between the cheapest and the best single
endpoint. It is read through its support lines, height(c) = min over prices of (max(q - price * c')) + price * c, which
is a few array operations for all resamples at once.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from msgspec import Struct

__all__ = ["Heights", "Market", "heights"]

Array = np.ndarray[Any, Any]
PRICES: Final = 41
COSTS: Final = 41
REPLICATES: Final = 200
GROUPS: Final = 2000  # resampled as wholes where there are more, to bound the memory


class Market(Struct, frozen=True, kw_only=True):
    """What came of n requests at K endpoints, as far as it is known, and what each was expected to cost: all (n, K).

    `group` (n,) is equal for equal prompts, which are resampled together.
    """

    outcome: Array
    cost: Array
    expected_cost: Array
    group: Array


class Heights(Struct, frozen=True, kw_only=True):
    """Mean height of each router's hull (R,), of the single endpoints', and both again on resamples (R, B) and (B,)."""

    router: Array
    zero: float
    router_again: Array
    zero_again: Array

    def gain(self, one: int, other: int | None = None) -> tuple[float, float, float]:
        """Give the gain of a router over another, or over the zero router, with its 95 % interval."""
        base, again = (self.zero, self.zero_again) if other is None else (self.router[other], self.router_again[other])
        low, high = np.quantile(self.router_again[one] - again, [0.025, 0.975])
        return float(self.router[one] - base), float(low), float(high)


def heights(routers: list[Array], market: Market, seed: int = 0) -> Heights:
    """Value routers, each as predicted qualities (n, K), on the same requests and the same resamples."""
    _, group = np.unique(market.group, return_inverse=True)
    rng = np.random.default_rng(seed)
    count = int(group.max()) + 1
    if count > GROUPS:
        group, count = rng.permutation(count)[group] % GROUPS, GROUPS
    sums = [_points(quality, market, group, count) for quality in routers]
    singles = np.stack([_by_group(side, group, count) for side in (market.outcome, market.cost)])
    size = np.bincount(group, minlength=count).astype(np.float64)
    drawn = rng.multinomial(count, np.full(count, 1 / count), size=REPLICATES)
    weight = np.vstack([np.ones(count), drawn]).astype(np.float64)
    total = weight @ size
    single = (weight @ singles) / total[:, None]  # (2, 1 + B, K)
    low, high = single[1, 0].min(), single[1, 0, single[0, 0].argmax()]
    costs = np.linspace(low, max(high, low + 1e-12), COSTS)
    found = []
    for points in [*sums, singles]:
        cloud = (weight @ points) / total[:, None]
        found.append(_height(np.concatenate([cloud, single], axis=2) if points is not singles else single, costs))
    router = np.array(found[:-1])
    return Heights(router=router[:, 0], zero=float(found[-1][0]), router_again=router[:, 1:], zero_again=found[-1][1:])


def _points(quality: Array, market: Market, group: Array, count: int) -> Array:
    """Sum what each price's choices brought and cost, by group: (2, G, P)."""
    rows = np.arange(len(quality))
    prices = _prices(quality, market.expected_cost)
    out = np.empty((2, count, len(prices)))
    for place, price in enumerate(prices):
        chosen = (quality - price * market.expected_cost).argmax(axis=1)
        for side, values in enumerate((market.outcome, market.cost)):
            out[side, :, place] = np.bincount(group, weights=values[rows, chosen], minlength=count)
    return out


def _prices(quality: Array, cost: Array) -> Array:
    """Give 0 and prices spread over those at which requests change from one endpoint to another."""
    step = slice(None, None, max(1, len(quality) // 1000))
    best = quality[step].argmax(axis=1)[:, None]
    gain = np.take_along_axis(quality[step], best, 1) - quality[step]
    spare = np.take_along_axis(cost[step], best, 1) - cost[step]
    turns = gain[(spare > 0) & (gain > 0)] / spare[(spare > 0) & (gain > 0)]
    if not turns.size:
        return np.zeros(1)
    return np.unique(np.concatenate([[0.0], np.quantile(turns, np.linspace(0, 1, PRICES))]))


def _by_group(values: Array, group: Array, count: int) -> Array:
    return np.stack([np.bincount(group, weights=column, minlength=count) for column in values.T], axis=1)


def _height(cloud: Array, costs: Array) -> Array:
    """Give the mean height (S,) over `costs` of the hulls of points (2, S, P)."""
    quality, cost = cloud
    span = max(float(costs[-1] - costs[0]), 1e-12)
    slopes = np.concatenate([[0.0], np.geomspace(1e-4, 1e3, 160)]) / span * max(float(np.ptp(quality[0])), 1e-6)
    support = np.stack([(quality - slope * cost).max(axis=1) for slope in slopes], axis=1)
    line = support[:, :, None] + slopes[None, :, None] * costs[None, None, :]
    height: Array = line.min(axis=1).mean(axis=1)
    return height
