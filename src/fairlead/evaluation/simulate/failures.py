"""What goes wrong on the way: rate limits, server errors, time-outs and outages, retried and then sent elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fairlead.evaluation.simulate.timeline import Outage
from fairlead.evaluation.simulate.traffic import Marginals, draw
from fairlead.evaluation.simulate.world import Floats, Integers

__all__ = ["FAILURES", "Attempts", "Failure", "Faults", "faults", "play"]


@dataclass(frozen=True, slots=True)
class Failure:
    """A way to fail, as LiteLLM words it."""

    code: str
    kind: str
    message: str
    normalized: str
    category: str | None = None


FAILURES: Final = (
    Failure("429", "RateLimitError", "rate limit reached", "429_RATE_LIMIT_EXCEEDED", "vendor_rate_limit"),
    Failure("500", "InternalServerError", "the server had an error", "500_PROVIDER_INTERNAL_ERROR"),
    Failure("408", "Timeout", "request timed out after 30 s", "408_UPSTREAM_TIMEOUT"),
)
# Shares of FAILURES; assumptions: LLMPerf and GenTD26 show shares of failure, not kinds that carry over.
_MIX: Final = (0.6, 0.3, 0.1)
_MIX_DOWN: Final = (0.05, 0.75, 0.2)
_LEAST: Final = 0.001  # no failure in a benchmark's few hundred calls is not none ever
_TIMEOUT_S: Final = 30.0
_STICKY: Final = 0.35  # chance that a retry meets what the first try met


@dataclass(frozen=True, slots=True)
class Attempts:
    """All tries of all requests, in order of request and try."""

    request: Integers
    number: Integers  # 0 the first, 1 the retry at the same endpoint, 2 the fallback
    endpoint: Integers
    start_us: Integers
    duration_s: Floats
    ttft_s: Floats
    failure: Integers  # -1 answered, else the place in FAILURES


@dataclass(frozen=True, slots=True)
class Faults:
    """How often each endpoint fails, and when it is down."""

    share: Floats
    outages: tuple[Outage, ...]

    def risk(self, endpoint: Integers, moment_us: Integers) -> Floats:
        """Give the chance that a first try fails, at these endpoints at these moments."""
        risk = self.share[endpoint]
        for one in self.outages:
            down = (moment_us >= one.begin_us) & (moment_us < one.end_us) & np.isin(endpoint, one.places)
            risk = np.where(down, np.maximum(risk, one.share), risk)
        return risk


def faults(
    providers: Sequence[str],
    start_us: Integers,
    planned: Sequence[Outage],
    marginals: Marginals,
    rng: np.random.Generator,
) -> Faults:
    """Draw how often each endpoint fails and when each provider is down, and add the outages that are planned."""
    share = np.maximum(rng.permutation(np.resize(marginals.failure_share, len(providers))), _LEAST)
    return Faults(share, (*_outages(providers, start_us, marginals, rng), *planned))


def play(
    chosen: Integers,
    start_us: Integers,
    last_token_s: Floats,
    first_token_s: Floats,
    there: NDArray[np.bool_],
    faulty: Faults,
    rng: np.random.Generator,
) -> Attempts:
    """Try each request at its endpoint, once more there when that fails, and at a fallback when that fails too."""
    rows, endpoint, moment = np.arange(len(chosen)), chosen.copy(), start_us.copy()
    parts: list[tuple[Integers, ...]] = []
    for number in range(3):
        risk = faulty.risk(endpoint, moment)
        failed = rng.random(len(rows)) < (np.maximum(risk, _STICKY) if number == 1 else risk)
        kind = np.where(failed, _kinds(risk > faulty.share[endpoint], rng), -1)
        ttft = np.where(failed, 0.0, first_token_s[rows, endpoint])
        took = np.where(failed, _wasted(kind, first_token_s[rows, endpoint], rng), last_token_s[rows, endpoint])
        parts.append((rows, np.full(len(rows), number), endpoint, moment, took, ttft, kind))
        wait = 0.5 * 2**number + 0.5 * rng.random(len(rows))  # the gateway's back-off before it tries again
        moment = (moment + np.rint((took + wait) * 1e6).astype(np.int64))[failed]
        rows, endpoint = rows[failed], endpoint[failed]
        if number == 1:
            endpoint = _next(endpoint, there[rows])
    flat = [np.concatenate(column) for column in zip(*parts, strict=True)]
    order = np.lexsort((flat[1], flat[0]))
    return Attempts(*(column[order] for column in flat))


def _next(endpoint: Integers, there: NDArray[np.bool_]) -> Integers:
    """Give the next endpoint in the list that can be called; the same where it is the only one."""
    k = there.shape[1]
    places = (endpoint[:, None] + np.arange(1, k + 1)) % k
    first = np.take_along_axis(there, places, axis=1).argmax(axis=1)
    return np.asarray(places[np.arange(len(endpoint)), first], dtype=np.int64)


def _kinds(down: NDArray[np.bool_], rng: np.random.Generator) -> Integers:
    drawn = rng.random(len(down))
    usual, broken = (np.searchsorted(np.cumsum(mix)[:-1], drawn) for mix in (_MIX, _MIX_DOWN))
    return np.asarray(np.where(down, broken, usual), dtype=np.int64)


def _wasted(kind: Integers, first_token_s: Floats, rng: np.random.Generator) -> Floats:
    refused = 0.05 + 0.3 * rng.random(len(kind))
    took = np.select([kind == 0, kind == 1], [refused, first_token_s + refused], _TIMEOUT_S + refused / 10)
    return np.asarray(np.round(took, 6), dtype=np.float64)


def _outages(
    providers: Sequence[str], start_us: Integers, marginals: Marginals, rng: np.random.Generator
) -> Iterator[Outage]:
    if not len(start_us):
        return
    first, last = int(start_us[0]), int(start_us[-1])
    days = max((last - first) / 86400e6, 1.0)
    for provider in dict.fromkeys(providers):
        places = tuple(place for place, one in enumerate(providers) if one == provider)
        for kind in marginals.outages:
            for _ in range(int(rng.poisson(kind.a_day * days))):
                begin = first + int(rng.random() * (last - first))
                minutes = float(draw(kind.minutes, rng.random(1))[0])
                yield Outage(places, begin, begin + round(minutes * 60e6), kind.share)
