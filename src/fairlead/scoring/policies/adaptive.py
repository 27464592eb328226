"""A contextual bandit over `intelligent`: learns what its predictions have wrong, and explores within a cap."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

import msgspec
import numpy as np

from fairlead.errors import UsageError
from fairlead.scoring.outcome import Reward
from fairlead.scoring.policies import checks
from fairlead.scoring.policies.intelligent import Intelligent
from fairlead.scoring.policies.residuals import Residuals
from fairlead.scoring.policies.utility import mixture, some
from fairlead.scoring.predict import Candidates

__all__ = ["Adaptive"]

Array = np.ndarray[Any, Any]
_GREEDY: Final = {"temperature": 0.0, "exploration": 0.0, "top": 1.0}
_LOGISTIC: Final = 1.702  # a logistic of this slope is within 0.01 of the normal distribution
_FEWEST: Final = 0.05  # a factor on cost or latency is never under this


class Adaptive(Intelligent):
    """Choose as `Intelligent` does, on predictions that are corrected by what came of earlier decisions.

    `learn` takes rewards, late, in any order, from any thread, with or without a quality. For each route and endpoint
    it remembers how far quality was off (a difference) and cost and latency (a factor), shrunken to the endpoint's over
    all routes and from there to nothing, as strongly as `prior` observations, and fading with `half_life` newer
    observations and `half_life_s` seconds, so that it follows a drift. A failed call without a quality counts as
    quality 0.

    It explores where it is unsure. Of m endpoints, one whose utility is g under the best has the probability 1 / m x
    P(it is the better one), by a normal posterior: what Thompson sampling between the two would do, in closed form (a
    logistic stands for the normal distribution), so that the propensity is exact. One label is off by `noise` (a
    standard deviation), so doubt falls as evidence grows and returns as it fades. The draw is mixed with the greedy
    choice until exploring loses, in expectation, at most the share `exploration_cap` of the best endpoint's quality,
    and spends at most that share of its cost on top: at each decision, and so in every sum of them.
    Routes in `pinned` do not explore. Other parameters are `Intelligent`'s, without its own exploration.

    >>> one = np.ones(2)
    >>> candidates = Candidates(endpoints=("a", "b"), quality=np.array([0.9, 0.8]), quality_low=one * 0.7,
    ...                         cost_usd=one, cost_p90_usd=one, latency_s=one, latency_p90_s=one,
    ...                         eligible=one > 0, routes=("maths",))
    >>> policy = Adaptive()
    >>> policy.probabilities(candidates).round(2).tolist()
    [0.95, 0.05]
    >>> for _ in range(100):
    ...     policy.learn(Reward(endpoint="a", route="maths", propensity=0.9, expected_quality=0.9,
    ...                         expected_cost_usd=1.0, expected_latency_s=1.0, quality=0.5))
    >>> [policy.name, *policy.probabilities(candidates).round(2).tolist()]
    ['adaptive', 0.0, 1.0]
    """

    name = "adaptive"

    def __init__(  # noqa: PLR0913 (a policy's parameters are its constructor's)
        self,
        *,
        noise: float = 0.4,
        exploration_cap: float = 0.01,
        half_life: float = 200.0,
        half_life_s: float = 7 * 86400.0,
        prior: float = 100.0,
        routes: int = 256,
        endpoints: int = 64,
        pinned: Collection[str] = (),
        clock: Callable[[], float] = time.time,
        **intelligent: Any,
    ) -> None:
        for own in ("temperature", "exploration", "top"):
            if own in intelligent:
                raise UsageError(f"policy adaptive: {own} is intelligent's; set noise and exploration_cap instead")
        super().__init__(**intelligent)
        if isinstance(pinned, str) or not all(isinstance(route, str) for route in pinned):
            raise UsageError(f"policy adaptive: pinned must be a list of routes, not {pinned!r}")
        self.noise = checks.number(self.name, "noise", noise, 1e-6)
        self.exploration_cap = checks.share(self.name, "exploration_cap", exploration_cap)
        self.half_life = checks.number(self.name, "half_life", half_life, 1.0)
        self.half_life_s = checks.number(self.name, "half_life_s", half_life_s, 1.0)
        self.prior = checks.number(self.name, "prior", prior, 0.1)
        self.routes = checks.whole(self.name, "routes", routes, 0, 1 << 16)
        self.endpoints = checks.whole(self.name, "endpoints", endpoints, 1, 1 << 10)
        self.pinned = frozenset(pinned)
        self._residuals = Residuals(
            3,
            routes=self.routes,
            endpoints=self.endpoints,
            prior=self.prior,
            half_life=self.half_life,
            half_life_s=self.half_life_s,
            clock=clock,
        )

    def learn(self, reward: Reward) -> None:
        """Take in what became of one decision, whenever it comes; from any thread."""
        quality = 0.0 if reward.failed and reward.quality is None else reward.quality
        # An endpoint of unknown quality is scored as 0, so all that comes is news.
        missed = math.nan if quality is None else quality - np.nan_to_num(reward.expected_quality or 0.0)
        errors = (
            float(missed),
            _factor(reward.cost_usd, reward.expected_cost_usd),
            _factor(reward.latency_s, reward.expected_latency_s),
        )
        self._residuals.learn(reward.route, reward.endpoint, errors, reward.waited_s)

    def state(self) -> dict[str, Array]:
        """Give what was learned as arrays of fixed size, to be kept over a restart."""
        return self._residuals.state()

    def restore(self, state: Mapping[str, Array]) -> None:
        """Take up what `state()` gave; UsageError where it does not fit `routes` and `endpoints`."""
        try:
            self._residuals.restore(state)
        except UsageError as fault:
            raise UsageError(f"policy adaptive: {fault}") from fault

    def forget(self, kept: float = 0.0) -> None:
        """Keep only this share of the evidence, when a new snapshot has learned from the same traffic itself."""
        self._residuals.forget(checks.share(self.name, "kept", kept))

    def corrected(self, candidates: Candidates) -> Candidates:
        """Give the candidates with predictions as the rewards so far correct them."""
        return self._corrected(candidates)[0]

    def _corrected(self, candidates: Candidates) -> tuple[Candidates, Array]:
        """The corrected candidates, and the variance of their quality: (..., K)."""
        shift, unsure = self._residuals.means(candidates.routes, candidates.endpoints)
        if candidates.quality.ndim == 1:
            shift, unsure = shift[0], unsure[0]
        better, dearer, slower = shift[..., 0], *(np.maximum(1.0 + shift[..., at], _FEWEST) for at in (1, 2))
        known = msgspec.structs.replace(
            candidates,
            quality=_known(candidates.quality) + better,
            quality_low=candidates.quality_low + better,
            cost_usd=candidates.cost_usd * dearer,
            cost_p90_usd=candidates.cost_p90_usd * dearer,
            latency_s=candidates.latency_s * slower,
            latency_p90_s=candidates.latency_p90_s * slower,
        )
        return known, self.noise**2 * unsure[..., 0]

    def scores(self, candidates: Candidates) -> Array:
        """Give the utility of each endpoint, by corrected predictions: (..., K)."""
        return super().scores(self.corrected(candidates))

    def evaluate(self, candidates: Candidates) -> tuple[Array, Array]:
        """Give `probabilities` and `scores` in one pass."""
        corrected, variance = self._corrected(candidates)

        def draw(value: Array, among: Array, order: Array) -> Array:
            return self._explore(value, among, order, corrected, variance)

        value = super().scores(corrected)
        return self._mixed(corrected, draw, value), value

    def explain(self, candidates: Candidates) -> list[str]:
        """Say what the choice rests on."""
        corrected = self.corrected(candidates)
        reasons = super().explain(corrected)
        shift = corrected.quality - np.nan_to_num(candidates.quality, nan=0.0)
        if shift.size and np.abs(shift).max() >= 0.005:
            most = int(np.abs(shift).reshape(-1, len(candidates.endpoints)).max(axis=0).argmax())
            learned = float(shift.reshape(-1, len(candidates.endpoints))[0, most])
            reasons.append(f"feedback moved the predicted quality of {candidates.endpoints[most]} by {learned:+.3f}")
        if candidates.routes is not None and self.pinned.intersection(filter(None, candidates.routes)):
            reasons.append("the route is pinned: no exploration")
        elif self.exploration_cap > 0:
            reasons.append(f"others are explored, at an expected loss of at most {self.exploration_cap:.1%}")
        return reasons

    def _explore(self, value: Array, among: Array, order: Array, candidates: Candidates, variance: Array) -> Array:
        if value.size == value.shape[-1] and self.exploration_cap > 0:
            return self._explore_one(value, among, order, candidates, variance)
        greedy = mixture(value, among, order, _GREEDY)
        if self.exploration_cap == 0:
            return greedy
        count = np.maximum(among.sum(axis=-1, keepdims=True), 1)
        best = np.where(among, value, -np.inf).max(axis=-1, keepdims=True)
        gap = np.where(among, np.where(np.isfinite(best), best, 0.0) - value, 0.0)
        spread = np.sqrt(variance + (greedy * variance).sum(axis=-1, keepdims=True))
        odds = 1.0 / (1.0 + np.exp(np.minimum(_LOGISTIC * gap / spread, 700.0)))
        chances = np.where(among & (greedy == 0), odds / count, 0.0)
        chances = chances + greedy * (1.0 - chances.sum(axis=-1, keepdims=True))
        mixed: Array = greedy + self._share(chances, gap, greedy, candidates) * (chances - greedy)
        return np.maximum(mixed, 0.0)

    def _explore_one(self, value: Array, among: Array, order: Array, candidates: Candidates, variance: Array) -> Array:
        """As `_explore` for a single request: at its size, lists are quicker than arrays."""
        worth, may, unsure = value.ravel().tolist(), among.ravel().tolist(), variance.ravel().tolist()
        there = [k for k in order.tolist() if may[k]]
        chances = [0.0] * len(worth)
        if not there:
            return np.zeros(value.shape)
        best = max(there, key=worth.__getitem__)  # the first of equals: ties go by name
        cost = [0.0 if usd != usd else usd for usd in candidates.cost_usd.ravel().tolist()]  # noqa: PLR0124  NaN
        rest = loss = spent = 0.0
        for k in there:
            if k != best:
                gap = worth[best] - worth[k]
                spread = math.sqrt(unsure[k] + unsure[best])
                odd = 1.0 / (1.0 + math.exp(min(_LOGISTIC * gap / spread, 700.0))) / len(there)
                chances[k] = odd
                rest += odd
                loss += odd * gap
                spent += odd * max(cost[k] - cost[best], 0.0)
        allowed = self.exploration_cap * abs(candidates.quality.ravel().tolist()[best])
        share = min(1.0, allowed / loss) if loss > 0 else 1.0
        share = min(share, self.exploration_cap * cost[best] / spent) if spent > 0 else share
        if self.pinned and candidates.routes is not None and candidates.routes[0] in self.pinned:
            share = 0.0
        chances = [max(share * chance, 0.0) for chance in chances]
        chances[best] = 1.0 - share * rest
        return np.array(chances).reshape(value.shape)

    def _share(self, chances: Array, gap: Array, greedy: Array, candidates: Candidates) -> Array:
        """How much of the exploring draw the cap allows: (..., 1). What it loses grows in proportion."""
        loss = (chances * gap).sum(axis=-1, keepdims=True)
        worth = np.abs((greedy * candidates.quality).sum(axis=-1, keepdims=True))
        cost = np.nan_to_num(candidates.cost_usd, nan=0.0)
        base = (greedy * cost).sum(axis=-1, keepdims=True)
        spent = (chances * np.maximum(cost - base, 0.0)).sum(axis=-1, keepdims=True)
        share = np.minimum(_within(self.exploration_cap * worth, loss), _within(self.exploration_cap * base, spent))
        if self.pinned and candidates.routes is not None:
            free = np.array([route not in self.pinned for route in candidates.routes])
            share = share * (free[:, None] if candidates.quality.ndim == 2 else free)
        return share


def _known(quality: Array) -> Array:
    """An unknown quality counts as 0."""
    return np.nan_to_num(quality, nan=0.0) if some(~np.isfinite(quality)) else quality


def _within(most: Array, asked: Array) -> Array:
    """The largest share, up to one, of what is asked that stays within what is allowed."""
    return np.minimum(np.divide(most, asked, out=np.ones_like(asked), where=asked > 0), 1.0)


def _factor(came: float | None, expected: float | None) -> float:
    """By which share what came differs from what was expected; NaN where either is not known."""
    if came is None or expected is None or not expected > 0:
        return math.nan
    return min(came / expected - 1.0, 9.0)  # one outlier must not stand for a hundred calls
