"""One simulated request and its tries, as every writer of a log is given them."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from fairlead.evaluation.simulate.failures import Failure
from fairlead.evaluation.simulate.world import Endpoint

__all__ = ["ALIAS", "Asked", "Call", "identifier", "iso"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
ALIAS: Final = "chat"  # what callers ask for; every endpoint is a deployment of it


@dataclass(frozen=True, slots=True)
class Asked:
    """What all tries of one request share."""

    trace_id: str  # also the request's id
    route: str
    messages: list[dict[str, str]]
    decision: dict[str, Any]
    team: str
    user: str
    end_user: str
    key_hash: str
    stream: bool

    @property
    def echoed(self) -> dict[str, Any]:
        """What the caller sends along: the request's id and the decision, without what the others could have been."""
        names = ("decision_id", "propensity", "policy_id", "policy_version", "is_exploration")
        return {"request_id": self.trace_id, **{name: self.decision[name] for name in names}}


@dataclass(frozen=True, slots=True)
class Call:
    """One try: where, when, and what came back."""

    id: str
    number: int  # 0 the first, 1 the retry, 2 the fallback
    endpoint: Endpoint
    start: float  # seconds since 1970
    first: float
    end: float
    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: float = math.nan
    failure: Failure | None = None

    @property
    def ok(self) -> bool:
        """Whether it was answered."""
        return self.failure is None

    @property
    def status(self) -> int:
        """Its HTTP status."""
        return 200 if self.failure is None else int(self.failure.code)

    @property
    def took_s(self) -> float:
        """Seconds from its start to its end."""
        return max(self.end - self.start, 0.0)

    @property
    def ttft_s(self) -> float | None:
        """Seconds to the first token of a stream; None where nothing was streamed."""
        return self.first - self.start if self.ok and self.first < self.end else None

    @property
    def cost(self) -> float:
        """What it cost in USD; 0 where it failed or has no price, as gateways write it."""
        return 0.0 if self.failure is not None or math.isnan(self.cost_usd) else self.cost_usd

    @property
    def group(self) -> str:
        """The model group that it ran under: a fallback runs under its own."""
        return f"{ALIAS}-fallback" if self.number == 2 else ALIAS


def identifier(*parts: object) -> str:
    """Give an identifier in the form of a UUID that depends on nothing but its parts.

    >>> identifier("a", 1)
    'b4feb303-ba68-481f-a514-0f67114e15e6'
    """
    digits = hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=16).hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def iso(seconds: float, digits: int = 6, between: str = "T", zone: str = "Z") -> str:
    """Write a moment in UTC, with so many digits of a second.

    >>> iso(1767225600.25), iso(1767225600.25, 3, " ", "")
    ('2026-01-01T00:00:00.250000Z', '2026-01-01 00:00:00.250')
    """
    whole = _EPOCH + timedelta(microseconds=round(seconds * 1e6))
    return f"{whole:%Y-%m-%d}{between}{whole:%H:%M:%S}.{whole.microsecond:06d}"[: 20 + digits] + zone
