"""The rules that choose. One small class a file; every policy is a function from predictions to probabilities.

A policy never draws: it says with which probability it would choose each endpoint, and the router draws from that.
So the propensity of a decision is exact, and a replay of past traffic values the very object that decides online.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol, runtime_checkable

import numpy as np

from fairlead.errors import UsageError
from fairlead.scoring.outcome import Reward
from fairlead.scoring.policies.adaptive import Adaptive
from fairlead.scoring.policies.intelligent import Intelligent
from fairlead.scoring.policies.least_connections import LeastConnections
from fairlead.scoring.policies.response_time import ResponseTime
from fairlead.scoring.policies.round_robin import RoundRobin
from fairlead.scoring.policies.weighted import Weighted
from fairlead.scoring.predict import Candidates

__all__ = [
    "POLICIES",
    "Adaptive",
    "Intelligent",
    "Learner",
    "LeastConnections",
    "Policy",
    "ResponseTime",
    "RoundRobin",
    "Weighted",
    "make",
]


class Policy(Protocol):
    """What the router and the judge need of a policy."""

    name: str

    def probabilities(self, candidates: Candidates) -> np.ndarray[Any, Any]:
        """Give the probability of each endpoint: (..., K), rows sum to one, zero where not eligible."""
        ...

    def explain(self, candidates: Candidates) -> list[str]:
        """Say in words, for one request, what the choice rests on."""
        ...

    def scores(self, candidates: Candidates) -> np.ndarray[Any, Any]:
        """Give the number that endpoints are ranked by, higher first: (..., K)."""
        ...


@runtime_checkable
class Learner(Protocol):
    """A policy that learns from what became of its decisions."""

    def learn(self, reward: Reward) -> None:
        """Take in one outcome, whenever it comes; from any thread."""
        ...


POLICIES: Final[dict[str, Callable[..., Policy]]] = {
    "round_robin": RoundRobin,
    "weighted": Weighted,
    "least_connections": LeastConnections,
    "response_time": ResponseTime,
    "intelligent": Intelligent,
    "adaptive": Adaptive,
}


def make(name: str, parameters: Mapping[str, Any] | None = None) -> Policy:
    """Build a policy by name; UsageError for a name or parameter that does not exist."""
    if name not in POLICIES:
        raise UsageError(f"no policy named {name!r}; there are {', '.join(sorted(POLICIES))}")
    try:
        return POLICIES[name](**dict(parameters or {}))
    except (TypeError, ValueError, OverflowError) as fault:
        raise UsageError(f"policy {name}: {fault}") from fault
