"""How far an estimate may be off: one statistic over requests, and three intervals for it.

A `Statistic` is a smooth function of column means, kept with its *contributions*: one number a request whose mean is
the value and whose spread gives the standard error (the value plus the influence function). Statistics of the same
requests can be subtracted and divided (comparison.py), and what comes out is a statistic again, so a paired interval
costs nothing extra.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from fairlead.errors import EvidenceError

__all__ = [
    "Estimate",
    "Interval",
    "Statistic",
    "Vector",
    "bootstrap",
    "clustered",
    "empirical_bernstein",
    "mean",
    "normal",
]

Vector: TypeAlias = npt.NDArray[np.float64]

_DRAWS_AT_ONCE: Final = 2_000_000  # 16 MB of indices, whatever the number of requests


class Estimate(Struct, frozen=True, kw_only=True):
    """A value with its interval, in the unit of the metric it is about."""

    name: str
    value: float
    low: float
    high: float
    n: int  # requests it rests on
    standard_error: float
    level: float
    method: str

    def __str__(self) -> str:
        return f"{self.name} {self.value:.4g} [{self.low:.4g}, {self.high:.4g}] (n = {self.n})"


class Statistic(Struct, frozen=True, kw_only=True, eq=False):
    """A number computed from n requests, in a form that every interval can use."""

    name: str
    columns: Vector  # (n, c): what is averaged over requests
    of_means: Callable[[Vector], Any]  # (..., c) means -> (...) values
    contributions: Vector  # (n,): their mean is the value, their spread its standard error
    linear: bool  # whether the value is a plain mean of the contributions, not only to first order

    @property
    def n(self) -> int:
        """How many requests it rests on."""
        return len(self.contributions)

    @property
    def value(self) -> float:
        """The number itself."""
        return float(self.of_means(self.columns.mean(axis=0)))

    @property
    def standard_error(self) -> float:
        """Its standard error to first order (delta method)."""
        if self.n < 2:
            raise EvidenceError(f"{self.name}: {self.n} request(s) give no standard error; bring at least two")
        return float(np.std(self.contributions, ddof=1)) / math.sqrt(self.n)

    def estimate(self, interval: Interval | None = None, level: float = 0.95) -> Estimate:
        """Give the value with its two-sided interval; asymptotic normal unless told otherwise."""
        compute = interval or normal
        low, high = compute(self, level)
        return Estimate(
            name=self.name,
            value=self.value,
            low=low,
            high=high,
            n=self.n,
            standard_error=self.standard_error,
            level=level,
            method=getattr(compute, "__name__", getattr(getattr(compute, "func", None), "__name__", "custom")),
        )


Interval: TypeAlias = Callable[[Statistic, float], tuple[float, float]]


def mean(name: str, values: Vector) -> Statistic:
    """Give the plain mean of (n,) values as a statistic: what was observed, or what a simulation knows to be true.

    >>> print(mean("cost_usd", np.array([1.0, 2.0, 3.0, 2.0])).estimate())
    cost_usd 2 [1.2, 2.8] (n = 4)
    """
    values = np.asarray(values, dtype=np.float64)
    return Statistic(name=name, columns=values[:, None], of_means=_first, contributions=values, linear=True)


def clustered(statistic: Statistic, group: npt.NDArray[Any]) -> Statistic:
    """Give the same value with whole groups (n,) in place of requests, for every interval (Liang and Zeger 1986).

    Requests of one user or conversation are not independent: as single requests they would make intervals too narrow.
    The size of a group is one of its columns, so that large groups do not widen the interval by being large alone.

    >>> same = mean("quality", np.repeat([0.0, 1.0, 1.0, 0.0], 100))
    >>> clustered(same, np.repeat([0, 1, 2, 3], 100)).standard_error > 5 * same.standard_error
    True
    """
    if len(group) != statistic.n:
        raise EvidenceError(f"{statistic.name}: {len(group)} groups for {statistic.n} requests; give one a request")
    which = group if group.dtype.kind in "iu" else np.unique(group, return_inverse=True)[1]
    size = np.bincount(which)
    held = size > 0
    scale = held.sum() / statistic.n

    def sums(values: Vector) -> Vector:
        found: Vector = np.bincount(which, weights=values)[held] * scale
        return found

    def of_means(means: Vector) -> Any:
        return statistic.of_means(means[..., :-1] / means[..., -1:])

    centre = statistic.contributions.mean()
    return Statistic(
        name=statistic.name,
        columns=np.vstack([*map(sums, statistic.columns.T), size[held] * scale]).T,
        of_means=of_means,
        contributions=statistic.value + sums(statistic.contributions - centre),
        linear=False,
    )


def normal(statistic: Statistic, level: float = 0.95) -> tuple[float, float]:
    """Give the asymptotic normal interval from the contributions: fast, honest from an effective size of about 140."""
    value, half = statistic.value, NormalDist().inv_cdf((1 + level) / 2) * statistic.standard_error
    return value - half, value + half


def bootstrap(
    statistic: Statistic, level: float = 0.95, *, replicates: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Give the percentile bootstrap interval over requests (Efron 1979), drawn in blocks of bounded memory.

    All columns of a request are drawn together, so ratios and paired comparisons are resampled as they are.
    A replicate in which a ratio has no denominator says nothing and is left out.
    """
    rng = np.random.default_rng(seed)
    n = statistic.n
    values = np.empty(replicates)
    step = max(1, _DRAWS_AT_ONCE // n)
    for start in range(0, replicates, step):
        rows = min(step, replicates - start)
        drawn = rng.integers(0, n, size=(rows, n))
        drawn += np.arange(rows)[:, None] * n
        counts = np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n)
        with np.errstate(divide="ignore", invalid="ignore"):
            values[start : start + rows] = statistic.of_means(counts @ statistic.columns / n)
    known = values[np.isfinite(values)]
    if 2 * len(known) < replicates:
        raise EvidenceError(f"{statistic.name}: most resamples hold no choice of this policy; bring more requests")
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def empirical_bernstein(
    statistic: Statistic, level: float = 0.95, *, lower: float = 0.0, upper: float = 1.0
) -> tuple[float, float]:
    """Give the interval that holds at every n when contributions lie in [lower, upper] (Maurer and Pontil 2009, thm 4).

    The bounds must be known beforehand: for IPS of a quality in 0..1 they are 0 and 1 / smallest logging propensity.
    Wider than `normal`; only for plain means, since a ratio's contributions are not independent.
    """
    values = statistic.contributions
    if not statistic.linear:
        raise EvidenceError(f"{statistic.name} is a ratio: empirical Bernstein needs a plain mean; use ips or normal")
    slack = 1e-9 * (upper - lower)  # 1 / 0.1 is not quite 10
    if values.min() < lower - slack or values.max() > upper + slack:
        raise EvidenceError(
            f"{statistic.name}: contributions reach from {values.min():.4g} to {values.max():.4g}, outside the "
            f"promised {lower:.4g} to {upper:.4g}; give bounds that hold for every request"
        )
    log_term = math.log(4 / (1 - level))  # both sides
    half = statistic.standard_error * math.sqrt(2 * log_term) + 7 * (upper - lower) * log_term / (3 * (statistic.n - 1))
    return statistic.value - half, statistic.value + half


def _first(means: Vector) -> Any:
    return means[..., 0]
