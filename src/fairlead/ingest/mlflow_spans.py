"""The spans of MLflow's traces, brought into the words that OTLP spans are read by.

MLflow writes each attribute as JSON in text, ids as base64, and the type of a span beside its name.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from fairlead.ingest import litellm, usage
from fairlead.ingest.otlp import decode
from fairlead.ingest.otlp.dialects import first
from fairlead.ingest.otlp.trees import Span

__all__ = ["span"]

_FLAVORS: Final = frozenset({"openai", "anthropic", "gemini", "groq", "mistral", "bedrock"})
_CHUNK: Final = "mlflow.chunk.item.0"
_DROPPED: Final = (
    "mlflow.spanInputs",
    "mlflow.spanOutputs",
    "mlflow.chat.tools",
    "mlflow.chat.tokenUsage",
    "mlflow.llm.cost",
    "mlflow.trace.intermediate_outputs",
)
_COUNTS: Final = {
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "total_tokens": "gen_ai.usage.total_tokens",
    "cache_read_input_tokens": "gen_ai.usage.cache_read.input_tokens",
    "cache_creation_input_tokens": "gen_ai.usage.cache_creation.input_tokens",
    "cache_creation_input_tokens_above_1hr": "gen_ai.usage.cache_creation_1h.input_tokens",
}


def span(given: dict[str, Any], trace: str, source: str, around: dict[str, Any]) -> Span:
    """Give a span; `around` holds what its trace says of each call."""
    raw = litellm.as_dict(given.get("attributes"))
    own = {name: _decoded(value) for name, value in raw.items()}
    status = litellm.as_dict(given.get("status"))
    events = given.get("events")
    return Span(
        trace_id=trace,
        span_id=_span_id(given.get("span_id")),
        parent_span_id=_span_id(given.get("parent_span_id") or given.get("parent_id")),
        name="",
        start=given.get("start_time_unix_nano", given.get("start_time")),
        end=given.get("end_time_unix_nano", given.get("end_time")),
        failed=decode.is_error(status) or given.get("status_code") in ("ERROR", "STATUS_CODE_ERROR"),
        attributes={**around, **_attributes(own)},
        resource={},
        events=[_event(event) for event in events if isinstance(event, dict)] if isinstance(events, list) else [],
        dialect=source,
    )


def _attributes(own: dict[str, Any]) -> dict[str, Any]:
    inputs, outputs = litellm.as_dict(own.get("mlflow.spanInputs")), litellm.as_dict(own.get("mlflow.spanOutputs"))
    kind = own.get("mlflow.spanType")
    called = str(kind) in ("CHAT_MODEL", "LLM", "EMBEDDING")
    flavor = own.get("mlflow.message.format")
    asked = inputs.get("model") if isinstance(inputs.get("model"), str) else own.get("model")
    said = {
        **{name: value for name, value in own.items() if name not in _DROPPED},
        **_tokens(litellm.as_dict(own.get("mlflow.chat.tokenUsage")), litellm.as_dict(outputs.get("usage"))),
        "gen_ai.usage.cost": litellm.as_dict(own.get("mlflow.llm.cost")).get("total_cost"),
    }
    if kind not in (None, "UNKNOWN"):
        said["openinference.span.kind"] = ("EMBEDDING" if kind == "EMBEDDING" else "LLM") if called else str(kind)
    if called:
        said |= {
            "gen_ai.provider.name": own.get("mlflow.llm.provider") or (flavor if str(flavor) in _FLAVORS else None),
            "gen_ai.request.model": asked or own.get("mlflow.llm.model"),
            "gen_ai.response.model": first(outputs, "model") or _other(own.get("mlflow.llm.model"), asked),
            "gen_ai.response.id": outputs.get("id"),
            "openai.response.service_tier": outputs.get("service_tier"),
            "gen_ai.response.finish_reasons": _finish(outputs),
            "gen_ai.request.max_tokens": first(inputs, "max_tokens", "max_completion_tokens", "max_output_tokens"),
            "gen_ai.request.temperature": inputs.get("temperature"),
            "gen_ai.request.stream": inputs.get("stream"),
            "gen_ai.input.messages": first(inputs, "messages", "input", "prompt", "contents"),
            "gen_ai.system_instructions": first(inputs, "system", "instructions"),
            "gen_ai.tool.definitions": first(inputs, "tools") or own.get("mlflow.chat.tools"),
        }
    return {name: value for name, value in said.items() if value is not None}


def _tokens(told: dict[str, Any], answered: dict[str, Any]) -> dict[str, Any]:
    """Give MLflow's counts, which include cached tokens, and the classes that only the answer's own usage tells."""
    found = {name: told[key] for key, name in _COUNTS.items() if told.get(key) is not None}
    details = usage.openai(answered) if answered else {}
    reasoning = details.get("reasoning_output_tokens")
    if reasoning is not None:
        found["gen_ai.usage.reasoning.output_tokens"] = reasoning
    return found


def _finish(outputs: dict[str, Any]) -> Any:
    choices = outputs.get("choices")
    choice = litellm.as_dict(choices[0]) if isinstance(choices, list) and choices else {}
    reason = first(choice, "finish_reason") or first(outputs, "stop_reason", "finish_reason")
    return [reason] if isinstance(reason, str) else None


def _other(model: Any, asked: Any) -> Any:
    """Give the model that MLflow names where it is not only the one that was asked for."""
    return model if model != asked else None


def _event(given: dict[str, Any]) -> dict[str, Any]:
    said = {name: _decoded(value) for name, value in litellm.as_dict(given.get("attributes")).items()}
    name = str(given.get("name"))
    return {
        "name": "First Token Stream Event" if name == _CHUNK else name,
        "time": given.get("time_unix_nano", given.get("timestamp")),
        "attributes": said,
    }


def _span_id(given: Any) -> str | None:
    return decode.span_id(given.removeprefix("0x") if isinstance(given, str) else given)


def _decoded(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return msgspec.json.decode(value)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return value
