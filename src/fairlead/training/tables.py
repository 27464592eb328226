"""Category tables: shrunk means by route and endpoint, the baseline beside every forest."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from fairlead.scoring.table import CategoryTable

__all__ = ["at", "crossfit", "crossfit_all", "fit", "quantiles"]

Array = np.ndarray[Any, Any]
STRENGTH: Final = 5.0  # a cell counts as much as its prior once it has this many rows
QUANTILE_STRENGTH: Final = 20.0  # the same for quantiles, which need more rows than means
_READ: Final = 1_000_000  # rows that quantiles are read from, evenly spread


def fit(
    value: Array,
    route: Array,
    endpoint: Array,
    shape: tuple[int, int],
    alpha: float | None = None,
    weight: Array | None = None,
) -> Array:
    """Fit the table (routes + 1, K) of means of `value` (n,), weighed by `weight` (n,), or of its quantile `alpha`.

    The last row is for routes never seen. A cell is shrunk towards its endpoint's mean plus its route's effect, each
    of them shrunk in turn (empirical Bayes with a fixed strength, as in target encoding: Micci-Barreca 2001).
    """
    routes, endpoints = shape[0] - 1, shape[1]
    kept = np.isfinite(value)
    value, endpoint, weight = value[kept], endpoint[kept], None if weight is None else weight[kept]
    route = np.where(np.isfinite(route[kept]), route[kept], routes).astype(np.int64)
    overall = float(np.average(value, weights=weight)) if value.size else 0.0
    by_endpoint = _shrunk(value - overall, weight, endpoint, endpoints)
    rest = value - overall - by_endpoint[endpoint]
    by_route = _shrunk(rest, weight, route, routes + 1)
    by_route[routes] = 0.0
    cell = _shrunk(rest - by_route[route], weight, route * endpoints + endpoint, (routes + 1) * endpoints)
    table: Array = overall + by_endpoint[None, :] + by_route[:, None] + cell.reshape(routes + 1, endpoints)
    table[routes] = overall + by_endpoint
    if alpha is not None:
        table += quantiles(value - at(table, route, endpoint), route, endpoint, shape, alpha)
    return table


def quantiles(residual: Array, route: Array, endpoint: Array, shape: tuple[int, int], alpha: float) -> Array:
    """Give the quantile of residuals (n,) by cell (routes + 1, K), drawn to its endpoint's and that to all's."""
    spread = np.linspace(0, max(len(residual) - 1, 0), min(len(residual), _READ))
    part: Array = spread.astype(np.int64)
    value, cell, endpoint = residual[part], (route * shape[1] + endpoint)[part], endpoint[part]
    overall = np.full(1, np.quantile(value, alpha) if len(value) else 0.0)
    by_endpoint = _quantiles(value, endpoint, np.repeat(overall, shape[1]), alpha)
    own: Array = _quantiles(value, cell, np.tile(by_endpoint, shape[0]), alpha).reshape(shape)
    own[-1] = by_endpoint
    return own


def _quantiles(value: Array, group: Array, prior: Array, alpha: float) -> Array:
    order = np.lexsort((value, group))
    count = np.bincount(group, minlength=len(prior))
    first = np.cumsum(count) - count
    seen = np.flatnonzero(count)
    own = value[order][first[seen] + np.minimum(np.floor(alpha * count[seen]), count[seen] - 1).astype(np.int64)]
    out: Array = prior.copy()
    out[seen] = (count[seen] * own + QUANTILE_STRENGTH * prior[seen]) / (count[seen] + QUANTILE_STRENGTH)
    return out


def crossfit(
    value: Array,
    route: Array,
    endpoint: Array,
    shape: tuple[int, int],
    fold: Array,
    alpha: float | None = None,
    weight: Array | None = None,
) -> Array:
    """Give each row (n,) its table value as fitted on the other folds, so that no row sees itself."""
    out = np.zeros(len(value))
    for part in np.unique(fold):
        mine = fold == part
        table = fit(
            value[~mine], route[~mine], endpoint[~mine], shape, alpha, None if weight is None else weight[~mine]
        )
        out[mine] = at(table, route[mine], endpoint[mine])
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


def _shrunk(value: Array, weight: Array | None, group: Array, groups: int) -> Array:
    count = np.bincount(group, weights=weight, minlength=groups)
    total = value if weight is None else value * weight
    shrunk: Array = np.bincount(group, weights=total, minlength=groups) / (count + STRENGTH)
    return shrunk
