"""Latency under load: how long an answer takes when an endpoint has others in hand, and the wait when it is full.

Each endpoint answers `slots` calls at once. A call that meets `n` others there gets its first token later and its other
tokens slower in proportion to `n`, and when all slots are taken it first waits for `n - slots + 1` of them to end, each
after an exponential time of mean (usual duration / slots): the wait of an M/M/c queue, given what it meets.

How many it meets follows the rate of the whole traffic: the hour, the day, the ten-minute window, and between these the
over-dispersion of counts in Azure's 2023 conversation trace (CC-BY 4.0: variance 4.24 times the mean in windows of ten
seconds that hold 54 requests, so a rate that is Gamma-distributed of shape 16). It does not answer to where single
requests of the log are sent, so what an endpoint would have answered is one number, whatever the policy.

The growth by call in flight compares what thefastest.ai (MIT; one call at a time) and LLMPerf's leaderboard
(Apache-2.0; five at once) measured of the same Llama 2 models at the same providers, Together and Fireworks: the time
to the first token is twice as long at the median, the tokens a second .56, over four more calls.
`benchmarks/simulator_marginals.py` computes both. They were measured months apart and at different places, so they are
an estimate, not a law.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
from msgspec import Struct

from fairlead.errors import UsageError
from fairlead.evaluation.simulate.traffic import Rhythm
from fairlead.evaluation.simulate.world import Floats, Integers

__all__ = ["TOKEN_GROWTH", "TTFT_GROWTH", "Load", "Met", "meet", "stretched"]

TTFT_GROWTH: Final = 0.25
TOKEN_GROWTH: Final = 0.20
_RATE_SHAPE: Final = 16.0


class Load(Struct, frozen=True, kw_only=True):
    """How busy the endpoints are: calls in flight at each of them on average, and how many it answers at once."""

    in_flight: float = 0.0
    slots: int = 16


class Met(NamedTuple):
    """What a request would meet at each endpoint: (requests, endpoints)."""

    in_flight: Integers
    wait_s: Floats


def meet(load: Load, moments: Integers, usual_s: Floats, rhythm: Rhythm, rng: np.random.Generator) -> Met | None:
    """Draw how many calls each request would meet at each endpoint, and how long it would wait; None without load.

    `usual_s` holds the endpoints' mean durations. Raises UsageError when the load cannot be, or exceeds the slots:
    then the queue would have no end.
    """
    if load.slots < 1 or not (math.isfinite(load.in_flight) and load.in_flight >= 0):
        raise UsageError(f"load: {load.in_flight:g} calls in flight, {load.slots} slots; give 0 or more, and 1 or more")
    if load.in_flight > load.slots:
        raise UsageError(f"load: {load.in_flight:g} calls in flight on average and {load.slots} slots; give more slots")
    if not load.in_flight:
        return None
    shape = (len(moments), len(usual_s))
    mean = load.in_flight * rhythm.at(moments)[:, None] * rng.gamma(_RATE_SHAPE, 1 / _RATE_SHAPE, shape)
    found = rng.poisson(mean)
    before = np.maximum(found - load.slots + 1, 0)
    wait = np.where(before > 0, rng.gamma(np.maximum(before, 1)) * usual_s / load.slots, 0.0)
    return Met(found, wait)


def stretched(last_s: Floats, first_s: Floats, slower: Floats, met: Met | None) -> tuple[Floats, Floats]:
    """Give the seconds to the last and first token of answers that are so many times slower and meet so many calls.

    >>> alone = np.array([[3.0]]), np.array([[1.0]])
    >>> last, first = stretched(*alone, np.array([[1.0]]), Met(np.array([[5]]), np.array([[0.5]])))
    >>> first.round(3).tolist(), last.round(3).tolist()
    ([[2.75]], [[6.75]])
    """
    if met is None and (slower == 1).all():
        return last_s, first_s
    others: Floats = np.zeros(last_s.shape) if met is None else met.in_flight.astype(np.float64)
    wait: Floats = np.zeros(last_s.shape) if met is None else met.wait_s
    first = first_s * slower * (1 + TTFT_GROWTH * others) + wait
    last = first + (last_s - first_s) * slower * (1 + TOKEN_GROWTH * others)
    return last.round(6), first.round(6)
