"""Rows of LiteLLM's table LiteLLM_SpendLogs, exported as JSON lines or CSV: JSON within text, booleans as text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct

from fairlead.ingest import attributes, litellm, prompts, values
from fairlead.ingest.context import Context
from fairlead.schema import Attempt, record_id

__all__ = ["NAME", "read", "recognises"]

NAME: Final = "litellm_spendlogs"
_MAPPED: Final = frozenset(
    (  # noqa: SIM905  one a line would fill the screen
        "request_id call_type api_key cache_hit startTime endTime completionStartTime model user team_id"
        " organization_id metadata spend total_tokens prompt_tokens completion_tokens request_tags end_user"
        " api_base model_group model_id messages response session_id request_duration_ms status litellm_call_id"
        " custom_llm_provider updated_at agent_id user_api_key user_api_key_team_id user_api_key_org_id"
        " user_api_key_project_id user_api_key_user_id spend_logs_metadata usage_object attempted_retries"
        " attempted_fallbacks original_model_group error_information additional_usage_values"
        " litellm_overhead_time_ms proxy_server_request"
    ).split()
)
_CACHE: Final = {"true": "hit", "false": "miss"}  # anything else, as "None", says nothing


def recognises(record: dict[str, Any]) -> bool:
    """Say whether a record is a row of LiteLLM_SpendLogs."""
    return "startTime" in record and "spend" in record and "request_id" in record


def read(record: dict[str, Any], context: Context) -> Iterator[Struct]:
    """Give the attempt and what is known of its request."""
    metadata = litellm.as_dict(values.jsoned(record.get("metadata"), "metadata"))
    body = litellm.as_dict(values.jsoned(record.get("proxy_server_request"), "proxy_server_request"))
    messages = values.jsoned(record.get("messages"), "messages") or body.get("messages")
    prompt = prompts.read(messages)
    tags = litellm.tags(values.jsoned(record.get("request_tags"), "request_tags"))
    attempt = _attempt(record, metadata, prompt, tags, context)
    yield attempt
    tools = body.get("tools")
    features = prompts.features(
        attempt,
        prompt,
        context,
        route=tags.get("route") or attempt.request_model,
        tools=len(tools) if isinstance(tools, list) else None,
    )
    if features is not None:
        yield features


def _attempt(
    record: dict[str, Any],
    metadata: dict[str, Any],
    prompt: prompts.Prompt | None,
    tags: dict[str, str],
    context: Context,
) -> Attempt:
    ok = litellm.status({"status": record.get("status") or "success"}) == "ok"  # rows from before 2025 have none
    stream = _streamed(record)
    found = {"status": "ok" if ok else "error", **litellm.names(record), **litellm.times(record, stream)}
    found |= {
        "source": NAME,
        "source_instance": context.source_instance,
        "source_updated_at": values.moment(record.get("updated_at"), "updated_at"),
        "ingested_at": context.ingested_at,
        "tags": tags or None,
        "request_stream": stream,
        "agent_name": values.text(record.get("agent_id")),
        "gateway_cache_status": _CACHE.get(str(record.get("cache_hit")).lower()),
        "is_final": True if ok else None,
        "attributes": attributes.encode(
            {**attributes.keep(record, _MAPPED), **_nested(attributes.keep(metadata, _MAPPED))}
        ),
    }
    found |= litellm.usage(record, litellm.as_dict(metadata.get("usage_object")), ok)
    found |= _outcome(record, metadata, found, ok)
    found |= _who(record, metadata, context)
    found |= _which(record, metadata, prompt, found, context)
    return litellm.attempt(found, context)


def _outcome(record: dict[str, Any], metadata: dict[str, Any], found: dict[str, Any], ok: bool) -> dict[str, Any]:
    if not ok:
        failure = litellm.error(litellm.as_dict(metadata.get("error_information")), None)
        return {**failure, "reported_cost_usd": values.usd(record.get("spend"), "spend")}
    retries = values.integer(metadata.get("attempted_retries"), "attempted_retries")
    fallbacks = values.integer(metadata.get("attempted_fallbacks"), "attempted_fallbacks")
    overhead_ms = values.number(metadata.get("litellm_overhead_time_ms"), "litellm_overhead_time_ms")
    costs = litellm.as_dict(metadata.get("cost_breakdown"))
    return {
        "attempt_index": (retries or 0) + (fallbacks or 0),
        "attempt_kind": litellm.kind(True, found["gateway_cache_status"] == "hit", retries, fallbacks),
        "gateway_overhead_s": None if overhead_ms is None else max(overhead_ms, 0.0) / 1000,
        "reported_cost_usd": litellm.reported(record.get("spend"), found),
        "service_tier": values.text(costs.get("service_tier")),
        "region": values.text(costs.get("vertex_location")),
        # After a fallback the row's own group is the fallback's; this is what was asked for.
        "request_model": values.text(metadata.get("original_model_group")) or found["request_model"],
    }


def _who(record: dict[str, Any], metadata: dict[str, Any], context: Context) -> dict[str, Any]:
    user = values.text(record.get("user") or metadata.get("user_api_key_user_id"))
    end_user = values.text(record.get("end_user"))
    return {
        "organization_id": values.text(record.get("organization_id") or metadata.get("user_api_key_org_id")),
        "team_id": values.text(record.get("team_id") or metadata.get("user_api_key_team_id")),
        "project_id": values.text(metadata.get("user_api_key_project_id")),
        "user_id": user and context.hashed(user),
        "end_user_id": end_user and context.hashed(end_user),
        "api_key_id": values.text(record.get("api_key")),
    }


def _which(
    record: dict[str, Any],
    metadata: dict[str, Any],
    prompt: prompts.Prompt | None,
    found: dict[str, Any],
    context: Context,
) -> dict[str, Any]:
    told = litellm.as_dict(values.jsoned(metadata.get("spend_logs_metadata"), "spend_logs_metadata"))
    own = values.required(values.text(record.get("request_id")), "request_id")  # the primary key of the table
    call = values.text(record.get("litellm_call_id")) or values.text(metadata.get("litellm_call_id")) or own
    trace = values.text(record.get("session_id"))  # falls back to the trace id when there is no session
    prompt_hash = None if prompt is None else context.prompt_hash(prompt.text)
    request = litellm.request_id(trace, call, told, prompt_hash, context.trace_is_session)
    return {
        "event_id": record_id(NAME, context.source_instance, own, 0),
        "source_record_id": own,
        "request_id": request,
        "trace_id": trace,
        "conversation_id": trace if request not in (trace, told.get("request_id")) else None,
        "response_id": own if found["status"] == "ok" else None,
        "prompt_sha256": prompt_hash,
        "input_chars": None if prompt is None else len(prompt.text),
        **litellm.decision(told, litellm.as_dict(metadata.get("routing_decision"))),
    }


def _streamed(record: dict[str, Any]) -> bool | None:
    """Say whether the answer was streamed: only then did it begin before it ended. Unknown otherwise."""
    first = values.moment(record.get("completionStartTime"), "completionStartTime")
    end = values.moment(record.get("endTime"), "endTime")
    return True if first is not None and end is not None and first < end else None


def _nested(metadata: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": metadata} if metadata else {}
