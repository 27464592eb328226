"""Fixed shares: what most gateways do today, and a good logging policy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fairlead.errors import UsageError
from fairlead.scoring.predict import Candidates

__all__ = ["Weighted"]


class Weighted:
    """Choose by fixed weights, whatever the request; endpoints without a weight get `default`.

    >>> one = np.ones(2)
    >>> candidates = Candidates(endpoints=("a", "b"), quality=one, quality_low=one, cost_usd=one, cost_p90_usd=one,
    ...                         latency_s=one, latency_p90_s=one, eligible=np.array([True, True]))
    >>> Weighted({"a": 3, "b": 1}).probabilities(candidates).tolist()
    [0.75, 0.25]
    """

    name = "weighted"
    counts_calls = False  # a call that begins changes none of its probabilities

    def __init__(self, weights: Mapping[str, float] | None = None, default: float | None = None) -> None:
        self.weights = dict(weights or {})
        # Without any weights every endpoint is as good as another; with some, the others are left out.
        self.default = (0.0 if self.weights else 1.0) if default is None else default
        given = [
            *((f"the weight of {name!r}", weight) for name, weight in self.weights.items()),
            ("default", self.default),
        ]
        for what, weight in given:
            if not (np.isfinite(weight) and weight >= 0):
                raise UsageError(f"policy weighted: {what} must be a number from 0 up, not {weight}")

    def __repr__(self) -> str:
        return f"Weighted({self.weights!r}, default={self.default:g})"

    def scores(self, candidates: Candidates) -> np.ndarray[Any, Any]:
        """Give each endpoint's weight."""
        weights = np.array([self.weights.get(name, self.default) for name in candidates.endpoints], dtype=np.float64)
        return np.broadcast_to(weights, candidates.eligible.shape)

    def probabilities(self, candidates: Candidates) -> np.ndarray[Any, Any]:
        """Give the weights of the eligible endpoints, scaled to one; evenly where none of them has a weight."""
        masked = np.where(candidates.eligible, self.scores(candidates), 0.0)
        peak = masked.max(axis=-1, keepdims=True)
        # Divided by the largest first, so that no sum of weights is too large or too small for a float.
        masked = np.where(peak > 0, masked / np.where(peak > 0, peak, 1.0), candidates.eligible.astype(np.float64))
        shares: np.ndarray[Any, Any] = masked / np.maximum(masked.sum(axis=-1, keepdims=True), 1.0)
        return shares

    def explain(self, candidates: Candidates) -> list[str]:
        """Say that the shares are fixed."""
        return ["fixed weights; the request is not looked at"]
