"""How often calls fail, as it was known at each moment: decayed counts, each level shrunk towards the one above it.

A hierarchical Beta-Binomial: all calls, then their provider, model, region and endpoint, first with a slow decay and
then, for provider and endpoint, with a fast one. Each level's share is (failures + s m) / (calls + s), where m is what
the levels above expect of the same calls and s is how many calls that expectation counts for. The strengths s are
chosen by empirical Bayes: those under which what happened next was likeliest, predicted from the past alone.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from msgspec import Struct

__all__ = ["Rates", "fit", "state_at"]

Array = np.ndarray[Any, Any]
STRENGTHS: Final = (3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 1e9)  # the last: this level says nothing
SLOW: Final = 30.0  # the slow half-life, in fast ones
PRIOR: Final = (1.0, 20.0)  # failures and calls that are believed before the first is seen
_STEPS: Final = 12  # moments a half-life at which the counts are brought up to date
_MOST: Final = 20_000  # moments at most; longer logs are counted in longer steps
_CHOSEN_ON: Final = 2_000  # moments that strengths are chosen on, evenly spread
_EDGE: Final = 1e-4


class Rates(Struct, frozen=True, kw_only=True):
    """Chances of failing over T moments and K endpoints; `logit` (T, K) row i is what was known at `start + i * step`.

    `strengths` are those of the levels, from the top, in calls. Times are in seconds.
    """

    start: float
    step: float
    logit: Array
    strengths: tuple[float, ...]

    @property
    def now(self) -> Array:
        """Log-odds of failing as of the end of the log: (K,)."""
        last: Array = self.logit[-1]
        return last


def fit(
    failed: Array,
    begun: Array,
    ended: Array,
    endpoint: Array,
    groups: list[Array],
    half_life_s: float,
    *,
    strengths: tuple[float, ...] | None = None,
) -> Rates:
    """Fit the rates of n calls at K endpoints.

    `failed` (n,) is 0 or 1, `begun` and `ended` (n,) are seconds, `groups` name each endpoint's provider, model and
    region as codes (K,). A call counts once it has ended; a row of `logit` knows only what
    ended before its moment. `strengths` are chosen where they are not given.
    """
    k, start = len(groups[0]), float(begun.min())
    step = max(half_life_s / _STEPS, (float(ended.max()) - start) / _MOST, 1e-3)
    steps = int((float(ended.max()) - start) / step) + 1
    counts = [_binned(ended, start, step, steps, endpoint, weight, k) for weight in (failed, None)]
    levels = [(group, SLOW * half_life_s) for group in (*groups, np.arange(k))]
    levels += [(group, half_life_s) for group in (groups[0], np.arange(k))]
    # One more row than steps: before the first step is over nothing is known.
    failures, calls = counts
    lives = {life for _, life in levels}
    decayed = {life: (_decayed(failures, step / life), _decayed(calls, step / life)) for life in lives}
    everything = [np.vstack((np.zeros(k), np.cumsum(one, axis=0))).sum(axis=1) for one in counts]
    top = (everything[0] + PRIOR[0]) / (everything[1] + PRIOR[1])
    past = [(group, *decayed[life]) for group, life in levels]
    if strengths is None:
        asked = [_binned(begun, start, step, steps + 1, endpoint, weight, k) for weight in (failed, None)]
        strengths = _choose(top, past, asked)
    return Rates(start=start, step=step, logit=_chain(top, past, strengths), strengths=strengths)


def state_at(rates: Rates, begun: Array) -> Array:
    """Give which row of `logit` was known at each moment (n,), in seconds."""
    row: Array = np.clip((begun - rates.start) / rates.step, 0, len(rates.logit) - 1).astype(np.int64)
    return row


def _binned(time: Array, start: float, step: float, steps: int, endpoint: Array, weight: Array | None, k: int) -> Array:
    """Count (steps, K) calls, or their failures."""
    place = np.minimum(((time - start) / step).astype(np.int64), steps - 1) * k + endpoint
    return np.bincount(place, weights=weight, minlength=steps * k).astype(np.float64).reshape(steps, k)


def _decayed(counts: Array, half_lives: float) -> Array:
    keep, out = 0.5**half_lives, np.zeros((len(counts) + 1, counts.shape[1]))
    for at, new in enumerate(counts):
        out[at + 1] = keep * out[at] + new
    return out


def _chain(top: Array, past: list[tuple[Array, Array, Array]], strengths: tuple[float, ...]) -> Array:
    """Go down the levels: (T,) -> (T, K) log-odds."""
    k = past[0][1].shape[1]
    logit = np.repeat(_logit(top)[:, None], k, axis=1)
    for (group, failures, calls), strength in zip(past, strengths, strict=True):
        if strength >= STRENGTHS[-1]:
            continue
        member = np.eye(int(group.max()) + 1)[group]
        expected, seen = (calls / (1 + np.exp(-logit))) @ member, calls @ member
        mean = np.where(seen > 0, expected / np.maximum(seen, 1e-12), 0.5)
        share = (failures @ member + strength * mean) / (seen + strength)
        logit = logit + (_logit(share) - _logit(mean))[:, group]
    return logit


def _choose(top: Array, past: list[tuple[Array, Array, Array]], asked: list[Array]) -> tuple[float, ...]:
    """Try each level's strengths in turn, twice round, and keep what makes the next calls likeliest."""
    rows = np.flatnonzero(asked[1].sum(axis=1) > 0)
    rows = rows[np.unique(np.linspace(0, len(rows) - 1, _CHOSEN_ON).astype(np.int64))]
    top, failed, calls = top[rows], asked[0][rows], asked[1][rows]
    part = [(group, one[rows], other[rows]) for group, one, other in past]

    def nats(strengths: tuple[float, ...]) -> float:
        logit = _chain(top, part, strengths)
        return float((calls * np.logaddexp(0, logit) - failed * logit).sum())

    chosen = (STRENGTHS[-1],) * len(past)
    for _ in range(2):
        for level in range(len(past)):  # from the top, so that what endpoints share is known of a new one too
            tried = [(*chosen[:level], strength, *chosen[level + 1 :]) for strength in STRENGTHS]
            chosen = min(tried, key=nats)
    return chosen


def _logit(share: Array) -> Array:
    inside = np.clip(share, _EDGE, 1 - _EDGE)
    logit: Array = np.log(inside / (1 - inside))
    return logit
