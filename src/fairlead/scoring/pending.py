"""What was expected of decisions whose outcomes are still to come, for policies that learn."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from msgspec import Struct

from fairlead.scoring.decision import Decision
from fairlead.scoring.outcome import Outcome, Reward

__all__ = ["Pending"]


class _Expected(Struct):
    endpoint: str
    route: str | None
    propensity: float
    quality: float | None
    cost_usd: float | None
    latency_s: float | None
    at: float
    ended: bool = False  # cost and latency were told; only its quality is news


class Pending:
    """Remembers the newest `most` decisions by their request; safe to use from any thread."""

    def __init__(self, most: int = 20_000, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._clock = most, clock
        self._waiting: OrderedDict[str, _Expected] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._waiting)

    def note(self, decision: Decision, route: str | None) -> None:
        """Remember what a decision expected of the endpoint it chose."""
        if decision.endpoint is None:
            return
        seen, place = decision.candidates, decision.candidates.endpoints.index(decision.endpoint)
        expected = _Expected(
            endpoint=decision.endpoint,
            route=route,
            propensity=decision.propensity,
            quality=_known(seen.quality[0, place]),
            cost_usd=_known(seen.cost_usd[0, place]),
            latency_s=_known(seen.latency_s[0, place]),
            at=self._clock(),
        )
        with self._lock:
            self._waiting[decision.request_id] = expected
            if len(self._waiting) > self._most:
                self._waiting.popitem(last=False)

    def reward(self, outcome: Outcome) -> Reward | None:
        """Give what an outcome teaches; None where its decision is not known, or all it says was told before.

        An outcome may come twice, the second time with the quality. A fallback of the gateway's own, at another
        endpoint than the decision's, teaches nothing of that one.
        """
        if outcome.request_id is None:
            return None
        with self._lock:
            known = self._waiting.get(outcome.request_id)
            if known is None or known.endpoint != outcome.endpoint or (known.ended and outcome.quality is None):
                return None
            first, known.ended = not known.ended, True
            if outcome.quality is not None:
                del self._waiting[outcome.request_id]
        return Reward(
            endpoint=known.endpoint,
            route=known.route,
            propensity=known.propensity,
            expected_quality=known.quality,
            expected_cost_usd=known.cost_usd,
            expected_latency_s=known.latency_s,
            quality=outcome.quality,
            cost_usd=outcome.cost_usd if first else None,
            latency_s=outcome.duration_s if first and outcome.status == "ok" else None,
            failed=first and outcome.status == "error",
            waited_s=self._clock() - known.at,
        )


def _known(value: float) -> float | None:
    number = float(value)
    return None if number != number else number  # noqa: PLR0124  NaN
