"""One-sided bounds for promises: of a mean, of the share of slow requests, of a quantile of time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from msgspec import Struct

from fairlead.errors import EvidenceError
from fairlead.evaluation.intervals import Statistic, Vector, mean

__all__ = ["Tail", "lower", "tail_quantile", "upper", "upper_share"]


class Tail(Struct, frozen=True):
    """A quantile of a time in seconds with its interval; infinite where the data do not reach it."""

    value: float
    low: float
    high: float


def lower(statistic: Statistic, confidence: float = 0.95, ahead: float = 0.0) -> float:
    """Give what the mean is at least, with one-sided confidence (asymptotic normal).

    With `ahead` > 0 the bound is that of the mean over `ahead` times as many requests yet to come, whose own noise is
    added: the standard error times sqrt(1 + 1 / ahead) (a prediction bound; Hahn and Meeker 1991, section 4.2).

    >>> from fairlead.evaluation.intervals import mean
    >>> found = mean("x", np.array([0.0, 1.0] * 50))
    >>> round(lower(found), 3), round(lower(found, ahead=1.0), 3)
    (0.417, 0.383)
    """
    return statistic.value - _half(statistic, confidence, ahead)


def upper(statistic: Statistic, confidence: float = 0.95, ahead: float = 0.0) -> float:
    """Give what the mean is at most; see `lower`."""
    return statistic.value + _half(statistic, confidence, ahead)


def upper_share(values: Vector, confidence: float = 0.95, ahead: float = 0.0) -> float:
    """Give what a share is at most: exact for what was counted (Clopper and Pearson 1934), else as `upper`.

    `values` (n,) are 0 or 1 where each was seen, and anything where some are doubly robust stand-ins.

    >>> round(upper_share(np.zeros(58)), 2)  # the rule of three
    0.05
    """
    if not np.isin(values, (0.0, 1.0)).all():
        return upper(mean("share", values), confidence, ahead)
    n, hits = len(values), int(values.sum())
    if ahead == 0:
        from scipy.special import betaincinv

        return 1.0 if hits == n else float(betaincinv(hits + 1, n - hits, confidence))
    share = (hits + 2) / (n + 4)  # Agresti and Coull's: no slow request among few is no certainty
    return share + NormalDist().inv_cdf(confidence) * math.sqrt(share * (1 - share) / n * (1 + 1 / ahead))


def tail_quantile(limits_s: Sequence[float], over: Sequence[Vector], share: float = 0.05, level: float = 0.95) -> Tail:
    """Give the time that only a `share` of requests exceeds, and its two-sided interval (Woodruff 1952).

    `over[i]` (n,) says of each request whether it takes longer than `limits_s[i]`, rising limits, or is a stand-in for
    that. The interval is where the bounds of the share of slow requests cross the share asked for.
    """
    if len(limits_s) != len(over) or len(limits_s) < 2:
        raise EvidenceError(
            f"a quantile needs a share for each of two limits or more; got {len(limits_s)}, {len(over)}"
        )
    shares = [mean("share", values) for values in over]
    z = NormalDist().inv_cdf((1 + level) / 2)
    middle = np.array([one.value for one in shares])
    width = np.array([z * one.standard_error for one in shares])
    at = (_crossing(limits_s, curve, share) for curve in (middle, middle - width, middle + width))
    return Tail(*at)


def _crossing(limits_s: Sequence[float], curve: Vector, share: float) -> float:
    """Where a falling curve reaches the share, between two limits by the logarithm of time."""
    falling = np.minimum.accumulate(curve)  # stand-ins may rise where no share can
    below = np.flatnonzero(falling <= share)
    if not below.size:
        return math.inf
    place = int(below[0])
    if place == 0:
        return float(limits_s[0])
    left, right = falling[place - 1], falling[place]
    part = (left - share) / (left - right)
    return float(limits_s[place - 1] * (limits_s[place] / limits_s[place - 1]) ** part)


def _half(statistic: Statistic, confidence: float, ahead: float) -> float:
    more = math.sqrt(1 + 1 / ahead) if ahead > 0 else 1.0
    return NormalDist().inv_cdf(confidence) * statistic.standard_error * more
