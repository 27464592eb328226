"""Forecasts of the next windows as a blend of what is now and what is usual, whose weights follow the errors.

What is now: the last window and exponentially weighted means. What is usual: the same time yesterday, on the last seven
days, and in the last weeks. The candidates are fixed mixtures of the two, by sum and by ratio; each forecast is their
mean, weighed by how small their errors have been of late (exponentially weighted average forecaster: Cesa-Bianchi and
Lugosi 2006, chapter 2). Nothing is fitted, so nothing can be fitted to the future.

>>> steady = np.tile([[1.0], [3.0]], (400, 1))  # (800, 1): every second window is busier
>>> made = run(steady, ahead=1, span=1, day=2)
>>> bool(abs(made.forecast[-1, 0] - 1.0) < 0.05)
True
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from scipy.signal import lfilter

__all__ = ["WINDOWS_A_DAY", "Blended", "last_value", "run", "seasonal_naive"]

Array = np.ndarray[Any, Any]
WINDOWS_A_DAY: Final = 144  # of ten minutes
_HALF_LIVES: Final = (0, 1, 6)  # windows: the last one, ten minutes, an hour
_SHARES: Final = (0.0, 0.3, 0.5, 0.7, 0.85, 1.0)  # of what is now
_RATIO_MOST: Final = 4.0  # a quiet usual hour must not make ten of one
_MEMORY_DAYS: Final = 3.0  # half-life of the errors that the weights follow, and four horizons more
_SHARPNESS: Final = 20.0  # how much a candidate loses by being 5 % worse: a factor e


class Blended(NamedTuple):
    """Forecasts by origin: row t is issued after window t and speaks of the windows up to t + ahead; all (T, S)."""

    forecast: Array
    actual: Array  # NaN where it is not known yet
    losses: Array  # (E, S): each candidate's recent error, to go on from


def run(
    y: Array, ahead: int, span: int, *, day: int = WINDOWS_A_DAY, losses: Array | None = None, since: int = 0
) -> Blended:
    """Forecast the mean of the `span` windows that end `ahead` windows on, from each window of `y` (T, S) on.

    `losses` are the candidates' errors as another run left them at window `since`; they are gone on from there.
    """
    candidates = _candidates(y, ahead, span, day)
    actual = _actual(y, ahead, span)
    known = np.zeros_like(candidates)  # at t the error of origin t - ahead is known
    known[:, ahead:] = np.nan_to_num(np.abs(candidates - actual))[:, :-ahead]
    keep = 0.5 ** (1 / (_MEMORY_DAYS * day + 4 * ahead))
    begin = np.zeros((len(candidates), 1, y.shape[1])) if losses is None else keep * losses[:, None, :]
    recent = np.zeros_like(candidates)
    recent[:, since:], _ = lfilter([1 - keep], [1, -keep], known[:, since:], axis=1, zi=begin)
    least = np.maximum(recent.min(axis=0), 1e-12)
    weight = np.exp(-_SHARPNESS * (recent / least - 1))
    forecast = (weight * candidates).sum(axis=0) / weight.sum(axis=0)
    return Blended(forecast, actual, recent[:, -1])


def last_value(y: Array, span: int) -> Array:
    """Give the plainest forecast: what the last window, or the last `span` of them, had."""
    return _mean_until(y, span)


def seasonal_naive(y: Array, ahead: int, span: int, day: int = WINDOWS_A_DAY) -> Array:
    """Give the same time yesterday (T, S); NaN while there is none."""
    return _usual(y, ahead, span, range(-(-ahead // day), -(-ahead // day) + 1), day, smooth=0)


def _candidates(y: Array, ahead: int, span: int, day: int) -> Array:
    soonest = -(-ahead // day)
    wide = max(day // 24, 0)  # an hour to either side
    profiles = [
        (range(soonest, soonest + 1), 0),
        (range(soonest, 8), wide),
        (range(7, 29, 7), wide),
    ]
    level = 0.1 * np.cumsum(y, axis=0) / np.arange(1, len(y) + 1)[:, None] + 1e-12
    found = []
    for half_life in _HALF_LIVES:
        now = _ewma(y, half_life)
        for days, smooth in profiles:
            usual = _usual(y, ahead, span, days, day, smooth)
            usual = np.where(np.isnan(usual), now, usual)
            found += [share * now + (1 - share) * usual for share in _SHARES]
            # What was usual until now, seen through the same mean as what is now.
            before = np.full_like(y, np.nan)
            before[1:] = _usual(y, 1, 1, [one for one in days if one > 0] or [1], day, smooth)[:-1]
            before = _ewma(np.where(np.isnan(before), y, before), half_life)
            ratio = np.clip((now + level) / (before + level), 1 / _RATIO_MOST, _RATIO_MOST)
            found += [usual * ratio**share for share in _SHARES[1:]]
    return np.stack(found)


def _ewma(y: Array, half_life: float) -> Array:
    if half_life == 0:
        return y
    keep = 0.5 ** (1 / half_life)
    begin = keep * y[:6].mean(axis=0, keepdims=True)
    smoothed: Array = lfilter([1 - keep], [1, -keep], y, axis=0, zi=begin)[0]
    return smoothed


def _usual(y: Array, ahead: int, span: int, days: Any, day: int, smooth: int) -> Array:
    """Mean of the same windows on the given days before, `smooth` windows wider at either side, none after t."""
    total = np.concatenate([np.zeros((1, y.shape[1])), np.cumsum(y, axis=0)])
    origin = np.arange(len(y))
    summed, count = np.zeros_like(y), np.zeros((len(y), 1))
    for back in days:
        low = origin + ahead - span + 1 - day * back - smooth
        high = np.minimum(origin + ahead - day * back + smooth, origin)
        whole = low >= 0
        width = (high - low + 1)[whole, None]
        summed[whole] += (total[high[whole] + 1] - total[low[whole]]) / width
        count[whole] += 1
    return np.where(count > 0, summed / np.maximum(count, 1), np.nan)


def _actual(y: Array, ahead: int, span: int) -> Array:
    mean = np.full_like(y, np.nan)
    if len(y) > ahead:
        mean[:-ahead] = _mean_until(y, span)[ahead:]
    return mean


def _mean_until(y: Array, span: int) -> Array:
    total = np.concatenate([np.zeros((1, y.shape[1])), np.cumsum(y, axis=0)])
    end = np.arange(1, len(y) + 1)
    begin = np.maximum(end - span, 0)
    mean: Array = (total[end] - total[begin]) / (end - begin)[:, None]
    return mean
