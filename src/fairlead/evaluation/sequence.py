"""An interval that may be looked at every day: it holds at all times at once.

An ordinary 95 % interval that is looked at sixty times is wrong somewhere in far more than 5 % of the cases. This one
is an asymptotic confidence sequence (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas 2021, a normal mixture after
Robbins 1970) over contributions of requests (estimators.contributions), paired differences among them. Its state is
five numbers, so that a daily flow can keep it and add the newest day.

>>> day = np.array([0.0, 1.0] * 200)
>>> state = Sequence(expected=2000).add(day).add(day)
>>> [round(float(bound), 3) for bound in state.interval()]
[0.445, 0.555]
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from msgspec import Struct, structs

from fairlead.errors import EvidenceError
from fairlead.evaluation.intervals import Vector

__all__ = ["LEAST", "Sequence"]

LEAST: Final = 200  # requests before the first look: the sequence is asymptotic, as every interval here is


class Sequence(Struct, frozen=True, kw_only=True):
    """What is known of a mean so far, and a confidence sequence for it at the level 1 - `alpha`.

    `expected` is the number of requests at which it is to be narrowest; before and after it is wider, and still right.
    """

    expected: int
    alpha: float = 0.05
    n: int = 0
    mean: float = 0.0
    squares: float = 0.0  # sum of squared distances from the mean

    def __post_init__(self) -> None:
        if not (0 < self.alpha < 1 and self.expected > 0):
            raise EvidenceError(f"a sequence needs an alpha in (0, 1) and a number of requests, not {self}")

    def add(self, contributions: Vector) -> Sequence:
        """Give the state after some more requests (m,)."""
        if not len(contributions):
            return self
        if not np.isfinite(contributions).all():
            raise EvidenceError("a contribution is missing or infinite; leave such requests out and count them")
        own = float(contributions.mean())
        return self.merge(len(contributions), own, float(np.square(contributions - own).sum()))

    def merge(self, n: int, mean: float, squares: float) -> Sequence:
        """Give the state after `n` more requests of which only the mean and the sum of squares around it are known."""
        total, gap = self.n + n, mean - self.mean
        return structs.replace(
            self,
            n=total,
            mean=self.mean + gap * n / total,
            squares=self.squares + squares + gap * gap * self.n * n / total,
        )

    def interval(self) -> tuple[float, float]:
        """Give the bounds as of now; infinite before the first 200 requests."""
        if self.n < LEAST:
            return -math.inf, math.inf
        half = math.sqrt(self.squares / (self.n - 1)) * self._boundary()
        return self.mean - half, self.mean + half

    def _boundary(self) -> float:
        """Half-width in standard deviations; the mixture's variance is the one that is best at `expected`."""
        wanted = -2 * math.log(self.alpha)
        rho2 = (wanted + math.log(wanted + 1)) / self.expected
        grown = self.n * rho2 + 1
        return math.sqrt(2 * grown / (self.n**2 * rho2) * math.log(math.sqrt(grown) / self.alpha))
