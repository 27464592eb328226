"""How slow an endpoint is right now: peak-EWMA, which jumps up at once and comes down slowly."""

from __future__ import annotations

from math import exp, nan

__all__ = ["PeakEwma"]


class PeakEwma:
    """A moving average of latency in seconds that a slow call raises at once; NaN before the first call.

    As in Finagle's `PeakEwma`: a latency above the average becomes the average; one below moves it by
    `1 - exp(-elapsed / decay_s)`. Without calls it falls towards zero, which is what brings an endpoint that nobody
    chose any more back into consideration.

    >>> latency = PeakEwma(decay_s=10)
    >>> latency.at(0)
    nan
    >>> latency.observe(1.0, now=0)
    >>> latency.observe(8.0, now=1)
    >>> latency.at(1), round(latency.at(11), 2)
    (8.0, 2.94)
    """

    __slots__ = ("decay_s", "seen_at", "value_s")

    def __init__(self, decay_s: float) -> None:
        self.decay_s = decay_s
        self.value_s = nan
        self.seen_at = 0.0

    def observe(self, latency_s: float, now: float) -> None:
        """Take in the latency of a call that ends now."""
        value = self.value_s
        if value >= latency_s:
            kept = exp(min(0.0, self.seen_at - now) / self.decay_s)
            value = value * kept + latency_s * (1 - kept)
        else:  # slower than the average, or the first
            value = latency_s
        self.value_s, self.seen_at = value, max(now, self.seen_at)

    def at(self, now: float) -> float:
        """Give the average as it is now, in seconds."""
        return self.value_s * exp(min(0.0, self.seen_at - now) / self.decay_s)
