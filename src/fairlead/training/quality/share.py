"""How much of the contrasts between endpoints is kept: all, some or none, by what it is worth out of fold.

The best of many noisy predictions is a flattering one (the optimiser's curse: Smith and Winkler 2006), so contrasts
are shrunk: q = mean of the endpoint + what a request does to all + share * the rest. A share above 0 must have shown
itself: its gain over the zero router and over the endpoints' means needs a 95 % interval above 0.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from msgspec import Struct

from fairlead.scoring.dense import shrunk
from fairlead.training.quality.labels import Labels
from fairlead.training.quality.value import Heights, Market, heights

__all__ = ["FEW", "MANY", "Choice", "by_route", "choose"]

Array = np.ndarray[Any, Any]
GRID: Final = (1.0, 0.75, 0.5, 0.25, 0.0)  # from most to least: of equals the one that changes predictions least
TIE: Final = 0.5  # standard errors of a difference up to which two heights are equal
LEAST: Final = 1e-4  # quality: less is no gain, whatever its interval
NEAR: Final = 0.1  # share of the gain over the means up to which they are equal
FEW: Final = 50  # labels below which a route counts as never seen
MANY: Final = 200  # labels from which a route has all of the share
HALF: Final = 0.5  # the most that a route in between has
Z95: Final = 1.959963984540054


class Choice(Struct, frozen=True, kw_only=True):
    """The share, why in words, the figures behind it, and whether the category table should be served instead."""

    share: float
    reason: str
    figures: dict[str, float]
    table: bool = False


def choose(quality: Array, table: Array, market: Market, labels: Labels) -> Choice:
    """Choose the share for out-of-fold predictions (n, K), beside those of the category table (n, K).

    A few thousand labels of one endpoint a request rarely prove a gain: then the means choose. Keeping contrasts there
    because they explain outcomes (their slope) was tried, and lost to the means.
    """
    mean = labels.mean
    at = [*(shrunk(quality, mean, share) for share in GRID), table]
    found = heights(at, market)
    points = found.router
    best = _largest(found)
    means, by_table = len(GRID) - 1, len(GRID)
    over_zero, over_means, over_table = found.gain(best), found.gain(best, means), found.gain(best, by_table)
    table_zero, table_means = found.gain(by_table), found.gain(by_table, means)
    figures = {
        "value": float(points[best]),
        "value_zero_router": found.zero,
        "value_means": float(points[means]),
        "value_table": float(points[by_table]),
        **_interval("over_zero_router", over_zero),
        **_interval("over_means", over_means),
        **_interval("over_table", over_table),
    }
    slope = contrast_slope(quality, labels)
    figures |= dict(zip(("slope", "slope_low", "slope_high"), slope, strict=True))
    # The best of many points flatters a hull, even that of noise; the slope is not chosen among anything.
    proven = min(over_zero[1], over_means[1], slope[1]) > LEAST
    told = f"{_said(over_zero)} over the zero router, {_said(over_means)} over the endpoints' means"
    beside = f"{_said(over_table)} over the category table"
    table_proven = min(table_zero[1], table_means[1]) > LEAST
    if table_proven and (not proven or over_table[2] < 0):
        return Choice(
            share=0.0,
            reason=f"quality.share 0: the category table is served; {told}, {beside}",
            figures={**figures, "share": 0.0},
            table=True,
        )
    if not proven:
        return Choice(
            share=0.0,
            reason=f"quality.share 0: no gain from routing by request is sure; {told}",
            figures={**figures, "share": 0.0},
        )
    return Choice(
        share=GRID[best],
        reason=f"quality.share {GRID[best]:g}: {told}, {beside}",
        figures={**figures, "share": GRID[best]},
    )


def _largest(found: Heights) -> int:
    """Find the place in GRID of the largest share above 0 that is as good as the best, as far as resamples can tell."""
    shares = len(GRID) - 1
    top = int(found.router[:shares].argmax())
    short = found.router[top] - found.router[:shares] - NEAR * max(found.router[top] - found.router[shares], 0.0)
    error = (found.router_again[top] - found.router_again[:shares]).std(axis=1)
    return int(np.flatnonzero(short <= TIE * error + 1e-9)[0])


def contrast_slope(quality: Array, labels: Labels) -> tuple[float, float, float]:
    """Give how much of a predicted contrast shows in outcomes, with its 95 % interval over groups: 1 is all of it."""
    change = quality - labels.mean
    common = change.mean(axis=1, keepdims=True)
    contrast, rest = change - common, labels.score - labels.mean - common
    square = float((labels.weight * contrast**2).sum())
    if square <= 0:
        return 0.0, 0.0, 0.0
    slope = float((labels.weight * contrast * rest).sum()) / square
    _, group = np.unique(labels.group, return_inverse=True)
    pull = (labels.weight * contrast * (rest - slope * contrast)).sum(axis=1)
    error = float(np.sqrt((np.bincount(group, weights=pull) ** 2).sum())) / square
    return slope, slope - Z95 * error, slope + Z95 * error


def by_route(share: float, route: Array, routes: int) -> Array:
    """Give the share of each route (routes + 1,) float32, from the route (n,) of each label, NaN for none.

    A route that was never seen, or hardly, has none of it: what was learned elsewhere need not hold there. Where most
    requests name no route, there is none to be new.

    >>> by_route(1.0, np.repeat([0.0, 1.0, 2.0], [300, 60, 10]), 3).tolist()
    [1.0, 0.5, 0.0, 0.0]
    """
    named = np.isfinite(route)
    seen = np.bincount(route[named].astype(np.int64), minlength=routes)
    out = np.where(seen >= MANY, share, np.where(seen >= FEW, min(share, HALF), 0.0))
    unnamed = share if (~named).sum() > max(len(route) / 2, MANY - 1) or routes == 0 else 0.0
    return np.append(out, unnamed).astype(np.float32)


def _interval(name: str, gain: tuple[float, float, float]) -> dict[str, float]:
    return dict(zip((f"value_{name}", f"value_{name}_low", f"value_{name}_high"), gain, strict=True))


def _said(gain: tuple[float, float, float]) -> str:
    return f"{gain[0]:+.4f} [{gain[1]:+.4f}, {gain[2]:+.4f}]"
