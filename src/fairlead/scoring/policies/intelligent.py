"""Predicted utility under a quality floor and a price of money and time."""

from __future__ import annotations

from typing import Any

import numpy as np

from fairlead.errors import UsageError
from fairlead.scoring.predict import Candidates

__all__ = ["Intelligent"]

Array = np.ndarray[Any, Any]


class Intelligent:
    """Choose the endpoint of the highest predicted utility.

    Utility = quality - `usd_price` x cost in USD - `second_price` x latency in seconds, so `usd_price` is the
    quality one gives up for a dollar: the shadow price of a budget. Endpoints whose lower bound of quality is under
    `quality_floor` are left out, unless all of them are. With `temperature` > 0 it explores: a Boltzmann draw among
    the `top` best by utility, mixed with a share `exploration` spread evenly over the same.

    >>> one = np.ones(2)
    >>> candidates = Candidates(endpoints=("good", "cheap"), quality=np.array([0.9, 0.8]), quality_low=one * 0.7,
    ...                         cost_usd=np.array([0.01, 0.001]), cost_p90_usd=one, latency_s=one,
    ...                         latency_p90_s=one, eligible=np.array([True, True]))
    >>> Intelligent(usd_price=5).probabilities(candidates).tolist()
    [1.0, 0.0]
    >>> Intelligent(usd_price=50).probabilities(candidates).tolist()
    [0.0, 1.0]
    """

    name = "intelligent"

    def __init__(
        self,
        usd_price: float = 0.0,
        second_price: float = 0.0,
        quality_floor: float | None = None,
        temperature: float = 0.0,
        top: int = 3,
        exploration: float = 0.0,
    ) -> None:
        for what, value in (("usd_price", usd_price), ("second_price", second_price), ("temperature", temperature)):
            if not (np.isfinite(value) and value >= 0):
                raise UsageError(f"policy intelligent: {what} must be a number from 0 up, not {value}")
        if not (0 <= exploration <= 1 and top >= 1 and top == int(top)):
            raise UsageError(
                "policy intelligent: exploration must be a share from 0 to 1, and top a whole number from 1 up"
            )
        if not (quality_floor is None or np.isfinite(quality_floor)):
            raise UsageError(f"policy intelligent: quality_floor must be a number, not {quality_floor}")
        self.usd_price, self.second_price, self.quality_floor = usd_price, second_price, quality_floor
        self.temperature, self.top, self.exploration = temperature, int(top), exploration

    def __repr__(self) -> str:
        return f"Intelligent({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"

    def scores(self, candidates: Candidates) -> Array:
        """Give the predicted utility of each endpoint.

        An endpoint whose cost or latency is unknown is charged the worst that is known of the others: unknown is
        not free.
        """
        utility: Array = np.nan_to_num(candidates.quality, nan=0.0)
        utility = utility - self.usd_price * _pessimistic(candidates.cost_usd)
        return utility - self.second_price * _pessimistic(candidates.latency_s)

    def allowed(self, candidates: Candidates) -> Array:
        """Say which endpoints keep the quality floor; all eligible ones where none does."""
        if self.quality_floor is None:
            return candidates.eligible
        kept: Array = candidates.eligible & (candidates.quality_low >= self.quality_floor)
        return np.where(kept.any(axis=-1, keepdims=True), kept, candidates.eligible)

    def probabilities(self, candidates: Candidates) -> Array:
        """Give the probability of each endpoint: one for the best, or the exploring mixture."""
        utility = np.where(self.allowed(candidates), self.scores(candidates), -np.inf)
        names = np.argsort(np.argsort(np.array(candidates.endpoints)))  # ties: by name, whatever the order given
        order = np.lexsort((np.broadcast_to(names, utility.shape), -utility), axis=-1)
        best = np.zeros(utility.shape)
        np.put_along_axis(best, order[..., :1], 1.0, axis=-1)
        best = np.where(candidates.eligible, best, 0.0)
        if self.temperature == 0 and self.exploration == 0:
            return best
        few = np.zeros(utility.shape, dtype=bool)
        np.put_along_axis(few, order[..., : self.top], True, axis=-1)
        few &= np.isfinite(utility)
        even = few / np.maximum(few.sum(axis=-1, keepdims=True), 1)
        soft = best if self.temperature == 0 else _softmax(np.where(few, utility, -np.inf), self.temperature)
        mixture: Array = (1 - self.exploration) * soft + self.exploration * even
        return mixture

    def explain(self, candidates: Candidates) -> list[str]:
        """Say what the choice rests on."""
        reasons = [f"highest predicted quality - {self.usd_price:g} x USD - {self.second_price:g} x seconds"]
        if self.quality_floor is not None:
            kept = int((candidates.eligible & (candidates.quality_low >= self.quality_floor)).sum())
            held = f"{kept} of {int(candidates.eligible.sum())} endpoints keep the quality floor {self.quality_floor:g}"
            reasons.append(held if kept else f"{held}, so it was set aside")
        if np.isnan(candidates.cost_usd).any():
            reasons.append("an endpoint without a known price is charged the dearest known cost")
        return reasons


def _pessimistic(values: Array) -> Array:
    known = np.where(np.isnan(values), -np.inf, values).max(axis=-1, keepdims=True)
    return np.where(np.isnan(values), np.where(np.isfinite(known), known, 0.0), values)


def _softmax(values: Array, temperature: float) -> Array:
    peak = values.max(axis=-1, keepdims=True)
    with np.errstate(over="ignore"):  # a temperature near zero only makes the distance to the best infinite
        weights = np.exp((values - np.where(np.isfinite(peak), peak, 0.0)) / temperature)
    total = weights.sum(axis=-1, keepdims=True)
    shares: Array = weights / np.where(total > 0, total, 1.0)
    return shares
