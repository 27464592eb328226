"""Predicted utility under a quality floor and a price of money, time and failure."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any, Final, Self

import numpy as np

from fairlead.errors import UsageError
from fairlead.scoring.policies import checks, engine, inputs, live
from fairlead.scoring.policies.utility import by_name, mixture, neighbours, utility
from fairlead.scoring.predict import Candidates

__all__ = ["Intelligent"]

Array = np.ndarray[Any, Any]

_UNSEEN: Final = (np.empty(0),) * 3
_NO_PLACES: Final = np.empty(0, dtype=np.int64)


class Intelligent:
    """Choose the endpoint of the highest predicted utility.

    Utility = quality - `usd_price` x pace x cost in USD - `second_price` x latency in seconds - `failure_price` x the
    chance of failing - `slo_price` x how far the 90th percentile of latency is over `slo_s`, as a share of it. So
    `usd_price` is the quality one gives up for a dollar: the shadow price of a budget, which a budget's pace multiplies
    (see `scoring.budget`). Where no failure is predicted, the share of errors seen lately stands for it.

    With `mix_share` that share of the draw goes by `usd_price_high` in the place of `usd_price`: where no single price
    spends what was planned, one spends too much and the next too little, and a mix of the two fills the budget. A
    request's probabilities are the mix of both, and its scores the utility at their mean price.

    Endpoints whose lower bound of quality is under `quality_floor` are left out, unless all of them are; then those
    with less than `headroom` of their rate limit left, unless all of them are. A conversation stays with its incumbent
    until another endpoint is better by more than `sticky`. A returning endpoint has only its admitted share of its
    probability. With `temperature` > 0 it explores: a Boltzmann draw among the `top` best by utility, mixed with a
    share `exploration` spread evenly over the same.

    >>> one = np.ones(2)
    >>> candidates = Candidates(endpoints=("good", "cheap"), quality=np.array([0.9, 0.8]), quality_low=one * 0.7,
    ...                         cost_usd=np.array([0.01, 0.001]), cost_p90_usd=one, latency_s=one,
    ...                         latency_p90_s=one, eligible=np.array([True, True]))
    >>> Intelligent(usd_price=5).probabilities(candidates).tolist()
    [1.0, 0.0]
    >>> Intelligent(usd_price=50).probabilities(candidates).tolist()
    [0.0, 1.0]
    >>> Intelligent(usd_price=5, usd_price_high=50, mix_share=0.25).probabilities(candidates).tolist()
    [0.75, 0.25]
    """

    name = "intelligent"
    counts_calls = False  # a call that begins changes none of its probabilities

    def __init__(  # noqa: PLR0913 (a policy's parameters are its constructor's)
        self,
        usd_price: float = 0.0,
        second_price: float = 0.0,
        quality_floor: float | None = None,
        temperature: float = 0.0,
        top: int = 3,
        exploration: float = 0.0,
        *,
        failure_price: float = 0.0,
        slo_price: float = 0.0,
        slo_s: float = 10.0,
        sticky: float = 0.0,
        headroom: float = 0.0,
        usd_price_high: float | None = None,
        mix_share: float = 0.0,
    ) -> None:
        self.usd_price = checks.number(self.name, "usd_price", usd_price)
        self.second_price = checks.number(self.name, "second_price", second_price)
        self.quality_floor = (
            None if quality_floor is None else checks.number(self.name, "quality_floor", quality_floor, -math.inf)
        )
        self.temperature = checks.number(self.name, "temperature", temperature)
        self.top = checks.whole(self.name, "top", top)
        self.exploration = checks.share(self.name, "exploration", exploration)
        self.failure_price = checks.number(self.name, "failure_price", failure_price)
        self.slo_price = checks.number(self.name, "slo_price", slo_price)
        self.slo_s = checks.number(self.name, "slo_s", slo_s, 1e-3)
        self.sticky = checks.number(self.name, "sticky", sticky)
        self.headroom = checks.share(self.name, "headroom", headroom)
        self.mix_share = checks.share(self.name, "mix_share", mix_share)
        if usd_price_high is None and self.mix_share:
            raise UsageError(f"policy {self.name}: mix_share needs usd_price_high, the price that share is chosen at")
        self.usd_price_high = (
            None if usd_price_high is None else checks.number(self.name, "usd_price_high", usd_price_high)
        )
        self._order: tuple[tuple[str, ...], Array] = ((), _NO_PLACES)
        self._settle()

    def _settle(self) -> None:
        shown = {name: value for name, value in vars(self).items() if isinstance(value, (int, float))}
        floor = math.nan if self.quality_floor is None else self.quality_floor
        self._rule = {name: float(value) for name, value in shown.items()} | {"quality_floor": floor}
        self._packed = np.array([self._rule[name] for name in _PACKED])
        self._plain = self._prices(1.0)

    def repriced(self, **prices: float) -> Self:
        """Give the same policy at other prices; what it has learned is shared with this one.

        >>> Intelligent(usd_price=5.0).repriced(usd_price=2.0).usd_price
        2.0
        """
        changed = copy.copy(self)
        for name, price in prices.items():
            setattr(changed, name, price)
        changed._settle()
        return changed

    def __repr__(self) -> str:
        shown = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in shown.items())})"

    def warm(self) -> None:
        """Compile what a decision needs, so that the first one is not the slow one; without numba nothing happens."""
        engine.warm()

    def scores(self, candidates: Candidates) -> Array:
        """Give the predicted utility of each endpoint: (..., K).

        An endpoint whose cost or latency is unknown is charged the worst that is known of the others: unknown is
        not free.
        """
        return utility(candidates, self._rule, self._mean_price(_pace(candidates)))

    def allowed(self, candidates: Candidates) -> Array:
        """Say which endpoints keep the quality floor and have headroom; a rule that leaves none is set aside."""
        kept = candidates.eligible
        if self.quality_floor is not None:
            held: Array = candidates.eligible & (candidates.quality_low >= self.quality_floor)
            kept = np.where(held.any(axis=-1, keepdims=True), held, kept)
        return live.with_headroom(kept, candidates.view, self.headroom)

    def probabilities(self, candidates: Candidates) -> Array:
        """Give the probability of each endpoint: (..., K); one for the best, or the exploring mixture."""
        return self.evaluate(candidates)[0]

    def evaluate(self, candidates: Candidates) -> tuple[Array, Array]:
        """Give `probabilities` and `scores` in one pass: the compiled kernel where it is ready, else numpy."""
        kernel = engine.ready()
        if kernel is None:
            return self._plainly(candidates)
        return self._compiled(kernel, candidates)

    def explain(self, candidates: Candidates) -> list[str]:
        """Say what the choice rests on."""
        price = self._paced(self.usd_price, _pace(candidates))
        terms = [f"highest predicted quality - {price:g} x USD - {self.second_price:g} x seconds"]
        terms += [f"{self.failure_price:g} x chance of failing"] if self.failure_price else []
        terms += [f"{self.slo_price:g} x share over {self.slo_s:g} s"] if self.slo_price else []
        reasons = [" - ".join(terms)]
        if self.usd_price_high is not None and self.mix_share:
            other = self._paced(self.usd_price_high, _pace(candidates))
            reasons.append(f"a share {self.mix_share:.3g} of the draw goes by {other:g} x USD, to fill a budget")
        if self.quality_floor is not None:
            kept = int((candidates.eligible & (candidates.quality_low >= self.quality_floor)).sum())
            held = f"{kept} of {int(candidates.eligible.sum())} endpoints keep the quality floor {self.quality_floor:g}"
            reasons.append(held if kept else f"{held}, so it was set aside")
        if np.isnan(candidates.cost_usd).any():
            reasons.append("an endpoint without a known price is charged the dearest known cost")
        if self.sticky and candidates.incumbent is not None and np.any(np.asarray(candidates.incumbent) >= 0):
            reasons.append(f"the conversation stays where it is unless another endpoint is better by {self.sticky:g}")
        if candidates.view is not None and (candidates.eligible & (candidates.view.admitted < 1)).any():
            reasons.append("an endpoint that has just returned gets only part of its traffic")
        return reasons

    @staticmethod
    def _paced(price: float, pace: float) -> float:
        return float(min(price * pace, 1e300))

    def _mean_price(self, pace: float) -> float:
        if self.usd_price_high is None or not self.mix_share:
            return self._paced(self.usd_price, pace)
        mean = (1 - self.mix_share) * self.usd_price + self.mix_share * self.usd_price_high
        return self._paced(mean, pace)

    def _drawn_at(self, pace: float) -> list[tuple[float, float]]:
        """The prices that a draw goes by, and the share of each: the mix at both of the pace's neighbours."""
        mixed = [(self.usd_price, 1.0 - self.mix_share)]
        mixed += [] if self.usd_price_high is None else [(self.usd_price_high, self.mix_share)]
        near = neighbours(pace)
        return [(self._paced(price, at), part * share) for price, part in mixed for at, share in near]

    def _plainly(self, candidates: Candidates) -> tuple[Array, Array]:
        value = self.scores(candidates)
        return self._mixed(candidates, self._drawn, value), value

    def _drawn(self, value: Array, among: Array, order: Array) -> Array:
        return mixture(value, among, order, self._rule)

    def _mixed(self, candidates: Candidates, draw: Callable[[Array, Array, Array], Array], own: Array) -> Array:
        """Give what `draw` makes of utility, allowed endpoints and their order, at each price it goes by: (..., K).

        `own` is the utility at the mean price.
        """
        allowed, order, total = self.allowed(candidates), self._named(candidates.endpoints), None
        mean = self._mean_price(_pace(candidates))
        for price, share in self._drawn_at(_pace(candidates)):
            if share > 0:
                value = own if price == mean else utility(candidates, self._rule, price)
                chances = live.slow_start(
                    lambda among, value=value: draw(value, among, order),  # type: ignore[misc]
                    allowed,
                    candidates.view,
                )
                weighed = chances if share == 1 else share * chances
                total = weighed if total is None else total + weighed
        assert total is not None  # noqa: S101 (the two shares sum to one)
        return total

    def _compiled(self, kernel: engine.Kernel, candidates: Candidates) -> tuple[Array, Array]:
        view, shape = candidates.view, candidates.quality.shape
        arrays = inputs.arrays(candidates, None if len(shape) == 2 else shape[-1])
        seen = _UNSEEN if view is None else (view.error_share, view.headroom, view.admitted)
        prices = self._plain if view is None or view.pace == 1.0 else self._prices(view.pace)
        rest = (self._named(candidates.endpoints), self._packed, prices)
        try:
            found = kernel(*arrays, *seen, *rest)
        except TypeError:  # other number types than the kernel was compiled for
            found = kernel(*inputs.as_compiled((*arrays, *seen)), *rest)
        return found if len(shape) == 2 else (found[0].reshape(shape), found[1].reshape(shape))

    def _prices(self, pace: float) -> Array:
        drawn = [number for pair in self._drawn_at(pace) for number in pair]
        return np.array([*drawn, self._mean_price(pace)])

    def _named(self, endpoints: tuple[str, ...]) -> Array:
        known, order = self._order  # read once: another thread may be writing another pair
        if known is not endpoints:
            order = by_name(endpoints)
            self._order = (endpoints, order)
        return order


_PACKED: Final = (
    "usd_price",
    "second_price",
    "failure_price",
    "slo_price",
    "slo_s",
    "quality_floor",
    "sticky",
    "headroom",
    "temperature",
    "exploration",
    "top",
)


def _pace(candidates: Candidates) -> float:
    return 1.0 if candidates.view is None else candidates.view.pace
