"""Two policies on the same requests: their difference or ratio, with a paired interval.

>>> old = mean("cost_usd", np.array([2.0, 4.0, 2.0, 4.0]))
>>> new = mean("cost_usd", np.array([1.0, 2.0, 1.0, 2.0]))
>>> print(savings_share(new, old).estimate())
savings_share 0.5 [0.5, 0.5] (n = 4)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fairlead.errors import EvidenceError
from fairlead.evaluation.intervals import Statistic, Vector, mean

__all__ = ["difference", "mean", "quality_change", "ratio", "savings_share"]


def difference(new: Statistic, old: Statistic, name: str = "difference") -> Statistic:
    """Give new - old in the metric's own unit; both over the same requests in the same order."""
    _check(new, old)
    width = new.columns.shape[1]

    def of_means(means: Vector) -> Any:
        return new.of_means(means[..., :width]) - old.of_means(means[..., width:])

    return Statistic(
        name=name,
        columns=np.vstack([new.columns.T, old.columns.T]).T,
        of_means=of_means,
        contributions=new.contributions - old.contributions,
        linear=new.linear and old.linear,
    )


def ratio(new: Statistic, old: Statistic, name: str = "ratio") -> Statistic:
    """Give new / old; refused when the old value cannot be told from zero."""
    _check(new, old)
    width = new.columns.shape[1]
    below = old.value
    if abs(below) <= 2 * old.standard_error:
        raise EvidenceError(f"{name}: the value to divide by, {below:.4g}, cannot be told from 0; bring more requests")
    share = new.value / below

    def of_means(means: Vector) -> Any:
        return new.of_means(means[..., :width]) / old.of_means(means[..., width:])

    return Statistic(
        name=name,
        columns=np.vstack([new.columns.T, old.columns.T]).T,
        of_means=of_means,
        contributions=share + (new.contributions - share * old.contributions) / below,
        linear=False,
    )


def savings_share(new: Statistic, old: Statistic) -> Statistic:
    """Give 1 - cost(new) / cost(old): the share of the old spend that the new policy saves; negative when dearer."""
    inner = ratio(new, old, "savings_share")

    def of_means(means: Vector) -> Any:
        return 1 - inner.of_means(means)

    return Statistic(
        name="savings_share",
        columns=inner.columns,
        of_means=of_means,
        contributions=1 - inner.contributions,
        linear=False,
    )


def quality_change(new: Statistic, old: Statistic) -> Statistic:
    """Give quality(new) - quality(old), on the 0..1 scale: 0.01 is one point."""
    return difference(new, old, "quality_change")


def _check(new: Statistic, old: Statistic) -> None:
    if new.n != old.n:
        raise EvidenceError(f"a paired comparison needs the same requests; got {new.n} and {old.n}")
