"""Bifrost: rows of its table logs, as its API answers them or as the database holds them (JSON within text).

One row is one provider; the keys that were tried before within it stand in `attempt_trail` and become attempts of their
own. A fallback is another row whose `parent_request_id` is the first one's id. Times are milliseconds, costs dollars.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

from msgspec import Struct

from fairlead.ingest import aliases, attributes, gateways, litellm, outcomes, usage, values
from fairlead.ingest.context import Context
from fairlead.ingest.quarantine import UNKNOWN_VALUE, BadRecordError

__all__ = ["NAME", "read", "recognises"]

NAME: Final = "bifrost"
_MAPPED: Final = frozenset(
    (  # noqa: SIM905  one a line would fill the screen
        "id parent_request_id timestamp object object_type provider model alias number_of_retries fallback_index"
        " virtual_key_id user_id user_name team_id customer_id project_id latency upstream_latency overhead_latency"
        " cost status stream stop_reason token_usage prompt_tokens completion_tokens total_tokens cached_read_tokens"
        " metadata cache_debug error_details attempt_trail routing_engines_used routing_rule_id params tools"
        " tool_calls raw_request raw_response content_summary routing_engine_logs plugin_logs selected_key"
        " virtual_key routing_rule selected_prompt_name"
    ).split()
)
_CONTENT: Final = ("_input", "_output", "_history", "_message", "_body")  # names of fields that hold content end so
_OPERATIONS: Final = {
    "chat_completion": "chat",
    "chat.completion": "chat",
    "text_completion": "text_completion",
    "text.completion": "text_completion",
    "embedding": "embeddings",
    "responses": "chat",
}
_REASONS: Final = {  # what the trail of keys says of a failure
    "rate_limit_error": (429, "rate_limit"),
    "authentication_error": (401, "auth"),
    "billing_error": (402, "budget"),
}


def recognises(record: dict[str, Any]) -> bool:
    """Say whether a record is a row of Bifrost's logs."""
    return "fallback_index" in record and "number_of_retries" in record and "provider" in record


def read(record: dict[str, Any], context: Context) -> Iterator[Struct]:
    """Give the attempts, those that failed with another key first, and what is known of their request."""
    metadata = litellm.as_dict(values.jsoned(record.get("metadata"), "metadata"))
    params = gateways.parsed(record.get("params"))
    asked = gateways.asked({**params, "tools": _listed(record.get("tools"))}, _listed(record.get("input_history")))
    shared = {**_shared(record, metadata), **gateways.caller(metadata), **_who(record)}
    failed = _failed(record)
    first = max(values.integer(record.get("fallback_index"), "fallback_index") or 0, 0)
    for index, reason in enumerate(failed):
        code, kind = _REASONS.get(reason, (None, None))
        own = {"status": "error", "http_status_code": code, "error_type": reason, "error_class": kind}
        place = _place(first, index, shared)
        yield from gateways.attempt(NAME, {**shared, **own, **place, "error_origin": "provider"}, asked, context)
    retries = max(values.integer(record.get("number_of_retries"), "number_of_retries") or 0, len(failed))
    final = {**shared, **_place(first, retries, shared)}
    yield from gateways.attempt(NAME, {**final, **_answer(record, final)}, asked, context)


def _place(first: int, index: int, shared: dict[str, Any]) -> dict[str, Any]:
    return {
        "attempt_index": first + index,
        "attempt_kind": "retry" if index else "fallback" if first else "first",
        # Keys that failed are not timed; a microsecond keeps the order.
        "start_time": shared["start_time"] + timedelta(microseconds=index),
    }


def _shared(record: dict[str, Any], metadata: dict[str, Any]) -> dict[str, Any]:
    own = values.required(values.text(record.get("id")), "id")
    provider, model = values.text(record.get("provider")), gateways.model_of(record.get("model"))
    said = values.text(record.get("object")) or values.text(record.get("object_type"))
    parent = values.text(metadata.get("request_id")) or values.text(record.get("parent_request_id"))
    return {
        "source_record_id": own,
        "request_id": parent or own,
        "start_time": values.required(values.moment(record.get("timestamp"), "timestamp"), "timestamp"),
        "provider_name": aliases.provider(values.required(provider, "provider")),
        "request_model": gateways.model_of(record.get("alias")) or model,
        "response_model": model,
        "operation_name": _OPERATIONS.get(str(said).removesuffix("_stream"), said),
        "request_stream": gateways.flag(record.get("stream")),
        "prompt_name": values.text(record.get("selected_prompt_name")),
        "router_name": _engines(record.get("routing_engines_used")),
        "decision_cause": values.text(record.get("routing_rule_id")),
    }


def _who(record: dict[str, Any]) -> dict[str, Any]:
    columns = {
        "organization_id": "customer_id",
        "team_id": "team_id",
        "project_id": "project_id",
        "user_id": "user_id",
        "api_key_id": "virtual_key_id",
    }
    found = {column: values.text(record.get(name)) for column, name in columns.items()}
    return {column: value for column, value in found.items() if value is not None}


def _answer(record: dict[str, Any], final: dict[str, Any]) -> dict[str, Any]:
    found = {**_outcome(record), "finish_reason": values.text(record.get("stop_reason"))}
    cache = litellm.as_dict(values.jsoned(record.get("cache_debug"), "cache_debug"))
    if cache:
        served = "semantic_hit" if cache.get("hit_type") == "semantic" else "hit"
        found["gateway_cache_status"] = served if cache.get("cache_hit") is True else "miss"
    content = {name for name in record if name.endswith(_CONTENT)}
    hit = found.get("gateway_cache_status") in ("hit", "semantic_hit")
    found |= _tokens(record, found["status"] == "ok")
    return found | {
        "attempt_kind": "cache" if hit else final["attempt_kind"],
        "is_final": True if found["status"] == "ok" else None,
        "duration_s": gateways.seconds(record.get("latency"), "latency"),
        "upstream_duration_s": gateways.seconds(record.get("upstream_latency"), "upstream_latency"),
        "gateway_overhead_s": gateways.seconds(record.get("overhead_latency"), "overhead_latency", zero=True),
        "reported_cost_usd": gateways.reported(values.usd(record.get("cost"), "cost"), found),
        "attributes": attributes.pack(record, _MAPPED | content),
    }


def _outcome(record: dict[str, Any]) -> dict[str, Any]:
    word = values.required(values.text(record.get("status")), "status")
    status = outcomes.status(word)[0]
    if status is None:
        raise BadRecordError(UNKNOWN_VALUE, "status: not finished, or not known; export the row again when it is")
    if status == "ok":
        return {"status": "ok"}
    details = litellm.as_dict(values.jsoned(record.get("error_details"), "error_details"))
    inner = litellm.as_dict(details.get("error"))
    kind = values.text(details.get("type")) or values.text(inner.get("type")) or values.text(inner.get("code"))
    code = values.integer(details.get("status_code"), "error_details.status_code") or None
    cancelled = kind == "request_cancelled"
    classes = {"request_cancelled": "cancelled", "request_timed_out": "timeout"}
    named = classes.get(kind or "") or _REASONS.get(kind or "", (None, None))[1]
    return {
        "status": "cancelled" if cancelled else status,
        "http_status_code": code,
        "error_type": kind if kind and len(kind) <= 100 else None,
        "error_class": named or outcomes.error_class(code, None),
        "error_origin": "client" if cancelled else "gateway" if details.get("is_bifrost_error") is True else "provider",
    }


def _tokens(record: dict[str, Any], ok: bool) -> dict[str, Any]:
    counts = litellm.as_dict(values.jsoned(record.get("token_usage"), "token_usage"))
    details = litellm.as_dict(counts.get("prompt_tokens_details"))
    found = usage.openai(counts or record)
    if not ok and not found["input_tokens"] and not found["output_tokens"]:
        return {}
    read = details.get("cached_read_tokens", details.get("cached_tokens", record.get("cached_read_tokens")))
    found["cache_read_input_tokens"] = values.integer(read, "cached_read_tokens")
    found["cache_creation_input_tokens"] = values.integer(details.get("cached_write_tokens"), "cached_write_tokens")
    cached = (found["cache_read_input_tokens"] or 0) + (found["cache_creation_input_tokens"] or 0)
    if found["input_tokens"] is not None and cached > found["input_tokens"]:  # passed on as Anthropic counts
        found["input_tokens"] += cached
    return found


def _failed(record: dict[str, Any]) -> list[str]:
    """Give why each key before the last was given up."""
    trail = _listed(record.get("attempt_trail")) or []
    reasons = [values.text(litellm.as_dict(entry).get("fail_reason")) for entry in trail[:-1]]
    return [reason or "unknown" for reason in reasons]


def _listed(value: Any) -> list[Any] | None:
    found = values.jsoned(value, "JSON") if isinstance(value, str) and value[:1] == "[" else value
    return found if isinstance(found, list) else None


def _engines(value: Any) -> str | None:
    return ",".join(map(str, value)) if isinstance(value, list) else values.text(value)
