"""The quantities that are watched: what is summed over what, how noisy it is by itself, and which change matters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np

from fairlead.training.anomaly.hours import Hours

__all__ = ["MEASURES", "Measure", "Sums"]

Array = np.ndarray[Any, Any]


class Sums(NamedTuple):
    """A quantity by hour and slice, (T, S) each: its sum, what it is a share of, and the sum of squares."""

    part: Array
    whole: Array
    squares: Array


class Measure(NamedTuple):
    """One watched quantity.

    An amount (`of` gives ones as the whole) is compared as a ratio, a share by its difference, a time by the ratio of
    its geometric mean. `spans` are hours over which it is looked at; `matters` is the least change worth a word, in
    the same terms as `change`; `direction` is 1 where only a rise is bad, 0 where both are.
    """

    name: str
    of: Callable[[Hours], Sums]
    kind: str  # amount, share, time
    spans: tuple[int, ...]
    matters: float
    direction: int
    least: float  # of the whole in the span: fewer say nothing
    counted: bool = False  # the part is a count of rare events, for which the exact chance is asked as well


def _spend(hours: Hours) -> Sums:
    return Sums(hours.sums["usd"], hours.sums["attempts"], hours.sums["usd2"])


def _latency(hours: Hours) -> Sums:
    return Sums(hours.sums["log_s"], hours.sums["timed"], hours.sums["log_s2"])


def _tokens(hours: Hours) -> Sums:
    return Sums(hours.sums["log_tokens"], hours.sums["worded"], hours.sums["log_tokens2"])


def _errors(hours: Hours) -> Sums:
    return Sums(hours.sums["errors"], hours.sums["attempts"], hours.sums["errors"])


def _quality(hours: Hours) -> Sums:
    return Sums(hours.sums["quality"], hours.sums["labels"], hours.sums["quality2"])


def _share(hours: Hours) -> Sums:
    total = next(at for at, one in enumerate(hours.slices) if one.kind == "total")
    whole = np.repeat(hours.sums["attempts"][:, [total]], len(hours.slices), axis=1)
    return Sums(hours.sums["attempts"], whole, hours.sums["attempts"])


MEASURES: Final = (
    Measure("spend", _spend, "amount", (1, 6, 24), 0.3, 0, 30),
    Measure("latency", _latency, "time", (1, 6, 24), 0.15, 1, 10),
    Measure("errors", _errors, "share", (1, 6, 24), 0.02, 1, 10, counted=True),
    Measure("quality", _quality, "share", (24, 72), 0.03, 0, 30),
    Measure("traffic share", _share, "share", (6, 24), 0.05, 0, 50),
    Measure("output tokens", _tokens, "time", (24, 72), 0.15, 0, 30),
)
