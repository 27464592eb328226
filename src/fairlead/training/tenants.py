"""One tenant's labels cannot move what the others are told: who disagrees with all others is set aside, nobody counts
for more than agreement warrants.

Tenants are compared with what the others said of the same route and endpoint. Who stands apart from the usual spread of
tenants, in the mean or at one endpoint, is set aside (Benjamini and Hochberg 1995, over tenants and endpoints), the
farthest first, since who is far from the crowd also makes the crowd look far. The labels of the rest are weighed as in
a random-effects meta-analysis (DerSimonian and Laird 1986): the more tenants differ in a cell, the more equal is what
each of them counts for, however many labels it sends. A cell keeps its weight as a whole.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Any, Final

import numpy as np
from msgspec import Struct, structs

__all__ = ["Guarded", "SetAside", "guard"]

Array = np.ndarray[Any, Any]
LEAST: Final = 20  # labels of a tenant at an endpoint, below which nothing is said of it
CROWD: Final = 4  # tenants that it takes to say which of them stands apart
FAR: Final = 0.1  # quality: less is no harm worth a tenant's labels
LEVEL: Final = 0.001  # share of false alarms among alarms
USUAL: Final = 0.03  # the least that tenants are taken to differ by in truth (standard deviation of their means)
MOST: Final = 0.5  # share of the labels that may be set aside: beyond it nobody knows who the crowd is
DRAWN: Final = 5.0  # labels that the endpoint's mean counts for in a cell's


class SetAside(Struct, frozen=True, kw_only=True):
    """A tenant whose labels are not learned from, and why: `apart` is its quality less what the others' was."""

    tenant: int
    labels: int
    apart: float
    endpoint: int  # -1: all of them
    p: float


class Guarded(Struct, frozen=True, kw_only=True):
    """Weights (n,) of labels, who was set aside, and the spread of tenants' means that was found."""

    weight: Array
    set_aside: list[SetAside]
    spread: float


def guard(value: Array, weight: Array, route: Array, endpoint: Array, tenant: Array) -> Guarded:
    """Weigh labels (n,) of 0 to 1 by tenant: all arrays (n,), codes from 0, NaN or -1 where not known.

    >>> same = np.zeros(4)
    >>> guard(np.array([1.0, 0, 1, 0]), np.ones(4), same, same.astype(int), np.array([0, 0, 1, 1])).weight.tolist()
    [1.0, 1.0, 1.0, 1.0]
    """
    names, who = np.unique(tenant, return_inverse=True)
    cell = np.where(np.isfinite(route), route, -1) * (int(endpoint.max(initial=0)) + 1) + endpoint
    where = np.unique(cell, return_inverse=True)[1]
    kept = weight.astype(np.float64)
    aside: list[SetAside] = []
    while len(names) - len(aside) >= CROWD:
        found = _farthest(_compared(value, kept, where, endpoint, who))
        if found is None or kept[who != found.tenant].sum() < (1 - MOST) * weight.sum():
            break
        kept[who == found.tenant] = 0.0
        aside.append(structs.replace(found, tenant=int(names[found.tenant])))
    compared = _compared(value, kept, where, endpoint, who)
    spread = _spread(compared.apart[:, 0], compared.error[:, 0])
    return Guarded(weight=_evened(kept, where, who, spread**2 / compared.noise), set_aside=aside, spread=spread)


class _Compared(Struct, frozen=True):
    """Tenants (T, 1 + K) less the others, in the mean and at each endpoint beyond that; NaN where labels are few.

    `error` is the variance that chance gives it, `labels` (T,) how many there are, `noise` the variance of one label.
    """

    apart: Array
    error: Array
    labels: Array
    noise: float


def _compared(value: Array, weight: Array, where: Array, endpoint: Array, who: Array) -> _Compared:
    live = weight > 0
    pair = _pair(where, who)
    count, total = (np.bincount(where, weights=one) for one in (live, live * value))
    own, mine = (np.bincount(pair, weights=one) for one in (live, live * value))
    overall = float(total.sum() / max(count.sum(), 1))
    noise = float((live * (value - (total / np.maximum(count, 1))[where]) ** 2).sum() / max(count.sum(), 1))
    others, said = count[where] - own[pair], total[where] - mine[pair]
    rest = value - (said + DRAWN * overall) / (others + DRAWN)
    live = live & (others >= DRAWN)  # where nobody else has been, nobody can be compared
    shape = (int(who.max(initial=0)) + 1, int(endpoint.max(initial=0)) + 1)
    at = (who * shape[1] + endpoint)[live]
    seen = np.bincount(at, minlength=shape[0] * shape[1]).reshape(shape)
    moved = np.bincount(at, weights=rest[live], minlength=shape[0] * shape[1]).reshape(shape)
    labels = seen.sum(axis=1)
    mean = _few(moved.sum(axis=1), labels)
    beyond = _few(moved, seen) - mean[:, None]
    error = noise / np.maximum(np.column_stack([labels, seen]), 1)
    return _Compared(np.column_stack([mean, beyond]), error, labels, max(noise, 1e-6))


def _few(total: Array, count: Array) -> Array:
    return np.where(count >= LEAST, total / np.maximum(count, 1), np.nan)


def _farthest(found: _Compared) -> SetAside | None:
    """Find the tenant that stands apart most, in the mean or at an endpoint; None when all are usual."""
    usual = [_spread(found.apart[:, part], found.error[:, part]) for part in (slice(0, 1), slice(1, None))]
    beside = np.array([usual[0], *[usual[1]] * (found.apart.shape[1] - 1)])
    score = np.abs(found.apart) / np.sqrt(found.error + beside**2)
    p = np.full(score.shape, np.nan)
    known = np.isfinite(score)
    p[known] = [2 * NormalDist().cdf(-one) for one in score[known]]
    alarm = (p <= _threshold(p[known])) & (np.abs(found.apart) > FAR)
    if not alarm.any():
        return None
    one, place = np.unravel_index(int(np.where(alarm, score, -1.0).argmax()), score.shape)
    return SetAside(
        tenant=int(one),
        labels=int(found.labels[one]),
        apart=float(found.apart[one, place]),
        endpoint=int(place) - 1,
        p=float(p[one, place]),
    )


def _spread(apart: Array, error: Array) -> float:
    """Give how far tenants usually are apart in truth: what the middle half shows, less what chance explains."""
    known = np.isfinite(apart)
    if known.sum() < CROWD:
        return USUAL
    middle = np.median(np.abs(apart[known] - np.median(apart[known])))
    return float(np.sqrt(max((1.4826 * middle) ** 2 - np.median(error[known]), USUAL**2)))


def _threshold(p: Array) -> float:
    """Give the largest p that is an alarm (Benjamini and Hochberg 1995); below 0 when none is."""
    ordered = np.sort(p)
    below = ordered[ordered <= LEVEL * np.arange(1, len(p) + 1) / max(len(p), 1)]
    return float(below[-1]) if below.size else -1.0


def _evened(weight: Array, where: Array, who: Array, spread: float) -> Array:
    """Weigh tenants as a random-effects mean would, cells as before; `spread` in variances of one label."""
    pair = _pair(where, who)
    even = weight / (1 + np.bincount(pair, weights=weight)[pair] * spread)
    before, after = (np.bincount(where, weights=one) for one in (weight, even))
    out: Array = even * (before / np.maximum(after, 1e-12))[where]
    return out


def _pair(where: Array, who: Array) -> Array:
    """Number the cells of each tenant that there are: all possible ones would be too many."""
    code: Array = np.unique(where * (int(who.max(initial=0)) + 1) + who, return_inverse=True)[1]
    return code
