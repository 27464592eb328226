"""LiteLLM's StandardLoggingPayload, as its S3, GCS and callback loggers write it: one JSON object an attempt."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct

from fairlead.ingest import attributes, litellm, prompts, values
from fairlead.ingest.context import Context
from fairlead.schema import Attempt, record_id
from fairlead.scoring.offer import offered

__all__ = ["NAME", "read", "recognises"]

NAME: Final = "litellm_payload"
# Fields that have a column, or that say again what a column says.
_MAPPED: Final = frozenset(
    (  # noqa: SIM905  one a line would fill the screen
        "id litellm_call_id trace_id session_id call_type cache_hit stream status custom_llm_provider saved_cache_cost"
        " startTime endTime completionStartTime response_time model response_cost total_tokens prompt_tokens"
        " completion_tokens request_tags end_user api_base model_group model_id messages response error_str"
        " user_api_key_hash user_api_key_team_id user_api_key_org_id user_api_key_project_id user_api_key_user_id"
        " user_api_key_end_user_id spend_logs_metadata usage_object error_code error_class error_message metadata"
        " hidden_params model_parameters error_information"
    ).split()
)
_PARTS: Final = ("metadata", "hidden_params", "model_parameters", "error_information")


def recognises(record: dict[str, Any]) -> bool:
    """Say whether a record is a StandardLoggingPayload."""
    return "startTime" in record and "response_cost" in record and "spend" not in record


def read(record: dict[str, Any], context: Context) -> Iterator[Struct]:
    """Give the attempt and what is known of its request."""
    parts = {name: litellm.as_dict(record.get(name)) for name in _PARTS}
    metadata, asked = parts["metadata"], parts["model_parameters"]
    prompt = prompts.read(record.get("messages"))
    tags = litellm.tags(record.get("request_tags"))
    attempt = _attempt(record, parts, prompt, tags, context)
    yield attempt
    features = prompts.features(
        attempt,
        prompt,
        context,
        route=tags.get("route") or values.text(metadata.get("original_model_group")) or attempt.request_model,
        offer=offered(asked, whole=True),
    )
    if features is not None:
        yield features


def _attempt(
    record: dict[str, Any],
    parts: dict[str, dict[str, Any]],
    prompt: prompts.Prompt | None,
    tags: dict[str, str],
    context: Context,
) -> Attempt:
    asked = parts["model_parameters"]
    stream = record.get("stream") if record.get("stream") is not None else asked.get("stream")
    found = {"status": litellm.status(record), **litellm.names(record), **litellm.times(record, stream)}
    ok = found["status"] == "ok"
    hit = record.get("cache_hit")
    found |= {
        "source": NAME,
        "source_instance": context.source_instance,
        "ingested_at": context.ingested_at,
        "tags": tags or None,
        "request_stream": stream,
        "request_max_tokens": asked.get("max_tokens") or asked.get("max_completion_tokens"),
        "request_temperature": values.number(asked.get("temperature"), "temperature"),
        "gateway_cache_status": None if hit is None else "hit" if hit else "miss",
        "is_final": True if ok else None,
        "attributes": _attributes(record, parts),
    }
    found |= litellm.usage(record, litellm.as_dict(parts["metadata"].get("usage_object")), ok)
    found |= _answer(record, parts, found) if ok else _failure(record, parts)
    found |= _who(record, parts["metadata"], asked, context)
    found |= _which(record, parts["metadata"], prompt, found, context)
    return litellm.attempt(found, context)


def _which(
    record: dict[str, Any],
    metadata: dict[str, Any],
    prompt: prompts.Prompt | None,
    found: dict[str, Any],
    context: Context,
) -> dict[str, Any]:
    """Give the ids: of the record, of its request, of the session, of the decision."""
    told = litellm.as_dict(values.jsoned(metadata.get("spend_logs_metadata"), "spend_logs_metadata"))
    own = values.text(record.get("id"))
    call = values.required(values.text(record.get("litellm_call_id")) or own, "litellm_call_id")
    trace, session = values.text(record.get("trace_id")), values.text(record.get("session_id"))
    prompt_hash = None if prompt is None else context.prompt_hash(prompt.text)
    request = litellm.request_id(trace, call, told, prompt_hash, bool(session) or context.trace_is_session)
    start_us = round(found["start_time"].timestamp() * 1e6)
    return {
        # Retries were seen to share a call id in some versions, but never a call id and a start.
        "event_id": record_id(NAME, context.source_instance, call, own, start_us),
        "source_record_id": call,
        "request_id": request,
        "trace_id": trace,
        "conversation_id": session or (trace if request not in (trace, told.get("request_id")) else None),
        "response_id": own if found["status"] == "ok" else None,
        "prompt_sha256": prompt_hash,
        "input_chars": None if prompt is None else len(prompt.text),
        **litellm.decision(told, litellm.as_dict(metadata.get("routing_decision"))),
    }


def _who(record: dict[str, Any], metadata: dict[str, Any], asked: dict[str, Any], context: Context) -> dict[str, Any]:
    user = values.text(metadata.get("user_api_key_user_id"))
    end_user = values.text(record.get("end_user") or metadata.get("user_api_key_end_user_id") or asked.get("user"))
    return {
        "organization_id": values.text(metadata.get("user_api_key_org_id")),
        "team_id": values.text(metadata.get("user_api_key_team_id") or metadata.get("team_id")),
        "project_id": values.text(metadata.get("user_api_key_project_id")),
        "user_id": user and context.hashed(user),
        "end_user_id": end_user and context.hashed(end_user),
        "api_key_id": values.text(metadata.get("user_api_key_hash")),
    }


def _answer(record: dict[str, Any], parts: dict[str, dict[str, Any]], found: dict[str, Any]) -> dict[str, Any]:
    hidden, costs = parts["hidden_params"], litellm.as_dict(record.get("cost_breakdown"))
    headers = litellm.as_dict(hidden.get("additional_headers"))
    retries = values.integer(headers.get("x-litellm-attempted-retries"), "attempted-retries")
    fallbacks = values.integer(headers.get("x-litellm-attempted-fallbacks"), "attempted-fallbacks")
    choices = litellm.as_dict(record.get("response")).get("choices")
    choice = litellm.as_dict(choices[0]) if isinstance(choices, list) and choices else {}
    cached = found["gateway_cache_status"] == "hit"
    overhead_ms = values.number(hidden.get("litellm_overhead_time_ms"), "litellm_overhead_time_ms")
    return {
        "attempt_index": (retries or 0) + (fallbacks or 0),
        "attempt_kind": litellm.kind(True, cached, retries, fallbacks),
        "finish_reason": values.text(choice.get("finish_reason")),
        "gateway_overhead_s": None if overhead_ms is None else max(overhead_ms, 0.0) / 1000,
        "reported_cost_usd": litellm.reported(record.get("response_cost"), found),
        "cache_saved_cost_usd": values.usd(record.get("saved_cache_cost"), "saved_cache_cost") if cached else None,
        "service_tier": values.text(costs.get("service_tier") or parts["model_parameters"].get("service_tier")),
        "region": values.text(costs.get("vertex_location")),
        "request_model": values.text(parts["metadata"].get("original_model_group")) or found["request_model"],
    }


def _failure(record: dict[str, Any], parts: dict[str, dict[str, Any]]) -> dict[str, Any]:
    guardrail = litellm.as_dict(record.get("status_fields")).get("guardrail_status")
    return {
        **litellm.error(parts["error_information"], guardrail),
        "reported_cost_usd": values.usd(record.get("response_cost"), "response_cost"),
    }


def _attributes(record: dict[str, Any], parts: dict[str, dict[str, Any]]) -> str | None:
    named = {name: part for name, part in parts.items() if part}
    kept = {name: kept for name, part in named.items() if (kept := attributes.keep(part, _MAPPED))}
    return attributes.encode({**attributes.keep(record, _MAPPED), **kept})
