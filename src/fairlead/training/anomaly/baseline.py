"""What is usual for each slice: a level, a shape by hour of the week, and how far from it chance alone goes.

The level is robust (the median of days for amounts, a trimmed mean for shares and times). The shape by hour of the week
is shrunk towards the slice's hour of the day, and that towards the shape of all traffic, so a slice with three calls an
hour does not learn noise. The noise has a floor that is not learned: compound Poisson for amounts, binomial or the
spread of single calls for the rest; what the series shows beyond it (MAD of its own standardised errors) widens it.
Tails are learned over all slices: an exponential beyond the 98th percentile of what history showed (peaks over
threshold, as SPOT does: Siffer et al., KDD 2017).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from msgspec import Struct
from scipy.stats import binom

from fairlead.training.anomaly.hours import HOUR, Hours
from fairlead.training.anomaly.measures import Measure, Sums
from fairlead.training.anomaly.shape import WEEK, amount_shape, hour_of_week, rolled_sums, shrunk_ratio

__all__ = ["Baseline", "Scores", "fit", "score"]

Array = np.ndarray[Any, Any]
_HOUR_OF_DAY: Final = 200.0  # calls that weigh as much as the shape above
_TAIL: Final = 0.02
_HIGHEST: Final = 4.0  # standardised error at which the tail begins at the latest
_LIGHTEST: Final = 0.4  # mean excess of a normal beyond its 98th percentile; history of a few weeks may look lighter
_TRIM: Final = 4.0  # standardised errors beyond this are not usual, and are not learned from


class Baseline(Struct, frozen=True, kw_only=True):
    """One measure's baseline: `expected` is (168, S) by hour of the week, from Monday 00:00 UTC.

    For amounts it is dollars an hour, else the mean of a call; `variance` is of one call, `calls` (168, S) the usual
    number of them, `spread` (len(spans), S) how much wider the series is than its floor, `tails` (len(spans), 2) the
    threshold and the mean excess beyond it.
    """

    measure: str
    expected: Array
    calls: Array
    variance: Array
    spread: Array
    tails: Array


class Scores(Struct, frozen=True):
    """Spans that end at the newest hour, (S,) each: what was, what was expected, in which units off, and by how much.

    `change` is a ratio less one for amounts and times and a difference for shares. `weight` is calls.
    """

    span: int
    value: Array
    expected: Array
    z: Array
    chance: Array  # of a z as large, in quiet times
    change: Array
    weight: Array
    usual_weight: Array


def fit(hours: Hours, measure: Measure) -> Baseline:
    """Learn what is usual from hours (the caller leaves out the newest day, which may be what is to be found)."""
    sums = measure.of(hours)
    week = hour_of_week(hours.start, len(hours))
    kept = np.ones(sums.part.shape, dtype=bool)
    expected, calls = _expected(sums, week, measure, kept)
    variance = _variance(sums, measure, kept)
    for _ in range(2):  # what is far off is left out, then all is learned again
        z = _standardised(sums, expected[week], calls[week], variance, measure, 1)
        spread = _spread(z)
        kept = ~(np.abs(z) > _TRIM * spread)
        expected, calls = _expected(sums, week, measure, kept)
        variance = _variance(sums, measure, kept)
    spreads, tails = [], []
    for span in measure.spans:
        rolled = Sums(*(rolled_sums(part, span) for part in sums))
        usual, number = _rolled_expected(expected[week], calls[week], sums.whole, span, measure)
        z = _standardised(rolled, usual, number, variance, measure, span)
        z[: span - 1] = np.nan
        spread = _spread(z)
        spreads.append(spread)
        tails.append(_tail(z / spread, measure.direction))
    return Baseline(
        measure=measure.name,
        expected=expected,
        calls=calls,
        variance=variance,
        spread=np.stack(spreads),
        tails=np.array(tails),
    )


def score(baseline: Baseline, hours: Hours, measure: Measure) -> list[Scores]:
    """Hold the spans that end at the newest hour against the baseline."""
    longest = max(measure.spans)
    newest = Hours(
        hours.end - min(len(hours), longest) * HOUR,
        hours.slices,
        {name: array[-longest:] for name, array in hours.sums.items()},
    )
    sums = measure.of(newest)
    week = hour_of_week(newest.start, len(newest))
    found = []
    for place, span in enumerate(measure.spans):
        rolled = Sums(*(rolled_sums(part, span)[-1:] for part in sums))
        usual, number = (
            part[-1:]
            for part in _rolled_expected(baseline.expected[week], baseline.calls[week], sums.whole, span, measure)
        )
        z = (_standardised(rolled, usual, number, baseline.variance, measure, span) / baseline.spread[place])[0]
        value = (rolled.part if measure.kind == "amount" else rolled.part / np.maximum(rolled.whole, 1))[0]
        if measure.kind == "amount":
            change = value / np.maximum(usual[0], 1e-12) - 1
        elif measure.kind == "time":
            change = np.expm1(np.clip(value - usual[0], -20, 20))
        else:
            change = value - usual[0]
        weight, usual_weight = rolled.whole[0], number[0]
        short = (np.maximum(weight, usual_weight) if measure.kind == "amount" else weight) < measure.least
        z = np.where(short | (len(hours) < span), 0.0, z)
        chance = _chance(z, baseline.tails[place], measure.direction)
        if measure.counted:  # one error in ten calls is far from none in a thousand, and yet no news
            # A retry often meets what the first try met, so errors count by twos.
            rare = binom.sf(rolled.part[0] // 2 - 1, rolled.whole[0] // 2, np.clip(usual[0], 1e-3, 1))
            chance = np.maximum(chance, rare)
        found.append(Scores(span, value, usual[0], z, chance, change, weight, usual_weight))
    return found


def _expected(sums: Sums, week: Array, measure: Measure, kept: Array) -> tuple[Array, Array]:
    """Give what is expected of each hour of the week, and the usual number of calls in it."""
    calls = amount_shape(sums.whole, week, kept)
    if measure.kind == "amount":
        return amount_shape(sums.part, week, kept), calls
    part, whole = np.where(kept, sums.part, 0), np.where(kept, sums.whole, 0)
    overall = part.sum(axis=0) / np.maximum(whole.sum(axis=0), 1)
    day = week % 24
    by_day = shrunk_ratio(part, whole, day, 24, overall[None, :], _HOUR_OF_DAY)
    return shrunk_ratio(part, whole, week, WEEK, by_day[np.arange(WEEK) % 24], 2 * _HOUR_OF_DAY), calls


def _variance(sums: Sums, measure: Measure, kept: Array) -> Array:
    """Of one call, shrunk to all traffic's: the mean square for amounts (compound Poisson), else the variance."""
    part, whole, squares = (np.where(kept, one, 0).sum(axis=0) for one in sums)
    if measure.kind == "amount":
        own = squares
    elif measure.name == "quality" or measure.kind == "time":
        own = squares - part**2 / np.maximum(whole, 1)
    else:
        mean = (part + 1) / (whole + 2)  # no error in a hundred calls is not none ever
        own = whole * mean * (1 - mean)
    common = own[0] / max(whole[0], 1)
    prior = 20.0
    shrunk: Array = (own + prior * common) / (whole + prior)
    return np.maximum(shrunk, 1e-18)


def _standardised(sums: Sums, usual: Array, calls: Array, variance: Array, measure: Measure, span: int) -> Array:
    if measure.kind == "amount":
        noise = np.sqrt(np.maximum(calls, 0.5) * variance)
        return np.asarray((sums.part - usual) / noise)
    whole = np.maximum(sums.whole, 1e-9)
    z = (sums.part / whole - usual) / np.sqrt(variance / whole)
    return np.where(sums.whole >= min(measure.least, 3 * span), z, np.nan)


def _rolled_expected(expected: Array, calls: Array, whole: Array, span: int, measure: Measure) -> tuple[Array, Array]:
    number = rolled_sums(calls, span)
    if measure.kind == "amount":
        return rolled_sums(expected, span), number
    # What is expected of these calls, at the hours at which they came.
    weighed = rolled_sums(expected * whole, span) / np.maximum(rolled_sums(whole, span), 1e-9)
    return weighed, number


def _spread(z: Array) -> Array:
    """How much wider than its floor a series is: never narrower."""
    found = np.ones(z.shape[1])
    for column in range(z.shape[1]):
        seen = z[:, column][np.isfinite(z[:, column])]
        if len(seen) > 24:
            found[column] = max(1.0, 1.4826 * float(np.median(np.abs(seen - np.median(seen)))))
    return found


def _tail(z: Array, direction: int) -> tuple[float, float]:
    size = (z if direction else np.abs(z))[np.isfinite(z)]
    if len(size) < 500:
        return 2.33, 0.5
    threshold = min(float(np.quantile(size, 1 - _TAIL)), _HIGHEST)
    excess = size[size > threshold] - threshold
    # The median of an exponential is its mean x ln 2. Outages in history must not hide the next one, hence the bounds.
    return threshold, float(np.clip(np.median(excess) / np.log(2), _LIGHTEST, 1.0))


def _chance(z: Array, tail: Array, direction: int) -> Array:
    threshold, excess = float(tail[0]), float(tail[1])
    size = z if direction else np.abs(z)
    beyond = _TAIL * np.exp(-(size - threshold) / excess)
    return np.where(size > threshold, beyond, 1.0)
