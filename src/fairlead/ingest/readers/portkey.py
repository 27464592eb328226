"""Portkey: log objects, rows of a log export (both of one call, so either may be loaded, or both), and feedback.

Costs are cents, times milliseconds. A trace id is one that the caller chose, or Portkey's own, a UUID: only that names
a request whose fallbacks share it. Feedback has no id and no time: it is known by its content, from when it is read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, Final

import msgspec
from msgspec import Struct

from fairlead.ingest import aliases, attributes, gateways, litellm, outcomes, rows, values
from fairlead.ingest.context import Context
from fairlead.ingest.quarantine import MISSING_FIELD, OUT_OF_RANGE, BadRecordError
from fairlead.schema import Feedback, record_id

__all__ = ["NAME", "read", "recognises"]

NAME: Final = "portkey"
_MAPPED: Final = frozenset(
    (  # noqa: SIM905  one a line would fill the screen
        "id _id created_at request response metrics is_success ai_org ai_model req_units res_units total_units cost"
        " request_url response_status_code response_time cache_status stream_mode retry_success_count trace_id span_id"
        " parent_span_id mode api_key_id config last_used_option_index prompt_slug workspace_slug organisation_id"
        " metadata metadata.key metadata.value gateway_processing_time upstream_response_time value weight"
        " portkeyHeaders"
    ).split()
)
_CACHE: Final = {"HIT": "hit", "SEMANTIC HIT": "semantic_hit", "MISS": "miss", "DISABLED": "disabled"}
_FEEDBACK: Final = frozenset(
    {"id", "trace_id", "value", "weight", "metadata", "created_at", "last_updated_at", "status"}
)
_GUARDRAIL: Final = 446  # a guardrail of the gateway said no
_WORST, _BEST = -10.0, 10.0


def recognises(record: dict[str, Any]) -> bool:
    """Say whether a record is a log object, a row of a log export, or feedback."""
    metrics = record.get("metrics")
    exported = "ai_org" in record and ("ai_model" in record or "req_units" in record)
    return exported or (isinstance(metrics, dict) and "ai_org" in metrics) or _is_feedback(record)


def read(record: dict[str, Any], context: Context) -> Iterator[Struct]:
    """Give the attempt and what is known of its request; or the feedback."""
    if _is_feedback(record):
        yield _feedback(record, context)
        return
    flat = {**record, **litellm.as_dict(record.get("metrics"))}
    request, response = litellm.as_dict(record.get("request")), litellm.as_dict(record.get("response"))
    said = gateways.asked(request.get("body"))
    headers = litellm.as_dict(request.get("portkeyHeaders"))
    metadata = _metadata(flat, headers) | _hooked(gateways.parsed(response.get("body")))
    found = {**gateways.caller(metadata), **_outcome(flat, response)}
    found |= _who(flat, metadata, found)
    found |= _which(flat, headers, said, found, context)
    found |= _tokens(flat, gateways.parsed(response.get("body")), found)
    found["reported_cost_usd"] = _cost(flat, found)
    found["attributes"] = attributes.pack(flat, _MAPPED)
    yield from gateways.attempt(NAME, found, said, context)


def _is_feedback(record: dict[str, Any]) -> bool:
    return "trace_id" in record and "value" in record and record.keys() <= _FEEDBACK


def _outcome(flat: dict[str, Any], response: dict[str, Any]) -> dict[str, Any]:
    code = values.integer(flat.get("response_status_code") or response.get("status"), "response_status_code")
    won = gateways.flag(flat.get("is_success"))
    if won is None and not code:
        raise BadRecordError(MISSING_FIELD, "is_success, response_status_code: export one of them")
    blocked = code == _GUARDRAIL
    status = "blocked" if blocked else outcomes.status_of_code(code) if code else "ok" if won else "error"
    status = "error" if status == "ok" and won is False else status
    provider, stream = values.text(flat.get("ai_org")), flat.get("stream_mode")
    return {
        "status": status,
        "http_status_code": code or None,
        "error_class": "content_filter" if blocked else None,
        "error_origin": None if status == "ok" else "gateway" if blocked else "provider",
        "provider_name": None if provider is None else aliases.provider(provider),
        "request_model": _model(flat, "request"),
        "response_model": _model(flat, "response"),
        "request_stream": None if stream is None else gateways.flag(stream),
        "server_address": gateways.host(flat.get("request_url")),
        "operation_name": gateways.operation(flat.get("request_url")),
        "duration_s": gateways.seconds(flat.get("response_time"), "response_time"),
        "upstream_duration_s": gateways.seconds(flat.get("upstream_response_time"), "upstream_response_time"),
        "gateway_overhead_s": gateways.seconds(
            flat.get("gateway_processing_time"), "gateway_processing_time", zero=True
        ),
        "gateway_cache_status": _CACHE.get(str(flat.get("cache_status")).upper().replace("_", " ")),
        "finish_reason": _finish(gateways.parsed(response.get("body"))),
    }


def _which(
    flat: dict[str, Any], headers: dict[str, Any], said: gateways.Asked, found: dict[str, Any], context: Context
) -> dict[str, Any]:
    own = values.required(values.text(flat.get("id")) or values.text(flat.get("_id")), "id")
    trace = values.text(flat.get("trace_id")) or values.text(headers.get("x-portkey-trace-id"))
    prompt_hash = None if said.prompt is None else context.prompt_hash(said.prompt.text)
    request = litellm.request_id(trace, own, found, prompt_hash, context.trace_is_session)
    retries = _counted(flat, "retry_success_count")
    fallbacks = _counted(flat, "last_used_option_index") if str(flat.get("mode")).lower() == "fallback" else 0
    cached = found["gateway_cache_status"] in ("hit", "semantic_hit")
    body = gateways.parsed(litellm.as_dict(flat.get("response")).get("body"))
    return {
        "source_record_id": own,
        # An export does not tell of retries: the same call has to be known again whichever of the two was read.
        "event_id": record_id(NAME, context.source_instance, own),
        "start_time": values.required(values.moment(flat.get("created_at"), "created_at"), "created_at"),
        "request_id": request,
        "attempt_index": (retries or 0) + (fallbacks or 0),
        "attempt_kind": None
        if fallbacks is None and not cached
        else litellm.kind(found["status"] == "ok", cached, retries, fallbacks),
        "trace_id": trace,
        "span_id": values.text(flat.get("span_id")),
        "parent_span_id": values.text(flat.get("parent_span_id")),
        "conversation_id": trace if context.trace_is_session else found.get("conversation_id"),
        "response_id": values.text(body.get("id")),
    }


def _counted(flat: dict[str, Any], name: str) -> int | None:
    found = values.integer(flat.get(name), name)
    return None if found is None else max(found, 0)  # -1: none succeeded


def _who(flat: dict[str, Any], metadata: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    return {
        "organization_id": values.text(flat.get("organisation_id")) or values.text(metadata.get("_organisation")),
        "project_id": values.text(flat.get("workspace_slug")),
        "api_key_id": values.text(flat.get("api_key_id")),
        "prompt_name": values.text(flat.get("prompt_slug")) or values.text(metadata.get("_prompt")),
        "router_name": values.text(flat.get("config")),
        "decision_cause": found.get("decision_cause") or values.text(flat.get("mode")),
    }


def _tokens(flat: dict[str, Any], body: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    told = {
        "input_tokens": values.integer(flat.get("req_units"), "req_units"),
        "output_tokens": values.integer(flat.get("res_units"), "res_units"),
    }
    if found["status"] != "ok" and not any(told.values()):
        return {}
    counted = gateways.usage_of(body)
    return counted if counted.get("input_tokens") is not None else told


def _cost(flat: dict[str, Any], found: dict[str, Any]) -> Any:
    currency = str(flat.get("cost_currency") or "USD").upper()
    if currency != "USD":
        return None
    return gateways.reported(gateways.scaled(flat.get("cost"), "cost", "0.01"), found)


def _model(flat: dict[str, Any], part: str) -> str | None:
    body = litellm.as_dict(flat.get(part))
    said = gateways.parsed(body.get("body"))
    return gateways.model_of(said.get("model") or body.get("model") or flat.get("ai_model"))


def _finish(body: dict[str, Any]) -> str | None:
    choices = body.get("choices")
    choice = litellm.as_dict(choices[0]) if isinstance(choices, list) and choices else {}
    return values.text(choice.get("finish_reason") or body.get("stop_reason"))


def _metadata(flat: dict[str, Any], headers: dict[str, Any]) -> dict[str, Any]:
    """Give the callers' metadata, which stands in one of three forms."""
    names, told = flat.get("metadata.key"), flat.get("metadata.value")
    pairs = dict(zip(map(str, names), told, strict=False)) if isinstance(names, list) and isinstance(told, list) else {}
    return {**gateways.parsed(headers.get("x-portkey-metadata")), **pairs, **gateways.parsed(flat.get("metadata"))}


def _hooked(body: dict[str, Any]) -> dict[str, Any]:
    """Give the decision that a webhook made before the call, which stands in the answer's results of hooks."""
    hooks = litellm.as_dict(body.get("hook_results")).get("before_request_hooks")
    for hook in hooks if isinstance(hooks, list) else ():
        for check in litellm.as_dict(hook).get("checks") or ():
            told = litellm.as_dict(litellm.as_dict(litellm.as_dict(check).get("data")).get("responseData"))
            if "decision_id" in told and "propensity" in told:
                return told
    return {}


def _feedback(record: dict[str, Any], context: Context) -> Feedback:
    trace = values.required(values.text(record.get("trace_id")), "trace_id")
    value = values.required(values.number(record.get("value"), "value"), "value")
    if not _WORST <= value <= _BEST:
        raise BadRecordError(OUT_OF_RANGE, "value: not from -10 to 10")
    content = msgspec.json.encode(record, order="sorted")
    found = {
        "time": values.moment(record.get("created_at"), "created_at") or context.ingested_at,
        "target_kind": "trace",
        "target_id": trace,
        "trace_id": trace,
        "name": "feedback",
        "value_type": "numeric",
        "score_value": value,
        "scale_min": _WORST,
        "scale_max": _BEST,
        "score_normalized": (value - _WORST) / (_BEST - _WORST),
        "weight": values.number(record.get("weight"), "weight"),
        "evaluator_kind": "human",
        "tags": gateways.caller(gateways.parsed(record.get("metadata")))["tags"],
        "attributes": attributes.pack(record, _MAPPED),
    }
    own = values.text(record.get("id")) or hashlib.blake2b(content, digest_size=16).hexdigest()
    return rows.feedback(NAME, own, found, context)
