"""What is known of each endpoint at the moment of a decision, as policies see it."""

from __future__ import annotations

from typing import Any

import numpy as np
from msgspec import Struct

__all__ = ["View"]

Array = np.ndarray[Any, Any]


class View(Struct, frozen=True, kw_only=True):
    """Live state as arrays (K,), in the order of the candidates' endpoints.

    `in_flight` counts calls that have begun and not ended. `latency_s` is a peak-sensitive moving average that an error
    raises; NaN before the first observation. `error_share` is the decayed share of calls that failed. `headroom` is the
    share of the rate limit that is left, 1 where none is known. `turns` counts the decisions that chose the endpoint.
    `available` is False while an endpoint is ejected or asked us to wait. `admitted` is the share of its usual traffic
    that a returning endpoint may have, 1 for a healthy one. `returns_in_s` says when one that is not available comes
    back, as far as is known, 0 for the others. `pace` multiplies the price of money: above 1 when the budget runs
    ahead of its plan.

    >>> View.unknown(2).in_flight.tolist()
    [0.0, 0.0]
    """

    in_flight: Array
    latency_s: Array
    error_share: Array
    headroom: Array
    turns: Array
    available: Array
    admitted: Array
    returns_in_s: Array | None = None
    pace: float = 1.0

    @classmethod
    def unknown(cls, endpoints: int) -> View:
        """Give the view of a process that has just started: nothing in flight, nothing observed."""
        zeros, ones = np.zeros(endpoints), np.ones(endpoints)
        return cls(
            in_flight=zeros,
            latency_s=np.full(endpoints, np.nan),
            error_share=zeros,
            headroom=ones,
            turns=zeros,
            available=np.ones(endpoints, dtype=bool),
            admitted=ones,
            returns_in_s=zeros,
        )
