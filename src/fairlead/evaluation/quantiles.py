"""Quantiles of what a policy would have had, from a log: "95 % of the requests under 4 s"."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np

from fairlead.errors import EvidenceError
from fairlead.evaluation.estimators import Logged, snips
from fairlead.evaluation.intervals import Estimate, clustered

__all__ = ["quantile", "share_over"]

Array = np.ndarray[Any, Any]


def share_over(log: Logged, limit: float) -> Estimate:
    """Give the share of the policy's requests whose metric would be over a limit, self-normalised.

    >>> log = Logged(reward=np.array([1.0, 5.0]), propensity=np.array([0.5, 0.5]), target=np.array([1.0, 1.0]))
    >>> share_over(log, 4.0).value
    0.5
    """
    return snips(_with(log, (log.reward > limit).astype(np.float64))).estimate()


def quantile(log: Logged, share: float, level: float = 0.95, group: Array | None = None) -> Estimate:
    """Give the quantile of the metric under the policy, from the self-normalised weighted distribution.

    The interval is where the distribution's own interval meets the share (Woodruff 1952): no density is estimated.
    With `group` (n,) the requests of one group count as one.
    """
    if not 0 < share < 1:
        raise EvidenceError(f"a quantile lies between 0 and 1, not at {share}")
    held = np.flatnonzero(log.target > 0)  # what has no weight is in nobody's way: of a sure policy, most requests
    order = held[np.argsort(log.reward[held], kind="stable")]
    weight, ordered = log.weight[order], log.reward[order]
    total = float(weight.sum())
    if total <= 0:
        raise EvidenceError("quantile: the policy never chooses what was logged; explore its choices before judging it")
    below = np.cumsum(weight) / total
    value = float(ordered[min(int(np.searchsorted(below, share)), len(order) - 1)])
    found = snips(_with(log, (log.reward <= value).astype(np.float64)))
    found = found if group is None else clustered(found, group)
    half = NormalDist().inv_cdf((1 + level) / 2) * found.standard_error
    low, high = (
        float(ordered[min(int(np.searchsorted(below, np.clip(share + side * half, 0, 1))), len(order) - 1)])
        for side in (-1, 1)
    )
    return Estimate(
        name=f"p{100 * share:g}",
        value=value,
        low=low,
        high=high,
        n=len(log.reward),
        standard_error=found.standard_error,
        level=level,
        method="woodruff",
    )


def _with(log: Logged, reward: Array) -> Logged:
    return Logged(reward=reward, propensity=log.propensity, target=log.target)
