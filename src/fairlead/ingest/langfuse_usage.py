"""Token counts as Langfuse keeps them: a map of classes, each token counted in one of them.

>>> found = read({"input": 176, "input_cached_tokens": 1024, "output": 48, "output_reasoning_tokens": 32})
>>> found["input_tokens"], found["cache_read_input_tokens"], found["output_tokens"]
(1200, 1024, 80)
"""

from __future__ import annotations

from typing import Any, Final

from fairlead.ingest import values
from fairlead.ingest.quarantine import OUT_OF_RANGE, BadRecordError

__all__ = ["read"]

_READ: Final = ("input_cached_tokens", "input_cache_read", "cache_read_input_tokens", "input_cached")
_CREATED: Final = (
    "input_cache_creation",
    "input_cache_write",
    "cache_creation_input_tokens",
    "input_cache_creation_5m",
    "input_cache_creation_1h",
)
_REASONING: Final = ("output_reasoning_tokens", "output_reasoning", "reasoning_tokens")
_DETAILS: Final = {
    "input_audio_tokens": ("input_audio_tokens", "input_audio"),
    "input_image_tokens": ("input_image_tokens", "input_image"),
    "input_video_tokens": ("input_video_tokens", "input_video"),
    "output_audio_tokens": ("output_audio_tokens", "output_audio"),
    "output_image_tokens": ("output_image_tokens", "output_image"),
    "cache_creation_1h_input_tokens": ("input_cache_creation_1h",),
}


def read(told: dict[str, Any]) -> dict[str, Any]:
    """Give the token columns of a usage map."""
    counts = {
        name: count
        for name, given in told.items()
        if (count := values.integer(given, f"usage_details.{name}")) is not None
    }
    if any(count < 0 for count in counts.values()):  # a sum could hide it
        raise BadRecordError(OUT_OF_RANGE, "usage_details: a count below 0")
    inputs = {name: count for name, count in counts.items() if name.startswith("input") or name in (*_READ, *_CREATED)}
    outputs = {name: count for name, count in counts.items() if name.startswith("output") or name in _REASONING}
    plain = counts.get("input", 0) + counts.get("output", 0)
    total = sum(inputs.values()) + sum(outputs.values())
    parts = plain and counts.get("total") == plain and plain != total
    return {
        "input_tokens": (counts.get("input") if parts else sum(inputs.values())) if inputs else None,
        "cache_read_input_tokens": _sum(counts, _READ),
        "cache_creation_input_tokens": _sum(counts, _CREATED),
        "output_tokens": (counts.get("output") if parts else sum(outputs.values())) if outputs else None,
        "reasoning_output_tokens": _sum(counts, _REASONING),
        "usage_details": {name: count for name, names in _DETAILS.items() if (count := _sum(counts, names))},
    }


def _sum(counts: dict[str, int], names: tuple[str, ...]) -> int | None:
    found = [counts[name] for name in names if name in counts]
    return sum(found) if found else None
