"""Intervals that hold what they promise while the traffic changes: a quantile that learns from each miss.

The bound is `forecast + q * scale`. After each outcome q moves up by rate x share where it was missed, and down by
rate x (1 - share) where it held, so the long-run share of misses is what was asked for, whatever the traffic does
(adaptive conformal inference: Gibbs and Candes 2021; in this form the quantile tracker of Angelopoulos, Candes and
Tibshirani 2023). `scale` is the recent mean error. Both sides are tracked apart: bursts go up only.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from scipy.signal import lfilter

__all__ = ["Bounds", "Tracked", "track"]

Array = np.ndarray[Any, Any]
_START: Final = 3.0  # mean absolute errors: wide for a normal error at 90 % (2.1), since nothing was seen yet
_RATE: Final = 0.1
_MEMORY: Final = 72  # windows: half-life of the scale, half a day
_WARM_UP: Final = 300  # windows: the first ones, whose errors give the first scale
_LEAST: Final = 0.02  # of the mean level: errors of exactly zero are luck


class Bounds(NamedTuple):
    """The state to go on from: quantiles in units of the scale, and the scale itself; each (S,)."""

    low: Array
    high: Array
    scale: Array


class Tracked(NamedTuple):
    """Bounds by origin (T, S), and the state after the last window."""

    low: Array
    high: Array
    state: Bounds


def track(
    forecast: Array, actual: Array, ahead: int, coverage: float, *, state: Bounds | None = None, since: int = 0
) -> Tracked:
    """Bound each forecast (T, S) by the outcomes known when it was made; rows before `since` are NaN."""
    share = (1 - coverage) / 2  # of misses on each side
    error = np.full_like(forecast, np.nan)  # by the moment it is known
    error[ahead:] = (actual - forecast)[:-ahead]
    scale, last = _scales(error, forecast, state, since)
    low = np.full(forecast.shape[1], _START) if state is None else state.low.copy()
    high = np.full(forecast.shape[1], _START) if state is None else state.high.copy()
    lows, highs = np.full_like(forecast, np.nan), np.full_like(forecast, np.nan)
    rate = _RATE / ahead**0.5  # outcomes that overlap say the same thing again
    for at in range(since, len(forecast)):
        made = at - ahead
        if made >= since:
            known = np.isfinite(error[at])
            high += np.where(known, rate * ((error[at] > highs[made] - forecast[made]) - share), 0.0)
            low += np.where(known, rate * ((-error[at] > forecast[made] - lows[made]) - share), 0.0)
        lows[at] = forecast[at] - np.maximum(low, 0) * scale[at]
        highs[at] = forecast[at] + np.maximum(high, 0) * scale[at]
    return Tracked(np.maximum(lows, 0), highs, Bounds(low, high, last))


def _scales(error: Array, forecast: Array, state: Bounds | None, since: int) -> tuple[Array, Array]:
    keep = 0.5 ** (1 / _MEMORY)
    size = np.abs(error)
    early = size[: since + _WARM_UP]
    first = np.nanmean(early, axis=0) if np.isfinite(early).any() else np.abs(forecast[0])
    begin = first if state is None else state.scale
    filled = np.where(np.isnan(size), begin, size)
    smoothed = np.tile(begin, (len(size), 1))
    smoothed[since:], _ = lfilter([1 - keep], [1, -keep], filled[since:], axis=0, zi=keep * begin[None, :])
    floor = _LEAST * np.cumsum(np.abs(forecast), axis=0) / np.arange(1, len(forecast) + 1)[:, None]
    return np.maximum(smoothed, np.maximum(floor, 1e-9)), smoothed[-1]
