"""Token counts, from the dialects that providers speak to the one of the canonical tables.

Canonical input counts include cache reads and writes, canonical output counts include reasoning. OpenAI counts that
way; Anthropic and Bedrock leave cached tokens out of the input; Gemini leaves thoughts out of the output.

>>> anthropic({"input_tokens": 3, "cache_read_input_tokens": 7, "output_tokens": 5})["input_tokens"]
10
>>> gemini({"promptTokenCount": 3, "candidatesTokenCount": 29, "thoughtsTokenCount": 901})["output_tokens"]
930
"""

from __future__ import annotations

from typing import Any, Final

from fairlead.ingest import values
from fairlead.ingest.quarantine import OUT_OF_RANGE, BadRecordError

__all__ = ["CACHE_CREATION_1H", "anthropic", "bedrock", "details", "gemini", "openai", "whole"]

# What `usage_details` may hold, with the names that sources give it in their details of the input and the output.
_INPUT_DETAILS: Final = {
    "audio_tokens": "input_audio_tokens",
    "image_tokens": "input_image_tokens",
    "video_tokens": "input_video_tokens",
    "web_search_requests": "web_search_requests",
}
_OUTPUT_DETAILS: Final = {"audio_tokens": "output_audio_tokens", "image_tokens": "output_image_tokens"}
CACHE_CREATION_1H: Final = "cache_creation_1h_input_tokens"  # a part of cache_creation_input_tokens


def openai(usage: dict[str, Any]) -> dict[str, Any]:
    """Read an OpenAI usage object, of chat completions (`prompt_tokens`) or of responses (`input_tokens`)."""
    inputs = _part(usage, "prompt_tokens_details") or _part(usage, "input_tokens_details")
    outputs = _part(usage, "completion_tokens_details") or _part(usage, "output_tokens_details")
    return {
        "input_tokens": _count(usage, "prompt_tokens", "input_tokens"),
        "cache_read_input_tokens": _count(inputs, "cached_tokens"),
        "cache_creation_input_tokens": _count(inputs, "cache_creation_tokens"),
        "output_tokens": _count(usage, "completion_tokens", "output_tokens"),
        "reasoning_output_tokens": _count(outputs, "reasoning_tokens"),
        "usage_details": details(inputs, outputs),
    }


def anthropic(usage: dict[str, Any]) -> dict[str, Any]:
    """Read an Anthropic usage object: `input_tokens` is what was neither read from a cache nor written to one."""
    read, created = _count(usage, "cache_read_input_tokens"), _count(usage, "cache_creation_input_tokens")
    plain = _count(usage, "input_tokens")
    long_lived = _count(_part(usage, "cache_creation"), "ephemeral_1h_input_tokens")
    return {
        "input_tokens": None if plain is None else plain + (read or 0) + (created or 0),
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": created,
        "output_tokens": _count(usage, "output_tokens"),
        "usage_details": {CACHE_CREATION_1H: long_lived} if long_lived else None,
    }


def bedrock(usage: dict[str, Any]) -> dict[str, Any]:
    """Read the usage of Bedrock's Converse, or the counts of its log: like Anthropic's, in camel case."""
    read, created = (
        _count(usage, "cacheReadInputTokens", "cacheReadInputTokenCount"),
        _count(usage, "cacheWriteInputTokens", "cacheWriteInputTokenCount"),
    )
    plain = _count(usage, "inputTokens", "inputTokenCount")
    written = usage.get("cacheDetails")
    long_lived = sum(
        _count(part, "inputTokens") or 0
        for part in (written if isinstance(written, list) else ())
        if isinstance(part, dict) and part.get("ttl") == "1h"
    )
    return {
        "input_tokens": None if plain is None else plain + (read or 0) + (created or 0),
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": created,
        "output_tokens": _count(usage, "outputTokens", "outputTokenCount"),
        "usage_details": {CACHE_CREATION_1H: long_lived} if long_lived else None,
    }


def gemini(usage: dict[str, Any]) -> dict[str, Any]:
    """Read Gemini's usageMetadata, in camel or snake case: candidates leave thoughts out, prompt includes the cache."""
    candidates = _count(usage, "candidatesTokenCount", "candidates_token_count")
    thoughts = _count(usage, "thoughtsTokenCount", "thoughts_token_count")
    tools = _count(usage, "toolUsePromptTokenCount", "tool_use_prompt_token_count")
    prompt = _count(usage, "promptTokenCount", "prompt_token_count")
    return {
        "input_tokens": None if prompt is None else prompt + (tools or 0),
        "cache_read_input_tokens": _count(usage, "cachedContentTokenCount", "cached_content_token_count"),
        "output_tokens": None if candidates is None and thoughts is None else (candidates or 0) + (thoughts or 0),
        "reasoning_output_tokens": thoughts,
    }


def whole(found: dict[str, Any]) -> dict[str, Any]:
    """Give counts whose input holds its cached parts: one that is below them leaves them out, as Anthropic's does."""
    given, parts = found["input_tokens"], (found["cache_read_input_tokens"], found["cache_creation_input_tokens"])
    cached = sum(part or 0 for part in parts)
    return {**found, "input_tokens": given + cached} if given is not None and cached > given >= 0 else found


def details(inputs: dict[str, Any], outputs: dict[str, Any]) -> dict[str, int] | None:
    """Read the counts that are priced apart (audio, images, searches); None when there is none."""
    found = {
        name: count
        for part, names in ((inputs, _INPUT_DETAILS), (outputs, _OUTPUT_DETAILS))
        for key, name in names.items()
        if (count := _count(part, key))
    }
    return found or None


def _count(part: dict[str, Any], *names: str) -> int | None:
    name = next((name for name in names if part.get(name) is not None), names[0])
    count = values.integer(part.get(name), name)
    if count is not None and count < 0:  # added to another it would no longer show
        raise BadRecordError(OUT_OF_RANGE, f"{name}: below 0")
    return count


def _part(usage: dict[str, Any], name: str) -> dict[str, Any]:
    found = usage.get(name)
    return found if isinstance(found, dict) else {}
