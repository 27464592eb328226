"""Outcomes predicted for the doubly robust estimate from the log in question too, but never from the row itself.

What the snapshot predicts was learned before the log began. Its errors by route and endpoint are taken from the other
folds of the log itself (cross-fitting: Chernozhukov et al. 2018), which narrows the interval where the world has moved
on, and costs nothing in bias: any prediction that does not know the row's own outcome keeps the estimate right.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from fairlead.scoring.table import CategoryTable
from fairlead.training import tables

__all__ = ["crossfitted"]

Array = np.ndarray[Any, Any]
FOLDS: Final = 2


def crossfitted(  # every array is one of requests
    predicted: Array, reward: Array, endpoint: Array, route: Array, group: Array, weight: Array | None = None
) -> Array:
    """Give predictions (n, K) moved by their errors in the other fold.

    `predicted` (n, K), the `reward` (n,) at `endpoint` (n,), NaN where nothing was seen, codes of `route` (n,), NaN for
    none, `group` (n,) equal for requests that belong together (a prompt, a conversation), `weight` (n,) 1 / propensity.

    >>> one = np.ones(4)
    >>> crossfitted(np.zeros((4, 1)), one, np.zeros(4, int), one * np.nan, np.arange(4)).round(2).ravel().tolist()
    [1.0, 1.0, 1.0, 1.0]
    """
    n, endpoints = predicted.shape
    fold = _folds(group)
    seen = np.isfinite(reward)
    rest = np.where(seen, reward - predicted[np.arange(n), endpoint], np.nan)
    known = np.isfinite(route)
    routes = int(route[known].max()) + 1 if known.any() else 0
    out: Array = predicted.astype(np.float64)
    for part in range(FOLDS):
        mine, others = fold == part, (fold != part) & seen
        if not others.any():
            continue
        own = None if weight is None else weight[others] / weight[others].mean()
        table = tables.fit(rest[others], route[others], endpoint[others], (routes + 1, endpoints), None, own)
        out[mine] += CategoryTable(values=table).lookup(route[mine])
    return out


def _folds(group: Array) -> Array:
    """Put whole groups into folds, the same every time."""
    names, which = np.unique(group, return_inverse=True)
    fold: Array = (np.random.default_rng(0).permutation(len(names)) % FOLDS)[which]
    return fold
