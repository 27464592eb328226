"""Counts that forget: what was counted weighs e times less after each time constant."""

from __future__ import annotations

from math import exp

__all__ = ["Decayed"]


class Decayed:
    """Two counts side by side that decay together: errors and calls, or requests and tokens.

    A steady stream of `r` a second settles at `r * decay_s`, so with a time constant of 60 s the count estimates what
    came in the last minute. Counts of several workers may be added up.

    >>> counts = Decayed(decay_s=10)
    >>> counts.add(1, 1, now=0)
    >>> counts.add(0, 1, now=0)
    >>> counts.at(0)
    (1.0, 2.0)
    >>> [round(count, 2) for count in counts.at(10)]
    [0.37, 0.74]
    """

    __slots__ = ("decay_s", "first", "second", "seen_at")

    def __init__(self, decay_s: float) -> None:
        self.decay_s = decay_s
        self.first = self.second = 0.0
        self.seen_at = 0.0

    def add(self, first: float, second: float, now: float) -> None:
        """Count something that happens now; a negative amount takes back, never below zero."""
        kept_first, kept_second = self.at(now)
        self.first, self.second = max(0.0, kept_first + first), max(0.0, kept_second + second)
        self.seen_at = max(now, self.seen_at)

    def at(self, now: float) -> tuple[float, float]:
        """Give both counts as they are now."""
        kept = exp(min(0.0, self.seen_at - now) / self.decay_s)
        return self.first * kept, self.second * kept
