"""Category tables: shrunk means by route and endpoint, the baseline beside every forest."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from fairlead.scoring.table import CategoryTable

__all__ = ["at", "crossfit", "crossfit_all", "fit"]

Array = np.ndarray[Any, Any]
STRENGTH: Final = 5.0  # a cell counts as much as its prior once it has this many rows


def fit(value: Array, route: Array, endpoint: Array, shape: tuple[int, int]) -> Array:
    """Fit the table (routes + 1, K) of means of `value` (n,); the last row is for routes never seen.

    A cell is shrunk towards its endpoint's mean plus its route's effect, each of them shrunk in turn
    (empirical Bayes with a fixed strength, as in target encoding: Micci-Barreca 2001).
    """
    routes, endpoints = shape[0] - 1, shape[1]
    kept = np.isfinite(value)
    value, endpoint = value[kept], endpoint[kept]
    route = np.where(np.isfinite(route[kept]), route[kept], routes).astype(np.int64)
    overall = float(value.mean()) if value.size else 0.0
    by_endpoint = _shrunk(value - overall, endpoint, endpoints)
    rest = value - overall - by_endpoint[endpoint]
    by_route = _shrunk(rest, route, routes + 1)
    by_route[routes] = 0.0
    cell = _shrunk(rest - by_route[route], route * endpoints + endpoint, (routes + 1) * endpoints)
    table: Array = overall + by_endpoint[None, :] + by_route[:, None] + cell.reshape(routes + 1, endpoints)
    table[routes] = overall + by_endpoint
    return table


def crossfit(value: Array, route: Array, endpoint: Array, shape: tuple[int, int], fold: Array) -> Array:
    """Give each row (n,) its table value as fitted on the other folds, so that no row sees itself."""
    out = np.zeros(len(value))
    for part in np.unique(fold):
        mine = fold == part
        out[mine] = at(fit(value[~mine], route[~mine], endpoint[~mine], shape), route[mine], endpoint[mine])
    return out


def at(table: Array, route: Array, endpoint: Array) -> Array:
    """Look up (route, endpoint) pairs, both (n,), in a table (routes + 1, K): (n,); NaN is a route never seen."""
    last = len(table) - 1
    known = (route >= 0) & (route < last)
    own: Array = table[np.where(known, np.nan_to_num(route, nan=0.0), last).astype(np.int64), endpoint]
    return own


def crossfit_all(value: Array, route: Array, endpoint: Array, shape: tuple[int, int], fold: Array) -> Array:
    """The same for every endpoint: (n, K)."""
    out = np.zeros((len(value), shape[1]))
    for part in np.unique(fold):
        mine = fold == part
        table = CategoryTable(values=fit(value[~mine], route[~mine], endpoint[~mine], shape))
        out[mine] = table.lookup(route[mine])
    return out


def _shrunk(value: Array, group: Array, groups: int) -> Array:
    count = np.bincount(group, minlength=groups)
    shrunk: Array = np.bincount(group, weights=value, minlength=groups) / (count + STRENGTH)
    return shrunk
