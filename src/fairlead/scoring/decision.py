"""What a decision says: which endpoint, with which probability, and on request why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec
import numpy as np
from msgspec import Struct

from fairlead.scoring.predict import Candidates

__all__ = ["Decision", "Detail", "Kind", "Ranked", "rank"]

# policy: as the policy chose. last_resort: nothing was eligible, or deciding failed, and a last resort is named.
# no_eligible: nothing was eligible, and none is named. failed: deciding failed, and none is named.
Kind = Literal["policy", "last_resort", "no_eligible", "failed"]


class Ranked(Struct, frozen=True, kw_only=True):
    """One endpoint as a decision saw it; null where nothing is known."""

    endpoint: str
    propensity: float
    score: float
    quality: float | None
    quality_low: float | None
    cost_usd: float | None
    cost_p90_usd: float | None
    latency_s: float | None
    latency_p90_s: float | None


Why = tuple[tuple[Ranked, ...], tuple[str, ...]]


class Detail(Struct, frozen=True, kw_only=True):
    """A decision with everything that it rests on, as data."""

    id: str
    request_id: str
    endpoint: str | None
    propensity: float
    policy: str
    kind: Kind
    snapshot_version: int
    snapshot_sha256: str
    ranked: tuple[Ranked, ...]
    reasons: tuple[str, ...]
    decided_us: float


class Decision(Struct, kw_only=True, eq=False):
    """Which endpoint, and with which probability. Echo `id` and `propensity` into the gateway's log.

    `endpoint` is None where `kind` is "no_eligible" or "failed": the gateway then does what it would have done alone.
    `ranked` and `reasons` are worked out when they are asked for, so that a decision does not wait for them.
    """

    id: str
    request_id: str
    endpoint: str | None
    propensity: float
    policy: str
    kind: Kind
    snapshot_version: int
    snapshot_sha256: str
    candidates: Candidates
    chances: list[float]
    why: Callable[[], Why]
    decided_us: float = 0.0
    explained: Why | None = None

    def __repr__(self) -> str:
        return f"Decision({self.endpoint!r}, propensity={self.propensity:.4g}, kind={self.kind!r}, id={self.id!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Decision) and self.detail() == other.detail()

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def ranked(self) -> tuple[Ranked, ...]:
        """Every eligible endpoint, the likeliest first."""
        return self._explain()[0]

    @property
    def reasons(self) -> tuple[str, ...]:
        """What the choice rests on, in words."""
        return self._explain()[1]

    @property
    def is_exploration(self) -> bool:
        """Whether a likelier endpoint was there."""
        return self.kind == "policy" and self.propensity < max(self.chances)

    def metadata(self) -> dict[str, Any]:
        """Give what a gateway should write into its own log (LiteLLM: `metadata.spend_logs_metadata`)."""
        return {
            "decision_id": self.id,
            "request_id": self.request_id,
            "propensity": self.propensity,
            "policy_id": self.policy,
            # Versions are counted in a folder; the digest says which snapshot of that number it was.
            "policy_version": f"{self.snapshot_version}+{self.snapshot_sha256[:16]}",
            "is_exploration": self.is_exploration,
            "candidates": [
                {"arm": name, "propensity": chance}
                for name, chance, eligible in zip(
                    self.candidates.endpoints, self.chances, self.candidates.eligible[0].tolist(), strict=True
                )
                if eligible
            ],
        }

    def detail(self) -> Detail:
        """Give the decision as data."""
        names = [name for name in Detail.__struct_fields__ if name not in ("ranked", "reasons")]
        return Detail(**{name: getattr(self, name) for name in names}, ranked=self.ranked, reasons=self.reasons)

    def to_json(self) -> str:
        """Give the decision as JSON."""
        return msgspec.json.encode(self.detail()).decode()

    def _explain(self) -> Why:
        if self.explained is None:
            self.explained = self.why()
        return self.explained


def rank(candidates: Candidates, chances: np.ndarray[Any, Any], scores: np.ndarray[Any, Any]) -> tuple[Ranked, ...]:
    """Put the eligible endpoints of the first request in order: by probability, then by score, then by name."""
    order = sorted(
        np.flatnonzero(candidates.eligible[0]).tolist(),
        key=lambda k: (-chances[k], -scores[k], candidates.endpoints[k]),
    )
    return tuple(_ranked(candidates, index, float(chances[index]), float(scores[index])) for index in order)


def _ranked(candidates: Candidates, index: int, chance: float, score: float) -> Ranked:
    numbers = {
        name: (None if np.isnan(value) else float(value))
        for name in ("quality", "quality_low", "cost_usd", "cost_p90_usd", "latency_s", "latency_p90_s")
        for value in (getattr(candidates, name)[0, index],)
    }
    return Ranked(endpoint=candidates.endpoints[index], propensity=chance, score=score, **numbers)
