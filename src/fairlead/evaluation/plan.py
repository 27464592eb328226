"""What would make the logs tell: which exploration, for how many requests, days and dollars.

A share of the traffic is drawn by chance, with the propensity logged, and the rest stays as it is. How much such a log
is worth for judging a policy is known before it is drawn: a request counts for 1 / E[sum_a pi(a)^2 / mu(a)] of the
policy's own (Kish 1965, in expectation).
"""

from __future__ import annotations

import math
from typing import Any, Final, Literal

import numpy as np
from msgspec import Struct

__all__ = ["Exploration", "explorations"]

Array = np.ndarray[Any, Any]
Kind = Literal["boltzmann", "uniform", "canary"]
SHARES: Final = (0.01, 0.02, 0.05, 0.1, 0.2)
GOOD_ESS: Final = 140.0
TOP: Final = 3
FLOOR: Final = 0.02


class Exploration(Struct, frozen=True, kw_only=True):
    """One way to explore, and what it takes until the logs can tell of the policy.

    `boltzmann` draws among the three endpoints that the policy likes best, the better the likelier; `uniform` among
    all; `canary` gives the share to the policy itself. `extra_usd` and `quality_change` are over all of the requests,
    against what is run now; None where nothing is predicted.
    """

    kind: Kind
    share: float
    endpoints: list[str]
    requests: int
    days: float | None
    extra_usd: float | None
    quality_change: float | None


def explorations(
    policy: Array, now: Array, quality: Array, cost_usd: Array, endpoints: tuple[str, ...], a_day: float | None
) -> list[Exploration]:
    """Give the ways to explore for judging a policy (n, K), the cheapest share of each kind.

    `now` (n, K) is what is run: the logged choice, or its known chances. `quality` and `cost_usd` (n, K) are predicted.
    Of each kind that share is taken which costs the least dollars, or the least quality where dollars are not known.
    """
    ranked = np.argsort(-np.nan_to_num(quality + 10 * policy, nan=-1.0), axis=1)[:, :TOP]
    top = np.zeros(policy.shape)
    np.put_along_axis(top, ranked, np.array([0.6, 0.25, 0.15])[: ranked.shape[1]], axis=1)
    top /= top.sum(axis=1, keepdims=True)
    kinds: dict[Kind, Array] = {
        "boltzmann": top,
        "uniform": np.full(policy.shape, 1 / policy.shape[1]),
        "canary": policy,
    }
    found = []
    for kind, explored in kinds.items():
        ways = [_way(kind, share, explored, policy, now, quality, cost_usd, endpoints, a_day) for share in SHARES]
        known = [way for way in ways if way is not None]
        if known:
            found.append(min(known, key=lambda way: (way.extra_usd or 0.0, -(way.quality_change or 0.0), way.requests)))
    return sorted(found, key=lambda way: (way.extra_usd or 0.0, way.requests))


def _way(  # noqa: PLR0913, PLR0917  one way is all of these
    kind: Kind,
    share: float,
    explored: Array,
    policy: Array,
    now: Array,
    quality: Array,
    cost_usd: Array,
    endpoints: tuple[str, ...],
    a_day: float | None,
) -> Exploration | None:
    drawn = share * explored + (1 - share) * now
    if kind == "canary":  # judged on its own share alone, whatever the rest does
        worth = share
    else:
        squares = (policy**2 / np.where(policy > 0, np.maximum(drawn, 1e-12), 1.0)).sum(axis=1).mean()
        worth = 1 / float(squares)
    if worth <= 1e-9:
        return None
    requests = math.ceil(GOOD_ESS / worth)
    moved = drawn - now
    return Exploration(
        kind=kind,
        share=share,
        endpoints=[name for name, seen in zip(endpoints, explored.mean(axis=0) > FLOOR, strict=True) if seen],
        requests=requests,
        days=None if not a_day else round(requests / a_day, 1),
        extra_usd=_over(moved, cost_usd, requests),
        quality_change=_over(moved, quality, 1),
    )


def _over(moved: Array, value: Array, requests: int) -> float | None:
    known = np.isfinite(value)
    if not known.any() or (np.abs(moved)[~known] > 1e-9).any():
        return None
    return float((moved * np.where(known, value, 0.0)).sum(axis=1).mean()) * requests
