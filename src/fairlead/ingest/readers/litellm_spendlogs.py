"""Rows of LiteLLM's table LiteLLM_SpendLogs, exported as JSON lines or CSV: JSON within text, booleans as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa
from msgspec import Struct

from fairlead.ingest import attributes, litellm, prompts, values
from fairlead.ingest.bulk import Bulk
from fairlead.ingest.context import Context
from fairlead.schema import Attempt, record_id
from fairlead.scoring.offer import offered

__all__ = ["BULK", "NAME", "read", "recognises"]

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
_AMOUNTS: Final = frozenset(("input_cost", "output_cost", "total_cost", "original_cost"))
_USAGE: Final = "metadata.usage_object"
_MOST_US: Final = 100 * 86_400_000_000


def _derived(values: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
    """Give the columns that follow from several values or are written otherwise, and for which lines they do."""
    started, ended, pico = values["started"], values["ended"], values["spend"] * 1e12
    duration = ended - started
    # Where a float and the decimal it stands for could be rounded apart, the reader does it.
    right = (pico > 0.5) & (pico < 1e14) & (np.abs(pico - np.floor(pico) - 0.5) > 0.02)
    right &= (duration >= 0) & (duration < _MOST_US)
    right &= values.get("cached", 0) + values.get("created", 0) <= values["prompt"]
    found = {"duration_s": duration, "reported_cost_usd": np.rint(np.where(right, pico, 0)).astype(np.int64)}
    if "first" in values:
        streamed, wait = values["first"] < ended, values["first"] - started
        found["request_stream"] = pa.array(streamed, mask=~streamed)
        found["time_to_first_chunk_s"] = pa.array(wait, mask=~streamed | (wait < 0))
    if "overhead" in values:
        right &= np.abs(values["overhead"]) < 1e9
        found["gateway_overhead_s"] = np.rint(np.maximum(np.where(right, values["overhead"], 0), 0) * 1000)
    return found, right


BULK: Final = Bulk(
    slots={
        "own": ("id", "request_id"),
        "call": ("id", "litellm_call_id"),
        "session": ("uuid", "session_id"),
        "started": ("moment", "startTime"),
        "ended": ("moment", "endTime"),
        "first": ("moment", "completionStartTime"),
        "took": ("unread", "request_duration_ms"),
        "spend": ("number", "spend"),
        "total": ("count", "total_tokens"),
        "prompt": ("count", "prompt_tokens"),
        "completion": ("count", "completion_tokens"),
        "user": ("text", "user"),
        "end_user": ("text", "end_user"),
        "address": ("text", "requester_ip_address"),
        "agent": ("text", "metadata.user_agent"),
        "overhead": ("number", "metadata.litellm_overhead_time_ms"),
        "cached": ("count", f"{_USAGE}.prompt_tokens_details.cached_tokens"),
        "created": ("count", f"{_USAGE}.prompt_tokens_details.cache_creation_tokens"),
        "thought": ("count", f"{_USAGE}.completion_tokens_details.reasoning_tokens"),
        "cost_in": ("unread", "metadata.cost_breakdown.input_cost"),
        "cost_out": ("unread", "metadata.cost_breakdown.output_cost"),
    },
    copies={
        "metadata.litellm_call_id": "call",
        "metadata.user_api_key_user_id": "user",
        "metadata.requester_ip_address": "address",
        "metadata.cost_breakdown.total_cost": "spend",
        "metadata.cost_breakdown.original_cost": "spend",
        f"{_USAGE}.total_tokens": "total",
        f"{_USAGE}.prompt_tokens": "prompt",
        f"{_USAGE}.completion_tokens": "completion",
        f"{_USAGE}.cache_read_input_tokens": "cached",
        f"{_USAGE}.cache_creation_input_tokens": "created",
        "metadata.additional_usage_values.prompt_tokens_details.cached_tokens": "cached",
        "metadata.additional_usage_values.prompt_tokens_details.cache_creation_tokens": "created",
        "metadata.additional_usage_values.completion_tokens_details.reasoning_tokens": "thought",
    },
    texts=("metadata",),
    key=("model", "custom_llm_provider", "model_group", "model_id", "api_key", "team_id", "request_tags", "status"),
    columns={
        "source_record_id": "own",
        "response_id": "own",
        "span_id": "call",
        "request_id": "session",
        "trace_id": "session",
        "start_time": "started",
        "input_tokens": "prompt",
        "cache_read_input_tokens": "cached",
        "cache_creation_input_tokens": "created",
        "output_tokens": "completion",
        "reasoning_output_tokens": "thought",
    },
    people={"user_id": "user", "end_user_id": "end_user"},
    needed=("own", "call", "session", "started", "ended", "spend", "prompt", "completion"),
    derive=_derived,
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
    attempt.attributes = _attributes(record, metadata, attempt)
    yield attempt
    features = prompts.features(
        attempt,
        prompt,
        context,
        route=tags.get("route") or attempt.request_model,
        offer=offered(body),
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
        "event_id": record_id(NAME, context.source_instance, own, found.get("attempt_index") or 0),
        "source_record_id": own,
        "span_id": call,
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


def _attributes(record: dict[str, Any], metadata: dict[str, Any], attempt: Attempt) -> str | None:
    kept = attributes.keep(metadata, _MAPPED)
    if attempt.list_cost_usd is not None and attempt.list_cost_usd == attempt.reported_cost_usd:
        # What each class cost says nothing new where the sum is what we make it.
        costs = {name: value for name, value in kept.pop("cost_breakdown", {}).items() if name not in _AMOUNTS}
        kept |= {"cost_breakdown": costs} if costs else {}
    return attributes.encode({**attributes.keep(record, _MAPPED), **({"metadata": kept} if kept else {})})
