"""Everything known of one endpoint, and the column of the view that it comes to."""

from __future__ import annotations

from collections.abc import Collection
from math import isfinite, isnan
from typing import Final

from fairlead.scoring.live.blame import blame
from fairlead.scoring.live.calls import Call, Calls
from fairlead.scoring.live.decayed import Decayed
from fairlead.scoring.live.headroom import Headroom, left
from fairlead.scoring.live.health import Health, Verdict
from fairlead.scoring.live.latency import PeakEwma
from fairlead.scoring.live.peers import Others
from fairlead.scoring.live.settings import Settings
from fairlead.scoring.outcome import Outcome

__all__ = ["COLUMN", "Endpoint"]

# What `column` gives, in this order: fields of the view.
COLUMN: Final = (
    "in_flight",
    "latency_s",
    "error_share",
    "headroom",
    "turns",
    "available",
    "admitted",
    "returns_in_s",
)


class Endpoint:
    """The state of one endpoint as this worker sees it."""

    __slots__ = ("_settings", "calls", "errors", "headroom", "health", "latency", "limit", "name", "turns")

    def __init__(self, name: str, settings: Settings) -> None:
        self.name, self._settings = name, settings
        self.limit = settings.limits.get(name)
        self.latency = PeakEwma(settings.decay_s)
        self.errors = Decayed(settings.decay_s)  # failures, calls
        self.headroom = Headroom()
        self.health = Health(name, settings)
        self.calls = Calls(settings.call_max_s, settings.calls_max)
        self.turns = 0

    def begin(self, request_id: str | None, call: Call) -> None:
        """Take in that a call was sent here."""
        now = call.begun_at
        self.turns += 1
        self.calls.begin(request_id, call)
        self.health.begun(now)
        if self.limit is not None:  # nobody asks for the count where there is none to compare it with
            self.headroom.used.add(1, call.tokens, now)

    def end(self, outcome: Outcome, now: float) -> tuple[Call | None, bool]:
        """Take in how a call ended; give the call, None where it began elsewhere, and whether it was news."""
        call = self.calls.end(outcome.request_id)
        if call is None and outcome.quality is not None:
            return None, False  # the same outcome once more, now with its quality
        taken_s = _seconds(outcome.duration_s)
        begun_at = call.begun_at if call is not None else now - (taken_s or 0.0)
        if taken_s is None and call is not None:
            taken_s = max(0.0, now - call.begun_at)
        verdict = blame(outcome)
        if verdict == "success":
            self.errors.add(0, 1, now)
            if taken_s is not None:
                self.latency.observe(taken_s, now)
        elif verdict == "failure":
            self.errors.add(1, 1, now)
            self.latency.observe(max(taken_s or 0.0, self._settings.error_latency_s), now)
        if outcome.headroom is not None:
            self.headroom.report(outcome.headroom, now)
        elif verdict == "limited":
            self.headroom.report(0.0, now)
        self._count_tokens(outcome, call, now)
        self.health.ended(verdict, begun_at, now, outcome.retry_after_s)
        return call, True

    def catch_up(self, verdict: Verdict, ended: Collection[int], now: float) -> None:
        """Take over what other workers found, and drop the calls that ended there or must be lost."""
        self.health.adopt(verdict)
        self.calls.drop(now)
        if ended:
            for call in self.calls.end_marked(ended):
                self.headroom.used.add(-1, -call.tokens, now)  # the other worker has counted it

    def column(self, now: float, others: Others) -> tuple[float, ...]:
        """Give this endpoint's values of the view, the other workers' share included."""
        failed, calls = self.errors.at(now)
        failed, calls = failed + others.failed, calls + others.calls
        latency_s = self.latency.at(now)
        if isnan(latency_s) or latency_s < others.latency_s:
            latency_s = others.latency_s
        requests, tokens = self.headroom.used.at(now)
        headroom = min(
            self.headroom.reported(now),
            others.headroom,
            left(self.limit, requests + others.requests, tokens + others.tokens),
        )
        health = self.health
        waits = now < others.wait_until or (others.probing and health.verdict.ejected)
        usable = not waits and health.available(now)
        returns_in_s = 0.0 if usable else max(0.0, max(health.returns_at(), others.wait_until) - now)
        return (
            len(self.calls) + others.in_flight,
            latency_s,
            min(1.0, failed / calls) if calls > 1e-9 else 0.0,
            headroom,
            self.turns + others.turns,
            usable,
            health.admitted(now),
            returns_in_s,
        )

    def row(self, now: float) -> tuple[float, ...]:
        """Give what other workers are told of this endpoint, in the order of `wire.Row`."""
        latency, errors, headroom, health = self.latency, self.errors, self.headroom, self.health
        verdict = health.verdict
        return (
            len(self.calls),
            self.turns,
            latency.value_s,
            latency.seen_at,
            errors.first,
            errors.second,
            errors.seen_at,
            headroom.used.first,
            headroom.used.second,
            headroom.used.seen_at,
            headroom.said,
            headroom.said_at,
            health.wait_until,
            health.probing(now),
            verdict.id,
            verdict.at,
            verdict.ejected,
            verdict.until,
            verdict.times,
        )

    def _count_tokens(self, outcome: Outcome, call: Call | None, now: float) -> None:
        if self.limit is None:
            return
        used = (outcome.input_tokens or 0) + (outcome.output_tokens or 0)
        if call is None:
            self.headroom.used.add(1, used, now)
        elif used:
            self.headroom.used.add(0, used - call.tokens, now)


def _seconds(value: float | None) -> float | None:
    return value if value is not None and isfinite(value) and value >= 0 else None
