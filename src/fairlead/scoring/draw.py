"""From probabilities to one choice: which number decides, and whom it chooses."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

__all__ = ["pick", "uniform"]


def uniform(seed: int, request_id: str) -> float:
    """Give the number in [0, 1) that decides a request's draw; it depends on nothing else.

    >>> uniform(0, "r-1") == uniform(0, "r-1"), 0 <= uniform(0, "r-1") < 1
    (True, True)
    """
    digest = blake2b(f"{seed}\x1f{request_id}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / float(1 << 53)


def pick(chances: Sequence[float], order: Sequence[int], number: float) -> int:
    """Give the place that a number in [0, 1) falls on when the chances are laid end to end in this order.

    The order is that of the endpoints' names, so that their order in a snapshot does not matter. A place without a
    chance is never given, however the sum rounds.

    >>> pick([0.25, 0.0, 0.75], [0, 1, 2], 0.2), pick([0.25, 0.0, 0.75], [0, 1, 2], 0.25)
    (0, 2)
    """
    left = number * sum(chances)
    last = -1
    for place in order:
        chance = chances[place]
        if chance > 0:
            last = place
            if left < chance:
                return place
            left -= chance
    return last
