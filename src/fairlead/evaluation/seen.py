"""How much of a policy a log has seen: its weights in bins, and what it would call beside what was called."""

from __future__ import annotations

import itertools
from typing import Any, Final

import numpy as np
from msgspec import Struct

from fairlead.evaluation import overlap
from fairlead.evaluation.case import Case

__all__ = ["Overlap", "Weights", "overlaps", "weights"]

Array = np.ndarray[Any, Any]
_EDGES: Final = (0.0, 0.01, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, np.inf)


class Overlap(Struct, frozen=True, kw_only=True):
    """One endpoint: how often it was called, how often the policy would, and the effective sample size on it."""

    endpoint: str
    logged_share: float
    wanted_share: float
    ess: float


class Weights(Struct, frozen=True, kw_only=True):
    """The requests whose weights lie above `low` up to `high`: their share of requests, and of all weight."""

    low: float
    high: float
    requests_share: float
    weight_share: float


def overlaps(case: Case, chances: Array) -> list[Overlap]:
    """Set what was called beside what the policy's choices (n, K) would call, endpoint by endpoint."""
    log, found = case.log, []
    known = np.isfinite(log.propensity) & (log.propensity > 0)
    for code, name in enumerate(case.predicted.endpoints):
        mine = known & (log.endpoint == code)
        found.append(
            Overlap(
                endpoint=name,
                logged_share=float((log.endpoint == code).mean()),
                wanted_share=float(chances[:, code].mean()),
                ess=overlap.effective_sample_size(chances[mine, code] / log.propensity[mine]),
            )
        )
    return found


def weights(weight: Array) -> list[Weights]:
    """Sort the weights (n,) into bins from none to over 100, all requests and all weight in them; none for no weight.

    >>> [(one.low, one.high, one.requests_share, one.weight_share) for one in weights(np.array([0.0, 1.0, 1.0, 2.0]))]
    [(0.0, 0.0, 0.25, 0.0), (0.3, 1.0, 0.5, 0.5), (1.0, 3.0, 0.25, 0.5)]
    """
    total = float(weight.sum())
    if total <= 0:
        return []
    found = []
    for low, high in itertools.pairwise(_EDGES):
        mine = (weight > low) & (weight <= high)
        top = float(weight.max()) if np.isinf(high) else high
        share = float(weight[mine].sum()) / total
        found.append(Weights(low=low, high=top, requests_share=float(mine.mean()), weight_share=share))
    held = [place for place, one in enumerate(found) if one.requests_share > 0]
    none = Weights(low=0.0, high=0.0, requests_share=float((weight == 0).mean()), weight_share=0.0)
    return [*([none] if none.requests_share > 0 else []), *found[held[0] : held[-1] + 1]]
