"""The level of an amount and its shape by hour of the week, shrunk so that little traffic teaches no noise."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import numpy as np

__all__ = ["WEEK", "amount_shape", "hour_of_week", "rolled_sums", "shrunk_ratio"]

Array = np.ndarray[Any, Any]
WEEK: Final = 168
_LEVEL_DAYS: Final = 14


def amount_shape(values: Array, week: Array, kept: Array) -> Array:
    """Level by the median of days, times a shape by hour of the week that is shrunk to that of all slices."""
    level = _level(values)
    shape = np.where(kept, values, np.nan)
    total = values[:, [0]]
    common = _mean_by(total, week % 24, 24)
    common = common / max(float(common.mean()), 1e-12)
    mean = np.maximum(np.nanmean(shape, axis=0, keepdims=True) if len(shape) else np.ones((1, values.shape[1])), 1e-12)
    own_day = _shrunk_mean(shape / mean, week % 24, 24, np.broadcast_to(common, (24, values.shape[1])), 6.0)
    own_week = _shrunk_mean(shape / mean, week, WEEK, own_day[np.arange(WEEK) % 24], 6.0)
    return np.asarray(level[None, :] * own_week / np.maximum(own_week.mean(axis=0), 1e-12))


def _level(values: Array) -> Array:
    """Mean of an hour: the median over days, but not of slices that have no traffic on most of them."""
    days = len(values) // 24
    if days < 3:
        return np.asarray(values.mean(axis=0))
    newest = values[-24 * min(days, _LEVEL_DAYS) :].reshape(-1, 24, values.shape[1]).mean(axis=1)
    middle = np.median(newest, axis=0)
    # A median of skewed sums lies below their mean; near it, the mean (trimmed of its extremes) is the better level.
    low, high = np.quantile(newest, [0.1, 0.9], axis=0)
    trimmed = np.clip(newest, low, high).mean(axis=0)
    return np.asarray(np.where(np.abs(trimmed - middle) < 0.25 * middle, trimmed, middle))


def hour_of_week(start: datetime, count: int) -> Array:
    """Give the hour of the week of `count` hours from `start` on, Monday 00:00 UTC first."""
    first = start.weekday() * 24 + start.hour
    return np.asarray((first + np.arange(count)) % WEEK)


def rolled_sums(values: Array, span: int) -> Array:
    """Sum each hour (T, S) with the `span` - 1 before it."""
    total = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
    end = np.arange(1, len(values) + 1)
    return np.asarray(total[end] - total[np.maximum(end - span, 0)])


def _mean_by(values: Array, group: Array, groups: int) -> Array:
    count = np.bincount(group, minlength=groups)[:, None]
    summed = np.zeros((groups, values.shape[1]))
    np.add.at(summed, group, values)
    return summed / np.maximum(count, 1)


def _shrunk_mean(values: Array, group: Array, groups: int, prior: Array, strength: float) -> Array:
    seen = np.isfinite(values)
    summed, count = np.zeros((groups, values.shape[1])), np.zeros((groups, values.shape[1]))
    np.add.at(summed, group, np.where(seen, values, 0))
    np.add.at(count, group, seen)
    return np.asarray((summed + strength * prior) / (count + strength))


def shrunk_ratio(part: Array, whole: Array, group: Array, groups: int, prior: Array, strength: float) -> Array:
    """Give part over whole by group (groups, S), shrunk to `prior` as if it had weighed `strength`."""
    above, below = np.zeros((groups, part.shape[1])), np.zeros((groups, part.shape[1]))
    np.add.at(above, group, part)
    np.add.at(below, group, whole)
    return np.asarray((above + strength * prior) / (below + strength))
