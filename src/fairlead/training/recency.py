"""Quantiles of time to first token from what was measured last: nothing about a request says as much.

Each endpoint's logarithm is followed by an exponentially weighted mean and spread, drawn towards those of its model (or
whatever its parent is) while it has few calls; a quantile is mean + spread times a factor, and the factor follows the
share of calls that were slower than said: adaptive conformal inference (Gibbs and Candes 2021), on quantiles scaled by
their spread. Everything is prequential: a forecast rests on calls that were over when its own began.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Any, Final

import numpy as np

__all__ = ["forecast"]

Array = np.ndarray[Any, Any]
PULL: Final = 0.5  # calls that the parent's mean counts for
SPREAD_PULL: Final = 3.0  # the same for spreads, which need more
RATE: Final = 0.1  # how far the factor moves when all calls of a moment were slower than said
OUTLIER: Final = 1.5  # a call this far off, in log units, says no more of the spread than that
_TYPICAL: Final = 0.4  # spread in log units before anything was seen, worth one call


class _Follow:
    """Decayed means and spreads of groups, as (weight, sum, sum of deviations)."""

    def __init__(self, groups: int, half_life_s: float) -> None:
        self.weight, self.total, self.spread = (np.zeros(groups) for _ in range(3))
        self._seen = np.full(groups, -np.inf)
        self._half_life = half_life_s

    def add(self, group: Array, value: Array, deviation: Array, moment: float) -> None:
        """Take in what was measured at a moment, in seconds."""
        touched = np.unique(group)
        keep = 0.5 ** ((moment - self._seen[touched]) / self._half_life)
        for kept, new in ((self.weight, 1.0), (self.total, value), (self.spread, np.minimum(deviation, OUTLIER))):
            kept[touched] *= keep
            np.add.at(kept, group, new)
        self._seen[touched] = moment


def forecast(
    value: Array, group: Array, parent: Array, begun: Array, ended: Array, alpha: float, half_life_s: float = 86_400.0
) -> Array:
    """Forecast the quantile `alpha` of each call's value (n,), a logarithm, as it could be known when the call began.

    `group` and `parent` (n,) are codes from 0; `begun` and `ended` are seconds, and calls that began at once are
    forecast at once. NaN where nothing was known yet.

    >>> seen = forecast(np.zeros(4), np.zeros(4, int), np.zeros(4, int), np.arange(4.0), np.arange(4.0), 0.5)
    >>> bool(np.isnan(seen[0])), seen[1:].round(2).tolist()
    (True, [0.0, -0.01, 0.0])
    """
    own, above, whole = (_Follow(int(one.max()) + 1, half_life_s) for one in (group, parent, np.zeros(1, dtype=int)))
    out, mean = np.full(len(value), np.nan), np.full(len(value), np.nan)
    factor, waiting = NormalDist().inv_cdf(alpha), np.argsort(ended, kind="stable")
    moments, first = np.unique(begun, return_index=False), 0
    by_start = np.argsort(begun, kind="stable")
    edges = np.searchsorted(begun[by_start], moments, side="left"), np.searchsorted(begun[by_start], moments, "right")
    for moment, low, high in zip(moments, *edges, strict=True):
        over = first + int(np.searchsorted(ended[waiting[first:]], moment, side="left"))
        done = waiting[first:over]
        first = over
        if done.size:
            told = np.isfinite(out[done])
            if told.any():
                factor += RATE * (float((value[done][told] > out[done][told]).mean()) - (1 - alpha))
            deviation = np.where(np.isfinite(mean[done]), np.abs(value[done] - mean[done]), _TYPICAL)
            for follow, codes in ((own, group[done]), (above, parent[done]), (whole, np.zeros(done.size, dtype=int))):
                follow.add(codes, value[done], deviation, float(moment))
        if whole.weight[0] == 0:
            continue
        rows = by_start[low:high]
        mean[rows], spread = _told(own, above, whole, group[rows], parent[rows])
        out[rows] = mean[rows] + factor * spread
    return out


def _told(own: _Follow, above: _Follow, whole: _Follow, group: Array, parent: Array) -> tuple[Array, Array]:
    """Give mean and spread of groups, each drawn to its parent's, and those to all's."""
    mean, spread = float(whole.total[0] / whole.weight[0]), float((whole.spread[0] + _TYPICAL) / (whole.weight[0] + 1))
    means, spreads = np.full(len(group), mean), np.full(len(group), spread)
    for follow, codes in ((above, parent), (own, group)):
        weight = follow.weight[codes]
        means = (follow.total[codes] + PULL * means) / (weight + PULL)
        spreads = (follow.spread[codes] + SPREAD_PULL * spreads) / (weight + SPREAD_PULL)
    return means, spreads
