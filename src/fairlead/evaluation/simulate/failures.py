"""What goes wrong on the way: rate limits, server errors, time-outs and outages, retried and then sent elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fairlead.evaluation.simulate.traffic import Marginals
from fairlead.evaluation.simulate.world import Floats, Integers

__all__ = ["FAILURES", "Attempts", "Failure", "play"]


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
_MIX: Final = (0.6, 0.3, 0.1)  # an assumption: LLMPerf and GenTD26 show shares of failure, not kinds that carry over
_LEAST: Final = 0.001  # no failure in a benchmark's few hundred calls is not none ever
_TIMEOUT_S: Final = 30.0
_STICKY: Final = 0.35  # chance that a retry meets what the first try met
_OUTAGE: Final = 0.6  # share of calls that fail while a provider is down
# ICPE'25 status pages: 2.2 % of OpenAI's service-days have a major outage, of 35 minutes at the median.
_OUTAGES_A_DAY: Final = 0.0215
_OUTAGE_MINUTES: Final = 35.0


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


def play(
    chosen: Integers,
    start_us: Integers,
    last_token_s: Floats,
    first_token_s: Floats,
    marginals: Marginals,
    rng: np.random.Generator,
) -> Attempts:
    """Try each request at its endpoint, once more there when that fails, and at a fallback when that fails too."""
    n, k = last_token_s.shape
    share = np.maximum(rng.permutation(np.resize(marginals.failure_share, k)), _LEAST)
    down = _outages(start_us, k, rng)
    rows, endpoint, moment = np.arange(n), chosen.copy(), start_us.copy()
    parts: list[tuple[Integers, ...]] = []
    for number in range(3):
        risk = np.where(_is_down(down, endpoint, moment), _OUTAGE, share[endpoint])
        failed = rng.random(len(rows)) < (np.maximum(risk, _STICKY) if number == 1 else risk)
        kind = np.where(failed, rng.choice(len(FAILURES), len(rows), p=_MIX), -1)
        ttft = np.where(failed, 0.0, first_token_s[rows, endpoint])
        took = np.where(failed, _wasted(kind, first_token_s[rows, endpoint], rng), last_token_s[rows, endpoint])
        parts.append((rows, np.full(len(rows), number), endpoint, moment, took, ttft, kind))
        wait = 0.5 * 2**number + 0.5 * rng.random(len(rows))  # the gateway's back-off before it tries again
        moment = (moment + np.rint((took + wait) * 1e6).astype(np.int64))[failed]
        rows, endpoint = rows[failed], endpoint[failed]
        if number == 1:  # the next endpoint in the list
            endpoint = (endpoint + 1) % k
    flat = [np.concatenate(column) for column in zip(*parts, strict=True)]
    order = np.lexsort((flat[1], flat[0]))
    return Attempts(*(column[order] for column in flat))


def _wasted(kind: Integers, first_token_s: Floats, rng: np.random.Generator) -> Floats:
    refused = 0.05 + 0.3 * rng.random(len(kind))
    took = np.select([kind == 0, kind == 1], [refused, first_token_s + refused], _TIMEOUT_S + refused / 10)
    return np.asarray(np.round(took, 6), dtype=np.float64)


def _outages(start_us: Integers, k: int, rng: np.random.Generator) -> list[tuple[int, int, int]]:
    if not len(start_us):
        return []
    first, last = int(start_us[0]), int(start_us[-1])
    days = max((last - first) / 86400e6, 1.0)
    found = []
    for endpoint in range(k):
        for _ in range(int(rng.poisson(_OUTAGES_A_DAY * days))):
            begin = first + int(rng.random() * (last - first))
            minutes = _OUTAGE_MINUTES * float(np.exp(0.8 * rng.standard_normal()))
            found.append((endpoint, begin, begin + round(minutes * 60e6)))
    return found


def _is_down(outages: list[tuple[int, int, int]], endpoint: Integers, moment: Integers) -> NDArray[np.bool_]:
    down = np.zeros(len(endpoint), dtype=bool)
    for place, begin, end in outages:
        down |= (endpoint == place) & (moment >= begin) & (moment < end)
    return down
