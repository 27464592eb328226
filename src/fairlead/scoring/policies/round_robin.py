"""Each in its turn, in an order that is drawn anew each round."""

from __future__ import annotations

from typing import Any

import numpy as np

from fairlead.scoring.policies.live import fewest, slow_start
from fairlead.scoring.predict import Candidates

__all__ = ["RoundRobin"]

Array = np.ndarray[Any, Any]


class RoundRobin:
    """Choose among the eligible endpoints that had the fewest turns, by lot: a shuffled rotation.

    A fixed rotation would give every decision a probability of one, and its log could tell nothing about another
    policy. By lot, the order within a round is random and the propensity exact. Without live state, as in a replay,
    every eligible endpoint is as likely as another.

    >>> from fairlead.scoring.view import View
    >>> from msgspec.structs import replace
    >>> one, view = np.ones(3), View.unknown(3)
    >>> candidates = Candidates(endpoints=("a", "b", "c"), quality=one, quality_low=one, cost_usd=one,
    ...                         cost_p90_usd=one, latency_s=one, latency_p90_s=one, eligible=one > 0,
    ...                         view=replace(view, turns=np.array([4.0, 3.0, 3.0])))
    >>> RoundRobin().probabilities(candidates).tolist()
    [0.0, 0.5, 0.5]
    """

    name = "round_robin"

    def __repr__(self) -> str:
        return "RoundRobin()"

    def scores(self, candidates: Candidates) -> Array:
        """Give minus the turns that each endpoint had: (..., K)."""
        turns = 0.0 if candidates.view is None else -np.nan_to_num(candidates.view.turns)
        return np.broadcast_to(turns, candidates.eligible.shape).astype(np.float64)

    def probabilities(self, candidates: Candidates) -> Array:
        """Give even chances to the eligible endpoints of fewest turns: (..., K)."""
        turns = -self.scores(candidates)
        return slow_start(lambda allowed: fewest(turns, allowed), candidates.eligible, candidates.view)

    def explain(self, candidates: Candidates) -> list[str]:
        """Say whose turn it is."""
        if candidates.view is None:
            return ["no live state: every eligible endpoint is as likely as another"]
        return ["one of the eligible endpoints that had the fewest turns, by lot; the request is not looked at"]
