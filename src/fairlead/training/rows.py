"""The rows that one head learns from, and the category tables of them, in link space."""

from __future__ import annotations

from typing import Any

import numpy as np
from msgspec import Struct

from fairlead.training import calibrate, tables
from fairlead.training.spec import HeadPlan

__all__ = ["HeadRows"]

Array = np.ndarray[Any, Any]


class HeadRows(Struct, frozen=True):
    """What one head learns from, arrays (n,): places in the frame, value in link space, codes, folds, weights.

    `weight` is None where all rows count alike.
    """

    index: Array
    value: Array
    route: Array
    endpoint: Array
    fold: Array
    group: Array
    weight: Array | None = None

    def take(self, keep: Array) -> HeadRows:
        """Give the rows of a mask or of indexes."""
        weight = None if self.weight is None else self.weight[keep]
        return HeadRows(
            self.index[keep],
            self.value[keep],
            self.route[keep],
            self.endpoint[keep],
            self.fold[keep],
            self.group[keep],
            weight,
        )

    def at(self, table: Array) -> Array:
        """Look each row's route and endpoint up in a table: (n,)."""
        own: Array = tables.at(table, self.route, self.endpoint)
        return own

    def table(self, plan: HeadPlan, shape: tuple[int, int]) -> Array:
        """Fit the category table (routes + 1, K)."""
        return _linked(tables.fit(self.value, self.route, self.endpoint, shape, plan.alpha, self.weight), plan)

    def crossfit(self, plan: HeadPlan, shape: tuple[int, int]) -> Array:
        """Give each row its table's value as fitted on the other folds: (n,)."""
        return self._crossfit(self.route, plan, shape)

    def endpoint_mean(self, plan: HeadPlan, shape: tuple[int, int]) -> Array:
        """Give each row its endpoint's mean as fitted on the other folds: (n,)."""
        mean = self._crossfit(np.full(len(self.value), np.nan), plan, shape)
        return mean + self.offsets(mean, plan, shape[1])[self.endpoint]

    def offsets(self, own: Array, plan: HeadPlan, endpoints: int) -> Array:
        """Give what each endpoint's predictions (n,) are moved by so that their quantile is one: (K,)."""
        if plan.alpha is None:
            return np.zeros(endpoints)
        return calibrate.offsets(self.value - own, self.endpoint, endpoints, plan.alpha)

    def _crossfit(self, route: Array, plan: HeadPlan, shape: tuple[int, int]) -> Array:
        found = tables.crossfit(self.value, route, self.endpoint, shape, self.fold, plan.alpha, self.weight)
        return _linked(found, plan)


def _linked(table: Array, plan: HeadPlan) -> Array:
    if plan.alpha is not None:
        return table
    share = np.clip(table, 0.01, 0.99)
    logit: Array = np.log(share / (1 - share))
    return logit
