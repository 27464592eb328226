"""What became of a decision: what live state and learning policies are told."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

__all__ = ["Outcome", "Reward"]


class Outcome(Struct, frozen=True, kw_only=True):
    """How one attempt at one endpoint ended. Say it at once, and again with `quality` when that is known.

    `retry_after_s` is what a 429 or 503 asked for; `headroom` the share of the rate limit that the answer's headers
    say is left (0 to 1); `cached_tokens` how much of the prompt the provider had cached.
    """

    endpoint: str
    request_id: str | None = None
    status: Literal["ok", "error", "cancelled", "blocked"] = "ok"
    error_class: str | None = None  # one of schema.ERROR_CLASSES
    duration_s: float | None = None
    time_to_first_chunk_s: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    cost_usd: float | None = None
    quality: float | None = None  # 0 to 1
    retry_after_s: float | None = None
    headroom: float | None = None


class Reward(Struct, frozen=True, kw_only=True):
    """What a learning policy is told of one decision once its outcome is known: what was expected, what came."""

    endpoint: str
    route: str | None
    propensity: float
    expected_quality: float | None
    expected_cost_usd: float | None
    expected_latency_s: float | None
    quality: float | None = None
    cost_usd: float | None = None
    latency_s: float | None = None
    failed: bool = False
    waited_s: float = 0.0  # between the decision and this reward
