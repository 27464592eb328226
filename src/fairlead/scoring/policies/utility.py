"""Predicted utility and the exploring draw in numpy: the reference that the compiled kernel has to equal."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from fairlead.scoring.predict import Candidates

__all__ = ["LOWEST", "by_name", "mixture", "neighbours", "pessimistic", "some", "utility"]

Array = np.ndarray[Any, Any]
LOWEST: Final = -1e308  # utility stays finite, so that it can be told from "not allowed"
STEP: Final = math.log(1.1)  # between neighbouring paces


def utility(candidates: Candidates, rule: dict[str, float], usd_price: float) -> Array:
    """Give quality less everything that has a price: (..., K), finite."""
    value: Array = _filled(candidates.quality, 0.0) - usd_price * pessimistic(candidates.cost_usd)
    if rule["second_price"] > 0:
        value = value - rule["second_price"] * pessimistic(candidates.latency_s)
    if rule["failure_price"] > 0:
        value = value - rule["failure_price"] * _failure(candidates)
    if rule["slo_price"] > 0:
        over = np.maximum(0.0, pessimistic(candidates.latency_p90_s) - rule["slo_s"])
        value = value - rule["slo_price"] * over / rule["slo_s"]
    if rule["sticky"] > 0 and candidates.incumbent is not None:
        places = np.arange(value.shape[-1])
        value = np.where(places == np.asarray(candidates.incumbent)[..., None], value + rule["sticky"], value)
    return np.maximum(value, LOWEST)


def mixture(value: Array, allowed: Array, order: Array, rule: dict[str, float]) -> Array:
    """Give the best endpoint, or the exploring draw among the `top` best: (..., K). Ties go by name.

    With temperature T the few best are drawn by exp(utility / T), mixed with a share `exploration` spread evenly.
    """
    many = value.shape[-1]
    if value.size == many:
        return _one(value, allowed, order, rule)
    named = np.where(allowed, value, -np.inf).reshape(-1, many)[:, order]
    rows, may = np.arange(len(named)), allowed.reshape(-1, many)
    chances = np.zeros(named.shape)
    if rule["temperature"] == 0 and rule["exploration"] == 0:
        at = order[named.argmax(axis=1)]
        chances[rows, at] = may[rows, at]  # nothing where nothing is allowed
        return chances.reshape(value.shape)
    top = np.argsort(-named, axis=1, kind="stable")[:, : int(rule["top"])]
    best = order[top]
    few = np.where(may[rows[:, None], best], named[rows[:, None], top], -np.inf)
    chances[rows[:, None], best] = _drawn(few, rule["temperature"], rule["exploration"])
    return chances.reshape(value.shape)


def neighbours(pace: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """Give the two neighbouring paces on a fixed grid (steps of 10 %) and the share of each.

    Where the frontier jumps, no single price spends what was planned: one price spends too much, the next too little.
    Drawing between two neighbours makes spend a continuous function of the pace, so that a budget can be met.

    >>> neighbours(1.0)
    ((1.0, 1.0), (1.0, 0.0))
    >>> [(round(pace, 2), round(share, 2)) for pace, share in neighbours(1.05)]
    [(1.0, 0.49), (1.1, 0.51)]
    """
    if pace == 1.0 or not (math.isfinite(pace) and pace > 0):
        return (1.0, 1.0), (1.0, 0.0)
    steps = math.log(pace) / STEP
    below = math.floor(steps)
    share = steps - below
    return (math.exp(below * STEP), 1.0 - share), (math.exp((below + 1) * STEP), share)


def pessimistic(values: Array) -> Array:
    """Charge an unknown cost or wait the worst that is known of the others: unknown is not free."""
    absent = np.isnan(values)
    if not some(absent):
        return values
    known = np.where(absent, -np.inf, values).max(axis=-1, keepdims=True)
    return np.where(absent, np.where(np.isfinite(known), known, 0.0), values)


def by_name(endpoints: tuple[str, ...]) -> Array:
    """Give the places of the endpoints in the order of their names: (K,) int64."""
    return np.array(sorted(range(len(endpoints)), key=endpoints.__getitem__), dtype=np.int64)


def _failure(candidates: Candidates) -> Array:
    seen = 0.0 if candidates.view is None else _filled(candidates.view.error_share, 0.0)
    if candidates.failure is None:
        return np.broadcast_to(seen, candidates.quality.shape)
    return np.where(np.isnan(candidates.failure), seen, candidates.failure)


def _filled(values: Array, value: float) -> Array:
    absent = np.isnan(values)
    return np.where(absent, value, values) if some(absent) else values


def some(flags: Array) -> bool:
    """Say whether any is set: for one request in a tenth of the time that `any` takes."""
    return b"\1" in flags.tobytes()


def _one(value: Array, allowed: Array, order: Array, rule: dict[str, float]) -> Array:
    """As `mixture` for a single request: at its size, lists are quicker than arrays."""
    worth, may = value.ravel().tolist(), allowed.ravel().tolist()
    temperature, exploration = rule["temperature"], rule["exploration"]
    top = int(rule["top"]) if temperature or exploration else 1
    best = sorted((k for k in order.tolist() if may[k]), key=worth.__getitem__, reverse=True)[:top]
    chances = [0.0] * len(worth)
    if len(best) == 1:
        chances[best[0]] = 1.0
    elif best:
        peak = worth[best[0]]
        odds = [math.exp((worth[k] - peak) / temperature) if temperature else float(k == best[0]) for k in best]
        total = sum(odds)
        for k, odd in zip(best, odds, strict=True):
            chances[k] = (1 - exploration) * (odd / total) + exploration / len(best)
    return np.array(chances).reshape(value.shape)


def _drawn(few: Array, temperature: float, exploration: float) -> Array:
    """Shares of the few best (n, top), best first, -inf where there are no more."""
    there = np.isfinite(few)
    odds = there * (np.arange(few.shape[1]) == 0)
    if temperature > 0:
        with np.errstate(over="ignore", invalid="ignore"):  # a temperature near zero makes distances infinite
            odds = np.where(there, np.exp((few - few[:, :1]) / temperature), 0.0)
    count = there.sum(axis=1, keepdims=True)
    even = there * (exploration / np.maximum(count, 1))
    shares: Array = (1 - exploration) * (odds / np.maximum(odds.sum(axis=1, keepdims=True), 1.0)) + even
    return shares
