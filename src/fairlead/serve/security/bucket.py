"""A token bucket: so much at once, and so much a second in the long run."""

from __future__ import annotations

import math

__all__ = ["Bucket"]


class Bucket:
    """Holds up to `burst` tokens and gains `rate_per_s`; it starts full.

    In any stretch of t seconds it gives at most burst + rate_per_s * t tokens; a clock that goes back gains nothing.

    >>> bucket = Bucket(rate_per_s=2, burst=1, now=0.0)
    >>> bucket.take(0.0), bucket.take(0.0), bucket.take(0.5)
    (0.0, 0.5, 0.0)
    """

    __slots__ = ("_at", "_burst", "_level", "_rate")

    def __init__(self, rate_per_s: float, burst: float, now: float) -> None:
        self._rate, self._burst = rate_per_s, burst
        self._level, self._at = burst, now

    def take(self, now: float) -> float:
        """Take a token; give 0.0, or the seconds after which there will be one (then none is taken)."""
        if now > self._at:
            self._level = min(self._burst, self._level + (now - self._at) * self._rate)
            self._at = now
        if self._level >= 1:
            self._level -= 1
            return 0.0
        return max((1 - self._level) / self._rate, math.ulp(1.0))

    def change(self, rate_per_s: float, burst: float) -> None:
        """Take other settings from now on; what was used stays used."""
        if (rate_per_s, burst) != (self._rate, self._burst):
            self._level = min(self._level, burst)
            self._rate, self._burst = rate_per_s, burst
