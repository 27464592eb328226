"""Token counts under the names that OpenTelemetry, its forerunners and OpenInference give them.

All of them count cached tokens as input and reasoning as output. Emitters that passed a provider's own count on are
told by the sum: parts that exceed the whole, or a total that only holds with the parts beside it.
"""

from __future__ import annotations

from typing import Any, Final

from fairlead.ingest import values
from fairlead.ingest.otlp.dialects import first

__all__ = ["NAMES", "read"]

_INPUT: Final = (
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.prompt_tokens",
    "llm.usage.prompt_tokens",
    "llm.token_count.prompt",
)
_OUTPUT: Final = (
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.completion_tokens",
    "llm.usage.completion_tokens",
    "llm.token_count.completion",
)
_TOTAL: Final = ("gen_ai.usage.total_tokens", "llm.usage.total_tokens", "llm.token_count.total")
_READ: Final = (
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_read_input_tokens",
    "gen_ai.usage.input_tokens.cached",
    "gen_ai.usage.cached_tokens",
    "gen_ai.usage.input_cached_tokens",
    "gen_ai.usage.prompt_tokens_details.cached_tokens",
    "gen_ai.usage.details.cached_tokens",
    "gen_ai.usage.details.cache_read_tokens",
    "llm.usage.cache_read_input_tokens",
    "llm.token_count.prompt_details.cache_read",
)
_CREATED: Final = (
    "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens",
    "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.input_tokens.cache_write",
    "gen_ai.usage.details.cache_write_tokens",
    "llm.usage.cache_creation_input_tokens",
    "llm.token_count.prompt_details.cache_write",
)
_REASONING: Final = (
    "gen_ai.usage.reasoning.output_tokens",
    "gen_ai.usage.reasoning_tokens",
    "gen_ai.usage.output_tokens.reasoning",
    "gen_ai.usage.completion_tokens_details.reasoning_tokens",
    "gen_ai.usage.details.reasoning_tokens",
    "llm.usage.reasoning_tokens",
    "llm.token_count.completion_details.reasoning",
)
_DETAILS: Final = {
    "input_audio_tokens": ("gen_ai.usage.audio.input_tokens", "llm.token_count.prompt_details.audio"),
    "input_image_tokens": ("gen_ai.usage.image.input_tokens",),
    "input_video_tokens": ("gen_ai.usage.video.input_tokens",),
    "output_audio_tokens": ("gen_ai.usage.audio.output_tokens", "llm.token_count.completion_details.audio"),
    "output_image_tokens": ("gen_ai.usage.image.output_tokens",),
}
NAMES: Final = frozenset(
    (
        *_INPUT,
        *_OUTPUT,
        *_TOTAL,
        *_READ,
        *_CREATED,
        *_REASONING,
        *(name for names in _DETAILS.values() for name in names),
    )
)


def read(attributes: dict[str, Any]) -> dict[str, Any]:
    """Give the token columns of a call."""
    found = {
        "input_tokens": _count(attributes, _INPUT),
        "cache_read_input_tokens": _count(attributes, _READ),
        "cache_creation_input_tokens": _count(attributes, _CREATED),
        "output_tokens": _count(attributes, _OUTPUT),
        "reasoning_output_tokens": _count(attributes, _REASONING),
        "usage_details": {name: count for name, names in _DETAILS.items() if (count := _count(attributes, names))},
    }
    given, parts = (
        found["input_tokens"],
        (found["cache_read_input_tokens"] or 0) + (found["cache_creation_input_tokens"] or 0),
    )
    beside = _count(attributes, _TOTAL) == (given or 0) + parts + (found["output_tokens"] or 0)
    if given is not None and given >= 0 and parts and (parts > given or beside):
        found["input_tokens"] = given + parts
    return found


def _count(attributes: dict[str, Any], names: tuple[str, ...]) -> Any:
    return values.integer(first(attributes, *names), names[0])
