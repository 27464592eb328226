"""What fairlead would have done, beside what the gateway did."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from fairlead.scoring.decision import Decision
from fairlead.scoring.request import Request

__all__ = ["Comparison", "Shadow", "Side"]

_PAIRS: Final = 4096


class Side(Struct, frozen=True, kw_only=True):
    """What is predicted of the endpoints that one side chose, over the requests where both are known."""

    cost_usd: float
    quality: float | None
    latency_s: float | None


class Comparison(Struct, frozen=True, kw_only=True):
    """How decisions compare with what the gateway did, by prediction; what they were worth is the judge's to say.

    `compared` of `decided` requests came with the endpoint that the gateway chose. `pairs` counts (gateway's, ours).
    """

    decided: int
    compared: int
    agreed: int
    agreement_share: float | None
    gateway: Side
    fairlead: Side
    pairs: list[tuple[str, str, int]]


class _Sums:
    def __init__(self) -> None:
        self.counts, self.totals = [0, 0, 0], [0.0, 0.0, 0.0]

    def add(self, values: Sequence[float]) -> None:
        for at, value in enumerate(values):
            self.counts[at] += 1
            self.totals[at] += value

    def side(self) -> Side:
        quality, latency_s = (self.totals[at] / self.counts[at] if self.counts[at] else None for at in (1, 2))
        return Side(cost_usd=self.totals[0], quality=quality, latency_s=latency_s)


class Shadow:
    """Adds up agreement, and the predicted cost, quality and latency of both sides."""

    def __init__(self) -> None:
        self._decided = self._compared = self._agreed = 0
        self._gateway, self._own = _Sums(), _Sums()
        self._pairs: dict[tuple[str, str], int] = {}

    def compare(self, asked: Sequence[Request], decisions: Sequence[Decision]) -> tuple[int, int]:
        """Take in decisions, and what the gateway chose where requests say it; how often that was the same, and not."""
        before = self._agreed, self._compared - self._agreed
        for ask, decision in zip(asked, decisions, strict=True):
            self._decided += 1
            chosen, own = getattr(ask, "chosen", None), decision.endpoint
            if chosen is None or own is None:
                continue
            self._compared += 1
            self._agreed += chosen == own
            pair = (chosen, own)
            if pair in self._pairs or len(self._pairs) < _PAIRS:
                self._pairs[pair] = self._pairs.get(pair, 0) + 1
            self._value(decision, chosen, own)
        return self._agreed - before[0], self._compared - self._agreed - before[1]

    def result(self) -> Comparison:
        """Give the comparison so far."""
        ranked = sorted(self._pairs.items(), key=lambda one: (-one[1], one[0]))
        return Comparison(
            decided=self._decided,
            compared=self._compared,
            agreed=self._agreed,
            agreement_share=self._agreed / self._compared if self._compared else None,
            gateway=self._gateway.side(),
            fairlead=self._own.side(),
            pairs=[(chosen, own, count) for (chosen, own), count in ranked[:100]],
        )

    def _value(self, decision: Decision, chosen: str, own: str) -> None:
        seen = decision.candidates
        if chosen not in seen.endpoints or own not in seen.endpoints:
            return
        gateway, mine = (
            [float(of[0, seen.endpoints.index(name)]) for of in (seen.cost_usd, seen.quality, seen.latency_s)]
            for name in (chosen, own)
        )
        # Both sides or neither: sums over different requests could not be compared.
        if all(math.isfinite(value) for value in (*gateway, *mine)):
            self._gateway.add(gateway)
            self._own.add(mine)
