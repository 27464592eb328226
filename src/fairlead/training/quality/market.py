"""What is known of outcomes and costs at every endpoint, as the share of contrasts is chosen from it."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from fairlead.scoring.table import CategoryTable
from fairlead.training import tables
from fairlead.training.frame import Frame
from fairlead.training.quality.labels import Labels
from fairlead.training.quality.value import Market

__all__ = ["market_of"]

Array = np.ndarray[Any, Any]
MOST_WEIGHT: Final = 20.0  # of one label, where the log chose with small probability


def market_of(frame: Frame, labels: Labels, quality: Array) -> Market:
    """Lay out outcomes and costs (n, K) of a frame's labelled rows; `quality` (n, K) is predicted out of fold.

    What was not seen is the prediction, corrected by what was seen, doubly robust (Dudik, Langford and Li 2011). Where
    a log kept no propensity, the endpoint's share of its route stands in: enough to refuse contrasts that show no gain,
    never to promise a saving. Costs are means by route and endpoint; where there are none at all, an endpoint's mean
    quality stands in for its price.
    """
    seen = labels.weight > 0
    chance = np.where((seen.sum(axis=1) > 1)[:, None], 1.0, _chance(frame, labels)[:, None])
    error = np.where(seen, labels.score - quality, 0.0)
    outcome = quality + error * np.minimum(1 / np.maximum(chance, 1e-9), MOST_WEIGHT)
    expected, cost = _costs(frame, labels)
    return Market(outcome=outcome, cost=cost, expected_cost=expected, group=labels.group)


def _chance(frame: Frame, labels: Labels) -> Array:
    """Give the chance (n,) with which each request's endpoint was chosen."""
    route, shape = frame.route, (frame.routes + 1, len(frame.endpoints))
    code = np.where(np.isfinite(route), route, frame.routes).astype(np.int64)
    count = np.bincount(code * shape[1] + frame.endpoint, minlength=shape[0] * shape[1]).reshape(shape) + 0.5
    share = (count / count.sum(axis=1, keepdims=True))[code, frame.endpoint]
    logged = np.where(np.isfinite(frame.propensity), frame.propensity, share)
    found: Array = logged[labels.row]
    return found


def _costs(frame: Frame, labels: Labels) -> tuple[Array, Array]:
    """Expected and realised dollars (n, K)."""
    dollars = frame.targets.get("cost_usd", np.full(len(frame), np.nan))
    known = np.isfinite(dollars) & (dollars > 0)
    shape, size = (frame.routes + 1, len(frame.endpoints)), len(labels)
    if not known.any():
        stand_in = np.tile(labels.mean, (size, 1))
        return stand_in, stand_in
    logged = np.log(np.where(known, dollars, 1.0))
    table = tables.fit(np.where(known, logged, np.nan), frame.route, frame.endpoint, shape)
    expected = np.exp(CategoryTable(values=table).lookup(frame.route[labels.row]))
    own = np.exp(CategoryTable(values=table).lookup(frame.route)[np.arange(len(frame)), frame.endpoint])
    many = np.bincount(frame.endpoint[known], minlength=shape[1])
    lift = np.bincount(frame.endpoint[known], dollars[known], shape[1]) / np.maximum(
        np.bincount(frame.endpoint[known], own[known], shape[1]), 1e-300
    )
    # An endpoint that nobody ever paid for is given the dearest one's cost: it may not win by being unknown.
    expected = np.where(many > 0, expected * lift, expected.max(axis=1, keepdims=True))
    cost = expected.copy()
    cost[labels.request[known], frame.endpoint[known]] = dollars[known]
    return expected, cost
