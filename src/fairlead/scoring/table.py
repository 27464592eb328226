"""The category table: the shrunk mean of a target for each route and endpoint.

It is the baseline that every learned predictor has to beat, and what is served where one does not.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from msgspec import Struct

__all__ = ["CategoryTable"]


class CategoryTable(Struct, frozen=True, kw_only=True):
    """Values (routes + 1, endpoints); the last row is for a route that was never seen."""

    values: np.ndarray[Any, Any]

    def lookup(self, route: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Give the row of each route code: (n,) float with NaN for unknown -> (n, endpoints).

        >>> table = CategoryTable(values=np.array([[0.9, 0.5], [0.7, 0.6]]))
        >>> table.lookup(np.array([0.0, np.nan])).tolist()
        [[0.9, 0.5], [0.7, 0.6]]
        """
        last = len(self.values) - 1
        known = (route >= 0) & (route < last)
        return self.values[np.where(known, np.nan_to_num(route, nan=0.0), last).astype(np.int64)]
