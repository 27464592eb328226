"""The router that made the simulated log: randomised, with propensities that are exact because the draw used them."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from fairlead.errors import UsageError
from fairlead.evaluation.simulate.world import Floats, Integers, World

__all__ = ["LOGGING_POLICIES", "check", "choose", "probabilities"]

LOGGING_POLICIES: Final = ("uniform", "epsilon", "boltzmann", "deterministic")
_TOP: Final = 3
_TEMPERATURE: Final = 0.05
_DIGITS: Final = 6  # propensities are rounded before the draw, so that the log holds the very numbers that were used


def check(name: str, exploration: float) -> None:
    """Refuse a logging policy that there is not, or an exploration share outside 0 to 1."""
    if name not in LOGGING_POLICIES:
        raise UsageError(f"no logging policy {name!r}; choose from {', '.join(LOGGING_POLICIES)}")
    if not 0 <= exploration <= 1:
        raise UsageError(f"exploration is {exploration:g}; it is the share of requests that explore, from 0 to 1")


def probabilities(
    name: str, world: World, exploration: float, rng: np.random.Generator, there: NDArray[np.bool_] | None = None
) -> Floats:
    """Give each request's probability of each endpoint at the first attempt; rows sum to 1.

    `there` says which endpoints can be called at each request's time; the others have probability 0.
    """
    belief = _old_router(world, rng)
    n, k = belief.shape
    rows = np.arange(n)
    there = np.ones((n, k), dtype=bool) if there is None else there
    even = there / there.sum(axis=1, keepdims=True)
    belief = np.where(there, belief, -np.inf)
    if name == "uniform":
        chances = even
    elif name == "boltzmann":
        seen = belief + rng.normal(0, 0.03, (n, k))  # what the old router read in the request itself
        worst = np.sort(seen, axis=1)[:, -min(_TOP, k)]
        top = np.where(seen >= worst[:, None], seen, -np.inf)
        odds = np.exp((top - seen.max(axis=1, keepdims=True)) / _TEMPERATURE)
        chances = (1 - exploration) * odds / odds.sum(axis=1, keepdims=True) + exploration * even
    else:
        share = exploration if name == "epsilon" else 0.0
        chances = share * even
        chances[rows, belief.argmax(axis=1)] += 1 - share
    chances = np.round(chances, _DIGITS)
    chances[rows, chances.argmax(axis=1)] += 1 - chances.sum(axis=1)
    return np.asarray(np.round(chances, _DIGITS), dtype=np.float64)


def choose(chances: Floats, rng: np.random.Generator) -> Integers:
    """Draw one endpoint a request; an endpoint of probability 0 is never drawn."""
    reached = np.cumsum(chances, axis=1)
    drawn = rng.random(len(chances)) * reached[:, -1]
    return np.asarray((reached > drawn[:, None]).argmax(axis=1), dtype=np.int64)


def _old_router(world: World, rng: np.random.Generator) -> Floats:
    """Give what an earlier, imprecise router believes an endpoint is worth on a route: (requests, endpoints)."""
    routes, code = np.unique(np.array(world.dataset, dtype=object).astype(str), return_inverse=True)
    count = np.bincount(code, minlength=len(routes))[:, None]
    quality = np.stack([np.bincount(code, column, len(routes)) for column in world.quality.T], axis=1) / count
    cost = np.nan_to_num(_column_means(world.cost_usd))
    dear = cost / max(float(cost.max()), 1e-12)
    noise = rng.normal(0, 0.05, quality.shape)
    return np.asarray((quality + noise - 0.12 * dear)[code], dtype=np.float64)


def _column_means(cells: Floats) -> Floats:
    known = np.isfinite(cells)
    return np.asarray(np.where(known, cells, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1), dtype=np.float64)
