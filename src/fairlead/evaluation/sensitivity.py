"""What could be true where the log kept no propensities: bounds, which are no interval.

Choices are explained from what was logged, by route and endpoint, and the true chances may differ from that by a factor
`gamma` of their odds (marginal sensitivity model: Tan 2006; the bounds are those of Zhao, Small and Bhattacharya 2019).
At gamma 1 the explanation is right and the two bounds are one; nothing in the log says how large gamma is. That a
policy never met by the log is as good as predicted is not covered: `unseen` says how much of it that is.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from msgspec import Struct

from fairlead.training import tables

__all__ = ["GAMMAS", "Bounds", "bounds", "guessed_propensities"]

Array = np.ndarray[Any, Any]
GAMMAS: Final = (1.0, 1.5, 2.0, 3.0)
LEAST: Final = 0.01


class Bounds(Struct, frozen=True, kw_only=True):
    """Between what a policy's mean lies if true odds differ from the guessed ones by at most `gamma`."""

    gamma: float
    low: float
    high: float


def guessed_propensities(endpoint: Array, route: Array, endpoints: int) -> Array:
    """Guess the chance (n,) of each choice from the shares by route; never for an interval.

    Estimated propensities fake overlap: on real outcomes they made intervals that held the truth in 1 of 100 logs.
    """
    known = np.isfinite(route)
    routes = int(route[known].max()) + 1 if known.any() else 0
    nowhere, shape = np.zeros(len(endpoint), dtype=np.int64), (routes + 1, 1)
    chosen = [(endpoint == k).astype(np.float64) for k in range(endpoints)]
    shares = np.stack([tables.at(tables.fit(one, route, nowhere, shape), route, nowhere) for one in chosen], axis=1)
    chance: Array = np.clip(shares[np.arange(len(endpoint)), endpoint], LEAST, 1.0)
    return chance


def bounds(reward: Array, target: Array, guessed: Array, gammas: tuple[float, ...] = GAMMAS) -> list[Bounds]:
    """Bound the policy's mean reward, for each gamma: all arrays (n,), `target` the policy's chance of the same choice.

    >>> one = bounds(np.array([1.0, 0.0]), np.array([1.0, 1.0]), np.array([0.5, 0.5]), (1.0, 3.0))
    >>> [(float(b.low), float(b.high)) for b in one]
    [(0.5, 0.5), (0.25, 0.75)]
    """
    met = target > 0
    if not met.any():
        return []
    order = np.argsort(reward[met], kind="stable")
    value, share, odds = reward[met][order], target[met][order], (1 / guessed[met] - 1)[order]
    found = []
    for gamma in gammas:
        least, most = share * (1 + odds / gamma), share * (1 + odds * gamma)
        found.append(Bounds(gamma=gamma, low=_extreme(value, most, least), high=_extreme(value, least, most, True)))
    return found


def _extreme(value: Array, early: Array, late: Array, largest: bool = False) -> float:
    """Give the extreme of the weighted mean whose weights change once along the sorted values."""
    top = np.concatenate([[0.0], np.cumsum(early * value)]) + np.concatenate(
        [np.cumsum((late * value)[::-1])[::-1], [0.0]]
    )
    below = np.concatenate([[0.0], np.cumsum(early)]) + np.concatenate([np.cumsum(late[::-1])[::-1], [0.0]])
    means = top / below
    return float(means.max() if largest else means.min())
