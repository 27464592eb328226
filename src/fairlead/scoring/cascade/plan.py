"""What each next step of a cascade is worth, for many requests at once: asking, stopping, asking one more.

The worth of a step is the quality to be expected at its end, less money and time at the policy's prices. What has been
paid already does not count. The worth of asking and then deciding is found by rehearsal: the shifts that answers made
in training are played through for the request at hand (a preposterior analysis, Raiffa and Schlaifer 1961).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from msgspec import Struct

from fairlead.scoring.cascade.rule import Seen, Stage, StoppingRule, logit, sigmoid

__all__ = ["Priced", "after", "by_name", "first", "opening"]

Array = np.ndarray[Any, Any]


class Priced(Struct, frozen=True):
    """Predictions (n, K) with the prices of a dollar and a second; NaN quality cannot be chosen."""

    quality: Array
    cost_usd: Array
    latency_s: Array
    usd_price: float
    second_price: float = 0.0

    @property
    def charge(self) -> Array:
        """What asking each endpoint takes from utility: (n, K). What is not known is charged as the most that is."""
        return self.usd_price * _filled(self.cost_usd) + self.second_price * _filled(self.latency_s)

    def charge_of(self, asked: list[int]) -> Array:
        """What asking several at once takes: every cost, but only the longest wait. (n,)."""
        money = _filled(self.cost_usd)[:, asked].sum(axis=1)
        taken: Array = self.usd_price * money + self.second_price * _filled(self.latency_s)[:, asked].max(axis=1)
        return taken

    def take(self, rows: Array) -> Priced:
        """Give some of the requests."""
        parts = (self.quality[rows], self.cost_usd[rows], self.latency_s[rows])
        return Priced(*parts, self.usd_price, self.second_price)


def opening(rule: StoppingRule) -> list[tuple[int, ...]]:
    """List what may be asked first: each stage's endpoints together, and every other endpoint alone."""
    stages = [tuple(rule.endpoints.index(name) for name in stage.asked) for stage in rule.stages]
    alone = [(k,) for k in range(len(rule.endpoints)) if (k,) not in stages]
    return [*stages, *alone]


def by_name(rule: StoppingRule, options: list[tuple[int, ...]]) -> list[int]:
    """Order options by their endpoints' names, so that ties and draws do not hang on the order in the snapshot."""
    return sorted(range(len(options)), key=lambda one: [rule.endpoints[k] for k in options[one]])


def first(rule: StoppingRule, priced: Priced) -> Array:
    """Give the worth of each opening: (n, openings)."""
    plain = np.where(np.isnan(priced.quality), -np.inf, priced.quality - priced.charge)
    columns = [_rehearsed(stage, rule, priced) for stage in rule.stages]
    return np.stack([*columns, *(plain[:, opened[0]] for opened in opening(rule)[len(rule.stages) :])], axis=1)


def after(rule: StoppingRule, stage: Stage, priced: Priced, seen: Seen, route: Array) -> tuple[Array, Array]:
    """Give the worth of each endpoint as the next step (n, K), and its quality after the answers (n, K).

    For an endpoint that has answered the step is to accept its answer, for another to ask it.
    """
    quality = rule.posterior(stage, priced.quality, seen, route)
    return _steps(quality, stage, rule, priced), quality


def _steps(quality: Array, stage: Stage, rule: StoppingRule, priced: Priced) -> Array:
    asked = np.isin(rule.endpoints, stage.asked)
    worth = np.where(asked, quality, quality - priced.charge)
    return np.where(np.isnan(priced.quality), -np.inf, worth)


def _rehearsed(stage: Stage, rule: StoppingRule, priced: Priced) -> Array:
    prior = logit(priced.quality)
    total = np.zeros(len(prior))
    for shift in np.array(stage.shifts):
        total += _steps(sigmoid(prior + shift), stage, rule, priced).max(axis=1)
    asked = [rule.endpoints.index(name) for name in stage.asked]
    worth: Array = total / len(stage.shifts) - priced.charge_of(asked)
    return np.where(np.isnan(priced.quality[:, asked]).any(axis=1), -np.inf, worth)


def _filled(values: Array) -> Array:
    most = np.where(np.isnan(values), -np.inf, values).max(axis=1, keepdims=True)
    return np.where(np.isnan(values), np.where(np.isfinite(most), most, 0.0), values)
