"""What the answer of a Bedrock model says beside its text, whichever API and model it came from.

Converse answers are one object in Bedrock's own words; InvokeModel answers are in the model's, and a streamed one is
the list of its chunks, each of which says a part. Later chunks say more than earlier ones.

>>> read([{"type": "message_start", "message": {"usage": {"input_tokens": 7, "output_tokens": 1}}},
...       {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}}]).usage
{'input_tokens': 7, 'output_tokens': 5}
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from fairlead.ingest import clock, usage
from fairlead.ingest.told import as_dict

__all__ = ["Answer", "read"]

_PARTS: Final = ("message", "delta", "metadata", "messageStop")
_METRICS: Final = "amazon-bedrock-invocationMetrics"
_STOPS: Final = ("stop_reason", "stopReason", "finish_reason")
_CACHE: Final = {  # as Anthropic's usage, as Converse's, as the record beside the bodies calls it
    "cache_read_input_tokens": ("cacheReadInputTokens", "cacheReadInputTokenCount"),
    "cache_creation_input_tokens": ("cacheWriteInputTokens", "cacheWriteInputTokenCount"),
}


@dataclass(slots=True)
class Answer:
    """What an answer says of itself."""

    usage: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    own_id: Any = None
    model: Any = None
    stop: Any = None
    tier: Any = None
    intervened: bool = False

    def tokens(self, counts: dict[str, Any]) -> dict[str, Any]:
        """Give the token columns, from the answer's usage where it has one, else from the record's own counts."""
        told = self.usage
        if "prompt_tokens" in told:
            return usage.openai(told)
        if "input_tokens" in told:
            cached = {name: told.get(name, counts.get(log)) for name, (_, log) in _CACHE.items()}
            return usage.anthropic({**told, **cached})
        cached = {own: told.get(own, counts.get(log)) for own, log in _CACHE.values()}
        measured = {name: value for name, value in self.metrics.items() if name.endswith("TokenCount")}
        return usage.bedrock({**measured, **counts, **told, **cached})

    def duration_s(self) -> float | None:
        """Give how long the call took; a 0 is a call that was not timed."""
        return clock.seconds(self.metrics.get("latencyMs") or self.metrics.get("invocationLatency"), "latencyMs")

    def first_s(self) -> float | None:
        """Give when the first chunk came, which only streams tell."""
        return clock.seconds(self.metrics.get("firstByteLatency"), "firstByteLatency")


def read(body: Any) -> Answer:
    """Read an answer's body; one that is not JSON, or not there, says nothing."""
    answer = Answer()
    for part in _parts(body):
        answer.usage |= _said(part.get("usage"))
        answer.metrics |= _said(part.get("metrics")) | _said(part.get(_METRICS))
        answer.stop = next((part[name] for name in _STOPS if isinstance(part.get(name), str)), answer.stop)
        answer.tier = as_dict(part.get("serviceTier")).get("type") or answer.tier
        if isinstance(part.get("model"), str):
            answer.own_id, answer.model = part.get("id"), part["model"]
        answer.intervened |= part.get("amazon-bedrock-guardrailAction") == "INTERVENED"
    return answer


def _parts(body: Any) -> Iterator[dict[str, Any]]:
    for piece in body if isinstance(body, list) else [body]:
        if not isinstance(piece, dict):
            continue
        yield piece
        yield from (part for name in _PARTS if isinstance(part := piece.get(name), dict))
        choices = piece.get("choices")
        yield from (choice for choice in (choices if isinstance(choices, list) else ()) if isinstance(choice, dict))


def _said(value: Any) -> dict[str, Any]:
    return {name: part for name, part in as_dict(value).items() if part is not None}
