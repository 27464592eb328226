"""How much of an endpoint's rate limit is left: what its answers say, and what we count ourselves."""

from __future__ import annotations

from math import isfinite

from fairlead.scoring.live.decayed import Decayed
from fairlead.scoring.live.settings import Limit

__all__ = ["Headroom", "left"]

MINUTE_S = 60.0


class Headroom:
    """The share of the rate limit that is left, from the headers of answers and from our own count.

    Providers refill a limit continuously, so what a header said comes back to 1 over a minute without news. Our own
    count is of the requests and tokens of the last minute, and is all there is where no header comes.

    >>> headroom = Headroom()
    >>> headroom.report(0.25, now=0)
    >>> headroom.reported(0), headroom.reported(30), headroom.reported(60)
    (0.25, 0.75, 1.0)
    """

    __slots__ = ("said", "said_at", "used")

    def __init__(self) -> None:
        self.said, self.said_at = 1.0, 0.0
        self.used = Decayed(MINUTE_S)  # requests, tokens

    def report(self, share: float, now: float) -> None:
        """Take in the share that an answer's headers said is left."""
        if isfinite(share):
            self.said, self.said_at = min(1.0, max(0.0, share)), now

    def reported(self, now: float) -> float:
        """Give what the last header said, refilled since."""
        return min(1.0, self.said + max(0.0, now - self.said_at) / MINUTE_S)


def left(limit: Limit | None, requests: float, tokens: float) -> float:
    """Give the share of a limit that is left after what the last minute used; 1 without a limit.

    >>> left(Limit(requests_per_minute=100, tokens_per_minute=1000), requests=20, tokens=750)
    0.25
    """
    if limit is None:
        return 1.0
    used = 0.0
    if limit.requests_per_minute is not None:
        used = requests / limit.requests_per_minute
    if limit.tokens_per_minute is not None:
        used = max(used, tokens / limit.tokens_per_minute)
    return max(0.0, 1.0 - used) if used < 1 else 0.0
