"""The learned rival of the blend: LightGBM on lags, refitted each day, and whether it wins the backtest.

It sees the blend's own forecast, the last windows, means over an hour to a day, the usual amounts and the time of day,
each as a share of the recent mean, so that a series that grows stays within what was learned.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import lightgbm as lgb
import numpy as np

from fairlead.training.demand import blend

__all__ = ["Learned", "backtest"]

Array = np.ndarray[Any, Any]
_FIRST: Final = 300  # windows before the first fit
_DRAWS: Final = 500
_PARAMS: Final = {
    "objective": "l1",
    "num_leaves": 15,
    "learning_rate": 0.05,
    "min_data_in_leaf": 40,
    "lambda_l2": 5.0,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "verbosity": -1,
    "num_threads": 1,
    "deterministic": True,
    "seed": 0,
}


class Learned(NamedTuple):
    """Its forecasts (T, S), the blend's where it was not fitted yet, and whether they win."""

    forecast: Array
    gain: float  # share of the blend's absolute error that it takes away
    gain_low: float  # 95 % lower bound, by days drawn with replacement

    @property
    def wins(self) -> bool:
        """Whether the gain is above zero with an interval."""
        return self.gain_low > 0


def backtest(y: Array, blended: Array, ahead: int, span: int, *, day: int = blend.WINDOWS_A_DAY) -> Learned:
    """Fit on what was known at each day's begin, forecast that day, and hold the errors against the blend's."""
    actual = np.full_like(y, np.nan)
    actual[:-ahead] = blend.last_value(y, span)[ahead:]
    level = np.stack([np.convolve(col, np.full(day, 1 / day))[: len(y)] for col in y.T], axis=1) + 1e-9
    rows = _rows(y, blended, level, ahead, span, day)
    forecast = blended.copy()
    for begin in range(_FIRST + ahead, len(y), day):
        train = np.arange(min(day, begin - ahead - 1), begin - ahead)
        flat = rows[train].reshape(-1, rows.shape[-1])
        target = ((actual - blended) / level)[train].ravel()
        weight = (level / level.mean(axis=0))[train].ravel()
        keep = np.isfinite(target)
        fitted = lgb.train(_PARAMS, lgb.Dataset(flat[keep], target[keep], weight=weight[keep]), 60)
        end = min(begin + day, len(y))
        change = fitted.predict(rows[begin:end].reshape(-1, rows.shape[-1])).reshape(end - begin, -1)
        forecast[begin:end] = np.maximum(blended[begin:end] + change * level[begin:end], 0)
    return _compared(forecast, blended, actual, day)


def _compared(forecast: Array, blended: Array, actual: Array, day: int) -> Learned:
    kept = np.arange(_FIRST, len(actual))[np.isfinite(actual[_FIRST:, 0])]
    if not len(kept):
        return Learned(forecast, 0.0, -1.0)
    mine, theirs = (np.abs(one - actual)[kept].sum(axis=1) for one in (forecast, blended))
    days = kept // day
    by_day = np.array([[part[days == one].sum() for part in (mine, theirs)] for one in np.unique(days)])
    drawn = by_day[np.random.default_rng(0).integers(0, len(by_day), (_DRAWS, len(by_day)))].sum(axis=1)
    gains = 1 - drawn[:, 0] / np.maximum(drawn[:, 1], 1e-12)
    return Learned(forecast, float(1 - mine.sum() / max(theirs.sum(), 1e-12)), float(np.quantile(gains, 0.025)))


def _rows(y: Array, blended: Array, level: Array, ahead: int, span: int, day: int) -> Array:
    def back(windows: int) -> Array:
        moved = np.full_like(y, np.nan)
        moved[windows:] = y[:-windows] if windows else y
        return moved

    parts = [blended, *(back(lag) for lag in (0, 1, 2, 3, 5)), *(blend.last_value(y, n) for n in (6, 18, 36))]
    parts += [blend.seasonal_naive(y, ahead, span, day), blend.seasonal_naive(y, ahead, span + 6, day)]
    shares = [part / level for part in parts]
    phase = (np.arange(len(y)) + ahead) % day / day * 2 * np.pi
    clock = [np.tile(wave[:, None], y.shape[1]) for wave in (np.sin(phase), np.cos(phase))]
    return np.stack([*shares, *clock], axis=-1)
