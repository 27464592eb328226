"""The quicker of two drawn at random: peak-EWMA latency and power of two choices."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from fairlead.scoring.policies import checks
from fairlead.scoring.policies.live import slow_start, with_headroom
from fairlead.scoring.predict import Candidates

__all__ = ["ResponseTime"]

Array = np.ndarray[Any, Any]
_SMALL: Final = 1 << 16  # comparisons that may be held at once


class ResponseTime:
    """Draw two endpoints and choose the one whose observed latency x (calls in flight + 1) is lower.

    This is the rule of Finagle's load balancer (peak-EWMA) with the power of two choices (Mitzenmacher 2001): it does
    not herd towards one endpoint, and needs only the latency that was seen. The two draws are summed over, not made:
    with m endpoints, one that beats w of them and ties with t has the probability (w + t / 2) / (m (m - 1) / 2), so
    all but the worst have a positive, exact propensity. Where no latency was seen the predicted one is taken, where
    none was predicted the median of the others. `headroom`: endpoints with less than this share of their rate limit
    left are left out while others are there.

    >>> one = np.ones(3)
    >>> candidates = Candidates(endpoints=("a", "b", "c"), quality=one, quality_low=one, cost_usd=one,
    ...                         cost_p90_usd=one, latency_s=np.array([1.0, 2.0, 3.0]), latency_p90_s=one,
    ...                         eligible=one > 0)
    >>> ResponseTime().probabilities(candidates).round(3).tolist()
    [0.667, 0.333, 0.0]
    """

    name = "response_time"

    def __init__(self, headroom: float = 0.0) -> None:
        self.headroom = checks.share(self.name, "headroom", headroom)

    def __repr__(self) -> str:
        return f"ResponseTime(headroom={self.headroom!r})"

    def scores(self, candidates: Candidates) -> Array:
        """Give minus the expected wait in seconds: (..., K)."""
        view, predicted = candidates.view, candidates.latency_s
        seen = predicted if view is None else np.where(np.isfinite(view.latency_s), view.latency_s, predicted)
        seconds = _completed(seen, candidates.eligible)
        waiting = 0.0 if view is None else np.maximum(np.nan_to_num(view.in_flight), 0.0)
        score: Array = -np.maximum(seconds, 0.0) * (waiting + 1.0)
        return score

    def probabilities(self, candidates: Candidates) -> Array:
        """Give the chance that each endpoint is drawn and is the quicker of the two: (..., K)."""
        wait = -self.scores(candidates)
        allowed = with_headroom(candidates.eligible, candidates.view, self.headroom)
        return slow_start(lambda among: _two_choices(wait, among), allowed, candidates.view)

    def explain(self, candidates: Candidates) -> list[str]:
        """Say what the choice rests on."""
        seen = "predicted latency" if candidates.view is None else "observed latency x (calls in flight + 1)"
        return [f"the quicker of two endpoints drawn at random, by {seen}"]


def _completed(seconds: Array, eligible: Array) -> Array:
    """Fill what is not known with the median of the eligible known ones; 1 where nothing is known."""
    absent = ~np.isfinite(seconds)
    if not absent.any():
        return seconds
    known = np.where(eligible & ~absent, seconds, np.inf)
    count = np.isfinite(known).sum(axis=-1, keepdims=True)
    middle = np.take_along_axis(np.sort(known, axis=-1), np.maximum(count - 1, 0) // 2, axis=-1)
    return np.where(absent, np.where(count > 0, middle, 1.0), seconds)


def _two_choices(wait: Array, allowed: Array) -> Array:
    count = allowed.sum(axis=-1, keepdims=True)
    if wait.size * wait.shape[-1] <= _SMALL:
        mine, rivals = wait[..., :, None], np.where(allowed, wait, -np.inf)[..., None, :]
        beaten = (mine < rivals).sum(axis=-1) + 0.5 * (mine == rivals).sum(axis=-1)
    else:
        beaten = np.zeros(wait.shape)
        for other in range(wait.shape[-1]):  # K passes over (n, K), so that no (n, K, K) is held
            rival = wait[..., other : other + 1]
            beaten += np.where(allowed[..., other : other + 1], (wait < rival) + 0.5 * (wait == rival), 0.0)
    pairs = np.maximum(count * (count - 1) / 2.0, 1.0)
    # Each endpoint also tied with itself; one that is alone is chosen.
    shares: Array = np.where(count > 1, (beaten - 0.5) / pairs, 1.0)
    return np.where(allowed, shares, 0.0)
