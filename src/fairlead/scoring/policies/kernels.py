"""`Intelligent`'s arithmetic, compiled with numba: import it through `engine`, which works without numba too.

Terms are added in the order in which numpy adds them, so choices are equal to numpy's and not merely close; only the
shares of an exploring draw may differ in the last digit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

import numba
import numpy as np
from numba import types

__all__ = ["choose"]

Array = np.ndarray[Any, Any]
F = TypeVar("F", bound=Callable[..., Any])
_LOWEST: Final = -1e308  # utility stays finite, so that it can be told from "not allowed"


def _jit(signatures: Any = None) -> Callable[[F], F]:
    def compiled(function: F) -> F:
        try:
            return cast(F, numba.njit(signatures, cache=True, error_model="numpy")(function))
        except RuntimeError:  # nowhere to write a cache to
            return cast(F, numba.njit(signatures, error_model="numpy")(function))

    return compiled


def _input(dtype: Any, dimensions: int) -> Any:
    return types.Array(dtype, dimensions, "A", readonly=True)  # strided and read-only arrays do as well


_MATRIX: Final = _input(types.float64, 2)
_VECTOR: Final = _input(types.float64, 1)
_FLAGS: Final = _input(types.boolean, 2)
_PLACES: Final = _input(types.int64, 1)
_SIGNATURE: Final = types.UniTuple(types.float64[:, ::1], 2)(  # type: ignore[no-untyped-call]
    *(_MATRIX,) * 5, _FLAGS, _MATRIX, _PLACES, *(_VECTOR,) * 3, _PLACES, _VECTOR, _VECTOR
)


@_jit()
def _worst(values: Array) -> float:
    """The largest known value, 0 where none is: what an unknown one is charged."""
    worst = -np.inf
    for value in values:
        if value > worst:  # noqa: PLR1730 (max() would let a NaN through)
            worst = value
    return worst if np.isfinite(worst) else 0.0


@_jit()
def _allow(eligible: Array, low: Array, headroom: Array, floor: float, room: float, allowed: Array) -> None:
    """Eligible endpoints that keep the floor, of these the ones with headroom; a rule that leaves none is set aside."""
    some = False
    for k in range(len(eligible)):
        allowed[k] = eligible[k] and (np.isnan(floor) or low[k] >= floor)
        some = some or allowed[k]
    if not some:
        allowed[:] = eligible
    if len(headroom) == 0 or room <= 0:
        return
    some = False
    for k in range(len(eligible)):
        some = some or (allowed[k] and not headroom[k] < room)
    if some:
        for k in range(len(eligible)):
            allowed[k] = allowed[k] and not headroom[k] < room


@_jit()
def _pick(utility: Array, among: Array, order: Array, rule: Array, weight: float, chances: Array) -> None:
    """Add the probabilities of the best, or of the exploring mixture over the `top` best; ties go by name."""
    temperature, exploration, top = rule[8], rule[9], int(rule[10])
    count = 0
    for k in range(len(among)):
        count += among[k]
    if count == 0:
        return
    explores = temperature > 0 or exploration > 0
    few = min(top, count) if explores else 1
    best = np.empty(few, np.int64)
    taken = np.zeros(len(among), np.bool_)
    for place in range(few):
        found = -1
        for k in order:
            if among[k] and not taken[k] and (found < 0 or utility[k] > utility[found]):
                found = k
        best[place] = found
        taken[found] = True
    if not explores:
        chances[best[0]] += weight
        return
    total = 0.0
    odds = np.zeros(few)
    for place in range(few):
        if temperature > 0:
            odds[place] = np.exp((utility[best[place]] - utility[best[0]]) / temperature)
        elif place == 0:
            odds[place] = 1.0
        total += odds[place]
    for place in range(few):
        chances[best[place]] += weight * ((1 - exploration) * (odds[place] / total) + exploration / few)


@_jit()
def _admit(
    utility: Array, allowed: Array, admitted: Array, order: Array, rule: Array, weight: float, chances: Array
) -> None:
    """As `_pick`, where a returning endpoint keeps only its admitted share: see `live.slow_start`."""
    throttled = False
    for k in range(len(admitted)):
        throttled = throttled or admitted[k] < 1
    if not throttled:
        _pick(utility, allowed, order, rule, weight, chances)
        return
    first = np.zeros(len(allowed))
    _pick(utility, allowed, order, rule, 1.0, first)
    share = np.empty(len(allowed))
    peak = -1.0
    for k in range(len(allowed)):
        share[k] = 1.0 if np.isnan(admitted[k]) else min(max(admitted[k], 0.0), 1.0)
        if allowed[k] and share[k] > peak:
            peak = share[k]
    kept = 0.0
    settled = np.zeros(len(allowed), np.bool_)
    for k in range(len(allowed)):
        settled[k] = allowed[k] and share[k] >= peak
        first[k] *= share[k]
        kept += first[k]
        chances[k] += weight * first[k]
    _pick(utility, settled, order, rule, weight * max(1.0 - kept, 0.0), chances)


@_jit([_SIGNATURE])
def choose(  # type: ignore[no-untyped-def]  # noqa: PLR0913, PLR0917, D103
    quality, low, cost, latency, slow, eligible, failure, incumbent, error, headroom, admitted, order, rule, prices
):
    # `rule` holds Intelligent's parameters, `prices` each price a draw goes by and its share, then that for the scores.
    n, many = quality.shape
    chances, scores = np.zeros((n, many)), np.empty((n, many))
    allowed, base = np.empty(many, np.bool_), np.empty(many)
    drawn = len(prices) // 2
    second, fail, slo, slo_s, sticky = rule[1], rule[2], rule[3], rule[4], rule[6]
    for row in range(n):
        worst_cost, worst_latency, worst_slow = _worst(cost[row]), _worst(latency[row]), _worst(slow[row])
        _allow(eligible[row], low[row], headroom, rule[5], rule[7], allowed)
        for which in range(drawn + 1):
            price = prices[2 * which]
            if which < drawn and prices[2 * which + 1] == 0:
                continue
            for k in range(many):
                usd = worst_cost if np.isnan(cost[row, k]) else cost[row, k]
                utility = (0.0 if np.isnan(quality[row, k]) else quality[row, k]) - price * usd
                if second > 0:
                    utility -= second * (worst_latency if np.isnan(latency[row, k]) else latency[row, k])
                if fail > 0:
                    chance = failure[row, k] if len(failure) else np.nan
                    if np.isnan(chance) and len(error):
                        chance = error[k]
                    utility -= fail * (0.0 if np.isnan(chance) else chance)
                if slo > 0:
                    tail = worst_slow if np.isnan(slow[row, k]) else slow[row, k]
                    utility -= slo * max(0.0, tail - slo_s) / slo_s
                if sticky > 0 and len(incumbent) and incumbent[row] == k:
                    utility += sticky
                base[k] = max(utility, _LOWEST)
            if which < drawn:
                _admit(base, allowed, admitted, order, rule, prices[2 * which + 1], chances[row])
            else:
                scores[row] = base
    return chances, scores
