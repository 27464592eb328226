"""What a policy has to beat: simple choices as probability matrices (n requests, K endpoints), rows summing to 1.

>>> greedy(np.array([[0.9, 0.8]]), np.array([[0.02, 0.01]]), usd_price=20.0).tolist()
[[0.0, 1.0]]
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fairlead.errors import EvidenceError
from fairlead.evaluation.intervals import Vector
from fairlead.scoring.table import CategoryTable

__all__ = [
    "best_single",
    "category_table",
    "cheapest",
    "cost_matched_random",
    "greedy",
    "known_means",
    "single",
    "status_quo",
]

_STRENGTH = 5.0  # requests that the endpoint's overall mean counts for in each route's mean


def status_quo(action: npt.NDArray[np.integer[Any]], endpoints: int, logging: Vector | None = None) -> Vector:
    """Do as the log did: its own probabilities (n, K) where it kept them, else the shares of what was chosen (n,)."""
    if logging is not None:
        if logging.shape != (len(action), endpoints):
            raise EvidenceError(f"logging probabilities must be {(len(action), endpoints)}, not {logging.shape}")
        return np.asarray(logging, dtype=np.float64)
    shares = np.bincount(action, minlength=endpoints) / max(1, len(action))
    return np.tile(shares, (len(action), 1))


def single(n: int, endpoints: int, column: int) -> Vector:
    """Send everything to one endpoint."""
    chosen = np.zeros((n, endpoints))
    chosen[:, column] = 1.0
    return chosen


def best_single(quality: Vector, cost: Vector) -> int:
    """Find the column of best mean quality in training outcomes (n, K), the cheaper one of equals; NaN = not known.

    An endpoint whose quality or cost nobody ever saw cannot be the best.
    """
    quality_means, cost_means = known_means(quality), known_means(cost)
    known = np.isfinite(quality_means) & np.isfinite(cost_means)
    if not known.any():
        raise EvidenceError("no endpoint has both a known quality and a known cost; bring feedback and prices")
    order = np.lexsort((cost_means, np.where(known, -quality_means, np.inf)))
    return int(order[0])


def cheapest(cost: Vector) -> int:
    """Find the column of least mean cost in training outcomes (n, K)."""
    means = known_means(cost)
    if not np.isfinite(means).any():
        raise EvidenceError("no endpoint has a known cost; add its price to data/prices.csv")
    return int(np.nanargmin(means))


def category_table(
    route: npt.NDArray[np.integer[Any]], outcomes: Vector, routes: int, strength: float = _STRENGTH
) -> CategoryTable:
    """Fit the mean of each route and endpoint from codes 0..routes-1 (n,) and outcomes (n, K) with NaN for unseen.

    Each mean is shrunk to the endpoint's overall mean, as if that had been seen `strength` times; a route never seen
    gets the overall mean. From a log whose choices depended on the request, pass pseudo-outcomes, not raw ones.
    """
    overall = known_means(outcomes)
    seen = np.isfinite(outcomes)
    values = np.tile(overall, (routes + 1, 1))
    for code in range(routes):
        rows = route == code
        count = seen[rows].sum(axis=0)
        total = np.where(seen[rows], outcomes[rows], 0.0).sum(axis=0)
        values[code] = (total + strength * overall) / (count + strength)
    return CategoryTable(values=values)


def cost_matched_random(n: int, cost: Vector, quality: Vector, target_cost: float) -> Vector:
    """Toss a coin between the cheapest and the best endpoint so that the expected cost is `target_cost`.

    Takes each endpoint's mean cost and quality (K,). A router that does not beat this knows nothing of its requests.
    A target outside what the two cost is met by the nearer of them.
    """
    low = cheapest(cost[None, :])
    high = best_single(quality[None, :], cost[None, :])
    span = float(cost[high] - cost[low])
    share = min(1.0, max(0.0, (target_cost - float(cost[low])) / span)) if span > 0 else 1.0
    return share * single(n, len(cost), high) + (1 - share) * single(n, len(cost), low)


def greedy(quality: Vector, cost: Vector, usd_price: float, otherwise: int = 0) -> Vector:
    """Choose the endpoint of the highest quality - usd_price * cost for each request; (n, K) of zeros and ones.

    An endpoint without both predictions is not chosen; where none has them, column `otherwise` is.
    """
    utility = quality - usd_price * cost
    np.copyto(utility, -np.inf, where=~np.isfinite(utility))
    rows, column = np.arange(len(utility)), utility.argmax(axis=1)
    column[np.isneginf(utility[rows, column])] = otherwise
    chosen = np.zeros(quality.shape)
    chosen[rows, column] = 1.0
    return chosen


def known_means(values: Vector) -> Vector:
    """Give the mean of each column over what is known (n, K) -> (K,); NaN for a column of nothing."""
    seen = np.isfinite(values)
    count = seen.sum(axis=0)
    total = np.where(seen, values, 0.0).sum(axis=0)
    means: Vector = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return means
