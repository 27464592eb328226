"""The columns of an attempt, from the span of a model call."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from fairlead.ingest import litellm, outcomes, prompts, rows, values
from fairlead.ingest.context import Context
from fairlead.ingest.otlp import extras, gateways, tokens
from fairlead.ingest.otlp.dialects import first
from fairlead.ingest.otlp.evaluations import moment
from fairlead.schema import Attempt

__all__ = ["attempt"]

_FIRST_CHUNK: Final = frozenset(
    {"First Token Stream Event", "llm.content.completion.chunk", "gen_ai.content.completion.chunk"}
)
_COSTS: Final = (
    "gen_ai.usage.cost",
    "gen_ai.usage.total_cost",
    "gen_ai.cost.total_cost",
    "gen_ai.usage.cost.total",
    "llm.cost.total",
    "llm.usage.total_cost",
)
_OPERATIONS: Final = {
    "completion": "chat",
    "acompletion": "chat",
    "embedding": "embeddings",
    "aembedding": "embeddings",
    "atext_completion": "text_completion",
    "llm": "chat",
}
_FREE: Final = Decimal(0)


def attempt(record: dict[str, Any], prompt: prompts.Prompt | None, context: Context) -> Attempt:
    """Make the attempt of a call."""
    said, resource = record["attributes"], record["resource"]
    span = values.required(record["span_id"], "spanId: missing, or neither hex nor base64")
    trace = values.required(record["trace_id"], "traceId: missing, or neither hex nor base64")
    gateway = gateways.read(said)
    found = {
        "source_record_id": f"{trace}/{span}",
        "trace_id": trace,
        "span_id": span,
        "parent_span_id": record["parent_span_id"],
        "environment": values.text(first(resource, "deployment.environment.name", "deployment.environment")),
        "service_name": values.text(resource.get("service.name")),
        "prompt_sha256": None if prompt is None else context.prompt_hash(prompt.text),
        "input_chars": None if prompt is None else len(prompt.text),
        "attributes": extras.pack(said),
        **gateway,
        "request_id": gateway.get("request_id") or record["request_id"],
        **extras.who(said),
        **_models(said),
        **_asked(said),
        **_times(record),
        **_outcome(record),
        **_tokens(said),
    }
    if found["status"] != "ok":
        found["response_id"] = None  # where there is one, it is the gateway's own id of the call
    if found["status"] != "ok" and not found["input_tokens"] and not found["output_tokens"]:
        found |= {"input_tokens": None, "output_tokens": None}  # nobody counted
    found["reported_cost_usd"] = _cost(said, gateway.get("reported_cost_usd"), found)
    return rows.attempt(record["dialect"], found, context)


def _models(said: dict[str, Any]) -> dict[str, Any]:
    named = values.text(first(said, "llm.model_name", "embedding.model_name"))  # the one that answered, if one did
    parameter = extras.parameters(said).get("model")
    asked = values.text(first(said, "gen_ai.request.model", "llm.request.model"))
    asked = asked or (parameter if isinstance(parameter, str) and parameter else named)
    answered = values.text(first(said, "gen_ai.response.model", "llm.response.model"))
    provider = values.text(first(said, "gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system"))
    if asked and "/" in asked and (provider is None or asked.startswith(f"{provider}/")):
        provider, bare = asked.split("/", 1)
        named = bare if named in (None, asked) else named
    kind = str(said.get("openinference.span.kind", "")).lower()
    operation = str(first(said, "gen_ai.operation.name", "llm.request.type") or kind)
    return {
        "provider_name": provider if provider != "Unknown" else None,
        "request_model": asked,
        "response_model": answered or named,
        "operation_name": _OPERATIONS.get(operation.lower(), operation),
        "server_address": values.text(said.get("server.address")),
        "is_batch": True if "batch" in operation else None,
    }


def _asked(said: dict[str, Any]) -> dict[str, Any]:
    parameters = extras.parameters(said)
    stream = first(said, "gen_ai.request.stream", "llm.is_streaming", "llm.request.stream")
    stream = parameters.get("stream") if stream is None else stream
    most = first(said, "gen_ai.request.max_tokens", "llm.request.max_tokens")
    most = parameters.get("max_tokens", parameters.get("max_completion_tokens")) if most is None else most
    heat = first(said, "gen_ai.request.temperature", "llm.request.temperature")
    tier = first(
        said,
        "openai.response.service_tier",
        "gen_ai.openai.response.service_tier",
        "openai.request.service_tier",
        "gen_ai.openai.request.service_tier",
        "gen_ai.cost.service_tier",
    )
    return {
        "request_stream": {"true": True, "false": False}.get(str(stream).lower()),
        "request_max_tokens": values.integer(most, "gen_ai.request.max_tokens"),
        "request_temperature": values.number(
            parameters.get("temperature") if heat is None else heat, "gen_ai.request.temperature"
        ),
        "service_tier": values.text(tier if tier != "auto" else None),
    }


def _times(record: dict[str, Any]) -> dict[str, Any]:
    said = record["attributes"]
    start: datetime = values.required(moment(record["start"], "startTimeUnixNano"), "startTimeUnixNano")
    end = moment(record["end"], "endTimeUnixNano")
    told = values.number(
        first(said, "gen_ai.response.time_to_first_chunk", "gen_ai.server.time_to_first_token"),
        "gen_ai.response.time_to_first_chunk",
    )
    seen = [moment(event["time"], "timeUnixNano") for event in record["events"] if event["name"] in _FIRST_CHUNK]
    chunks = [when for when in seen if when is not None and when >= start]
    if not told and chunks:
        told = (min(chunks) - start).total_seconds()
    return {
        "start_time": start,
        "duration_s": (end - start).total_seconds() if end is not None and end >= start else None,
        "time_to_first_chunk_s": told or None,
    }


def _outcome(record: dict[str, Any]) -> dict[str, Any]:
    said = record["attributes"]
    reasons = extras.decoded(
        first(said, "gen_ai.response.finish_reasons", "llm.finish_reason", "llm.response.finish_reason")
    )
    reason = reasons[0] if isinstance(reasons, list) and reasons else reasons
    thrown = [event["attributes"].get("exception.type") for event in record["events"] if event["name"] == "exception"]
    name = values.text(first(said, "error.type")) or (values.text(thrown[-1]) if record["failed"] and thrown else None)
    code = _code(first(said, "http.response.status_code", "http.status_code", "error.code"), name)
    found = {"finish_reason": values.text(reason) if not isinstance(reason, (list, dict)) else None}
    if not record["failed"] and "error.type" not in said and not (code and code >= 400):
        return {**found, "status": "ok", "is_final": True, "http_status_code": code}
    kind = outcomes.error_class(code, name)
    return {
        **found,
        "status": "cancelled" if kind == "cancelled" else "error",
        "http_status_code": code,
        "error_type": name,
        "error_class": kind,
        "error_origin": "client" if kind in ("invalid_request", "context_length", "cancelled") else "provider",
    }


def _code(given: Any, name: str | None) -> int | None:
    """Give the HTTP status; the convention lets it stand in error.type. Error codes of a provider are no status."""
    for one in (given, name):
        text = str(one)
        if text.isascii() and text.isdigit() and len(text) == 3:
            return int(text)
    return None


def _tokens(said: dict[str, Any]) -> dict[str, Any]:
    found, beside = tokens.read(said), gateways.usage(said)
    return {name: count if count not in (None, {}) else beside.get(name) for name, count in found.items()}


def _cost(said: dict[str, Any], told: Any, found: dict[str, Any]) -> Decimal | None:
    given = first(said, *_COSTS)
    amount = litellm.reported(told if given is None else given, found)
    return None if amount is not None and amount < _FREE else amount
