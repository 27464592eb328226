"""What the API takes and gives: strict, bounded, and the one place where a field is declared.

An unknown field, a wrong type or a number out of range is refused; see `refusals` for how. Texts are read for their
features and then forgotten.
"""

from __future__ import annotations

import itertools
import os
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct, field

from fairlead.scoring.decision import Decision, Kind, Ranked
from fairlead.scoring.outcome import Outcome
from fairlead.scoring.request import Request

__all__ = [
    "MOST",
    "Answer",
    "Answers",
    "Ask",
    "Asks",
    "Code",
    "Endpoints",
    "InUse",
    "Opinion",
    "Promotion",
    "Reason",
    "State",
    "Swapped",
    "Taken",
    "Token",
    "Told",
]

MOST: Final = 256  # requests in a batch

# An id has to be new and nothing else: the process draws once, and counts from there.
_START: Final = os.urandom(12).hex() + "-"
_NUMBER: Final = itertools.count(1)

Name = Annotated[str, Meta(min_length=1, max_length=256)]
Names = Annotated[tuple[Name, ...], Meta(max_length=64)]
Count = Annotated[int, Meta(ge=0, le=1_000_000_000)]
Seconds = Annotated[float, Meta(ge=0, le=10_000_000)]
Share = Annotated[float, Meta(ge=0, le=1)]
Finite = Annotated[float, Meta(ge=-1e300, le=1e300)]
Tag = Annotated[str, Meta(max_length=256)] | Annotated[int, Meta(ge=-(2**53), le=2**53)] | Finite | bool | None
Want = Literal["metadata", "ranked", "reasons"]
Status = Literal["ok", "error", "cancelled", "blocked"]
ErrorClass = Literal[
    "rate_limit",
    "timeout",
    "server",
    "auth",
    "invalid_request",
    "context_length",
    "content_filter",
    "budget",
    "network",
    "cancelled",
    "other",
]


class Ask(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One request to decide. Everything may be left out; `route`, `team` and the counts help most.

    `chosen` is the endpoint that the gateway takes by itself, for shadow mode. `want` asks for more than the choice:
    what to write into the gateway's log (LiteLLM: `metadata.spend_logs_metadata`), predictions, reasons in words.
    """

    id: Name = field(default_factory=lambda: f"{_START}{next(_NUMBER):x}")
    text: Annotated[str, Meta(max_length=16_777_216)] = ""
    route: Name | None = None
    team: Name | None = None
    tools: Count | None = None
    toolset: Name | None = None
    response_format: Name | None = None
    images: Count | None = None
    turn: Count | None = None
    input_tokens: Count | None = None
    tags: Annotated[dict[Name, Tag], Meta(max_length=64)] = field(default_factory=dict)
    embedding: Annotated[tuple[Finite, ...], Meta(max_length=4096)] | None = None
    conversation: Name | None = None
    max_tokens: Count | None = None
    at: Annotated[float, Meta(ge=0, le=1e11)] | None = None
    needs: Names = ()
    endpoints: Names | None = None
    providers: Names | None = None
    regions: Names | None = None
    chosen: Name | None = None
    want: Annotated[tuple[Want, ...], Meta(max_length=8)] = ()


class Asks(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Several requests to decide at once."""

    requests: Annotated[list[Ask], Meta(min_length=1, max_length=MOST)]


class Answer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which endpoint to take, and with which probability. Write both and `id` (as decision_id) into the gateway's log.

    `kind` is "policy" for an ordinary choice; "last_resort" where nothing was eligible or deciding failed; with
    "no_eligible" and "failed" there is no endpoint, and the gateway does what it would have done alone. In shadow mode
    `endpoint` is what the gateway said it takes, and `would` is what fairlead would have taken.
    """

    id: str
    request_id: str
    endpoint: str | None
    propensity: float
    policy: str
    policy_version: str
    kind: Kind
    is_exploration: bool
    decided_us: float
    would: str | None = None
    metadata: dict[str, Any] | None = None
    ranked: tuple[Ranked, ...] | None = None
    reasons: tuple[str, ...] | None = None

    @classmethod
    def of(cls, decision: Decision, ask: Request, shadow: bool = False) -> Answer:
        """Give a decision as it is answered."""
        want: tuple[str, ...] = getattr(ask, "want", ())
        endpoint = decision.endpoint
        return cls(
            id=decision.id,
            request_id=decision.request_id,
            endpoint=getattr(ask, "chosen", None) if shadow else endpoint,
            propensity=decision.propensity,
            policy=decision.policy,
            policy_version=f"{decision.snapshot_version}+{decision.snapshot_sha256[:16]}",
            kind=decision.kind,
            is_exploration=decision.is_exploration,
            decided_us=decision.decided_us,
            would=endpoint if shadow else None,
            metadata=decision.metadata() if "metadata" in want else None,
            ranked=decision.ranked if "ranked" in want else None,
            reasons=decision.reasons if "reasons" in want else None,
        )


class Answers(Struct, frozen=True, kw_only=True):
    """A decision for each request, in their order."""

    decisions: list[Answer]


class Told(Outcome, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one attempt ended; say it at once, and again with `quality` (0 to 1) when that is known."""

    endpoint: Name
    request_id: Name | None = None
    status: Status = "ok"
    error_class: ErrorClass | None = None
    duration_s: Seconds | None = None
    time_to_first_chunk_s: Seconds | None = None
    input_tokens: Count | None = None
    output_tokens: Count | None = None
    cached_tokens: Count | None = None
    cost_usd: Annotated[float, Meta(ge=0, le=1_000_000)] | None = None
    quality: Share | None = None
    retry_after_s: Seconds | None = None
    headroom: Share | None = None


class Opinion(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something said of a request's quality: a thumb, a score, a judge, a test. Kept for `fairlead ingest`.

    A flag or a number goes into `score` (with `scale_min` and `scale_max` where it has a scale), a word into `label`.
    """

    target_id: Name
    target_kind: Literal["attempt", "request", "trace", "conversation", "response"] = "request"
    name: Name = "feedback"
    score: bool | Finite | None = None
    label: Name | None = None
    scale_min: Finite | None = None
    scale_max: Finite | None = None
    evaluator_kind: Literal["human", "llm", "code", "implicit"] = "human"
    evaluator_model: Name | None = None
    tags: Annotated[dict[Name, Annotated[str, Meta(max_length=256)]], Meta(max_length=64)] = field(default_factory=dict)


class Taken(Struct, frozen=True, kw_only=True):
    """What was sent was taken in; `id` names it where it can be asked for."""

    taken: int = 1
    id: str | None = None


class State(Struct, frozen=True, kw_only=True):
    """One endpoint now: what is known of it, and what is seen of it live; null where nothing is known."""

    endpoint: str
    provider: str
    model: str
    region: str | None
    context_window: int | None
    available: bool
    admitted: float
    returns_in_s: float
    in_flight: float
    latency_s: float | None
    error_share: float
    headroom: float
    turns: float


class Endpoints(Struct, frozen=True, kw_only=True):
    """The endpoints of the snapshot in use."""

    endpoints: list[State]


class InUse(Struct, frozen=True, kw_only=True):
    """What decides now, and what is wrong with it."""

    version: int
    sha256: str
    created_at: str
    policy: str
    parameters: dict[str, Any]
    endpoints: int
    shadow: bool
    refused: str | None
    faults: int


class Code(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A one-time code of an authenticator, for one dangerous action."""

    action: Literal["promote", "rollback"]
    code: Annotated[str, Meta(pattern="^[0-9]{6}$")]


class Token(Struct, frozen=True, kw_only=True):
    """What to send as X-Fairlead-Step-Up with that action."""

    token: str
    expires_in_s: float


class Promotion(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which candidate is meant: how its SHA-256 begins, as the ruling names it."""

    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{8,64}$")]


class Reason(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why it is done, for the audit log."""

    reason: Annotated[str, Meta(min_length=1, max_length=500)]


class Swapped(Struct, frozen=True, kw_only=True):
    """What is in use from now on; workers take it within about a second."""

    version: int
    sha256: str
