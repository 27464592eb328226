"""Are the requests still those that was learned from? Distributions of every request feature, and new categories."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from scipy.stats import ks_2samp

from fairlead.training.drift.check import Check, Verdict, unknown
from fairlead.training.frame import Frame

__all__ = ["checks", "psi", "spread"]

Array = np.ndarray[Any, Any]
LEAST: Final = 200  # rows on either side
_MOST: Final = 4000
_BINS: Final = 10
_RETRAIN: Final = 0.2  # the customary limit of a population stability index
_ALARM: Final = 0.5
_SURE: Final = 1e-4  # over all features together
_NEW: Final = 0.05  # share of requests of categories that were not learned from
_NAMED: Final = 4


def checks(learned: Frame, fresh: Frame, strange: float, strange_before: float) -> list[Check]:
    """Compare request features of the rows learned from with those after.

    Both frames are in the champion's vocabulary. `strange` is the share of fresh rows with a route, team or other
    category that the champion does not know, `strange_before` the same share in what it learned from.
    """
    if min(len(learned), len(fresh)) < LEAST:
        return [unknown("request features", "inputs", f"{len(fresh)} requests since the training; {LEAST} are needed")]
    before, now = (_sampled(part) for part in (learned, fresh))
    # The hour of a look after a morning differs from that of a whole day, and nothing has moved.
    columns = [
        (at, column) for at, column in enumerate(learned.columns) if column.owner == "request" and column.name != "hour"
    ]
    found = []
    for at, column in columns:
        category = column.kind == "category"
        index, noise = psi(before[:, at], now[:, at], category)
        chance = 1.0
        if category:
            chance = 0.0 if index > noise else 1.0  # the noise of the index is all that there is to be sure of
        elif min(np.isfinite(before[:, at]).sum(), np.isfinite(now[:, at]).sum()) > 0:
            sides = (part[np.isfinite(part[:, at]), at] for part in (before, now))
            chance = float(ks_2samp(*sides, method="asymp").pvalue)
        elif np.isfinite(before[:, at]).any() != np.isfinite(now[:, at]).any():
            chance = 0.0  # a feature that is sent no more, or only now
        found.append((max(index - noise, 0.0), chance, column.name))
    sure = [(index, name) for index, chance, name in found if chance < _SURE / len(found)]
    index = max(sure, default=(0.0, ""))[0]
    moved = sorted(((i, n) for i, n in sure if i > _RETRAIN), reverse=True)
    names = ", ".join(f"{n} {i:.2f}" for i, n in moved[:_NAMED])
    verdict: Verdict = "alarm" if index > _ALARM else "retrain" if index > _RETRAIN else "ok"
    said = f"{len(moved)} of {len(found)} request features moved (stability index over {_RETRAIN}): {names}"
    features = Check(
        name="request features",
        group="inputs",
        verdict=verdict,
        reason=said if moved else f"the {len(found)} request features are spread as in training",
        value=index,
        limit=_RETRAIN,
    )
    return [features, _categories(strange, strange_before, len(fresh))]


def psi(before: Array, now: Array, category: bool) -> tuple[float, float]:
    """Give the population stability index of two samples, and what it would be by chance alone.

    Numbers are cut at the deciles of `before`; NaN has a bin of its own. By chance the index of n and m rows in b bins
    is about (b - 1) (1/n + 1/m) (Yurdakul 2018); twice that is allowed, since rows near each other are alike.

    >>> index, noise = psi(np.zeros(500), np.zeros(500), category=False)
    >>> index, round(noise, 3)
    (0.0, 0.072)
    """
    if category:
        edges = np.arange(-0.5, max(np.nanmax(before, initial=0), np.nanmax(now, initial=0)) + 1.5)
    else:
        known = before[np.isfinite(before)]
        edges = np.unique(np.quantile(known, np.linspace(0, 1, _BINS + 1)[1:-1])) if len(known) else np.zeros(0)
    counts = [np.bincount(_place(part, edges), minlength=len(edges) + 2) for part in (before, now)]
    bins = (counts[0] + counts[1]) > 0
    shares = [(count[bins] + 0.5) / (count.sum() + 0.5 * bins.sum()) for count in counts]
    index = float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())
    return index, 2 * (max(_BINS, int(bins.sum())) - 1) * (1 / len(before) + 1 / len(now))


def spread(rows: int) -> Array:
    """Give the places of the rows that are compared, of so many: all, or 4,000 evenly spread."""
    return np.unique(np.linspace(0, max(rows - 1, 0), min(rows, _MOST)).astype(np.int64))


def _place(values: Array, edges: Array) -> Array:
    placed = np.searchsorted(edges, values, side="right")
    return np.where(np.isfinite(values), placed, len(edges) + 1)


def _sampled(frame: Frame) -> Array:
    return frame.take(spread(len(frame))).rows()


def _categories(strange: float, before: float, rows: int) -> Check:
    noise = 4 * np.sqrt(max(before * (1 - before), 1e-4) / rows)
    found = strange - before
    verdict: Verdict = "retrain" if found > max(_NEW, noise) else "ok"
    return Check(
        name="new categories",
        group="inputs",
        verdict=verdict,
        reason=(
            f"{strange:.1%} of requests are of a route, team, endpoint or other category that was not learned from "
            f"({before:.1%} in training)"
        ),
        value=strange,
        reference=before,
        limit=_NEW,
    )
