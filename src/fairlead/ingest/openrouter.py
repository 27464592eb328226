"""One generation of OpenRouter as attempts: each provider it tried, in order, the last of which answered or gave up.

Times are milliseconds and `latency` is the whole of the request; it is measured from `created_at`. Counts are those of
the provider (native), not those by a common tokenizer, because those are what is paid for.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from fairlead.ingest import aliases, attributes, gateways, litellm, outcomes, values
from fairlead.ingest.quarantine import WRONG_TYPE, BadRecordError

__all__ = ["attempts"]

_MAPPED: Final = frozenset(
    (  # noqa: SIM905  one a line would fill the screen
        "id request_id created_at model provider_name provider_responses latency generation_time status streamed"
        " cancelled finish_reason total_cost service_tier session_id external_user workspace_id router api_type"
        " native_tokens_prompt native_tokens_completion native_tokens_cached native_tokens_reasoning"
        " native_tokens_completion_images http_referer origin user_agent metadata trace"
    ).split()
)
_OPERATIONS: Final = {"completions": "chat", "embeddings": "embeddings", "responses": "chat", "messages": "chat"}
_FREE: Final = ":free"  # a model that ends so costs nothing, and OpenRouter says so


def attempts(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Give what is found of each attempt, first to last."""
    shared = _shared(record)
    tries = _tries(record)
    waited = 0.0
    for index, one in enumerate(tries):
        last = index == len(tries) - 1
        took = gateways.seconds(one.get("latency"), "provider_responses.latency")
        found = shared | _try(one, record, last) | {"attempt_index": index, "is_final": last}
        # A microsecond apart at the least: attempts are put in order by their start.
        found["start_time"] = shared["start_time"] + timedelta(seconds=waited, microseconds=index)
        found["attempt_kind"] = _kind(index, tries, found)
        found |= _final(record, found, took, waited) if last else {"duration_s": took}
        yield found
        waited += took or 0.0


def _shared(record: dict[str, Any]) -> dict[str, Any]:
    own = values.required(values.text(record.get("id")), "id")
    told = {**litellm.as_dict(record.get("metadata")), **litellm.as_dict(record.get("trace"))}
    router, model = values.text(record.get("router")), gateways.model_of(record.get("model"))
    streamed = record.get("streamed")
    return {
        "source_record_id": own,
        "request_id": values.text(told.get("request_id")) or values.text(record.get("request_id")) or own,
        "start_time": values.required(values.moment(record.get("created_at"), "created_at"), "created_at"),
        "conversation_id": values.text(record.get("session_id")),
        "project_id": values.text(record.get("workspace_id")),
        "end_user_id": values.text(record.get("external_user")),
        "server_address": "openrouter.ai",
        "operation_name": _OPERATIONS.get(str(record.get("api_type")), values.text(record.get("api_type"))),
        "request_model": router or model,
        "router_name": router,
        "request_stream": streamed if isinstance(streamed, bool) else None,
        "service_tier": values.text(record.get("service_tier")),
        **gateways.caller(told),
    }


def _tries(record: dict[str, Any]) -> list[dict[str, Any]]:
    tries = record.get("provider_responses") or [{}]
    if not isinstance(tries, list) or not all(isinstance(one, dict) for one in tries):
        raise BadRecordError(WRONG_TYPE, "provider_responses: expected a list of objects")
    return tries


def _try(one: dict[str, Any], record: dict[str, Any], last: bool) -> dict[str, Any]:
    code = values.integer(one.get("status"), "provider_responses.status") or None
    status = outcomes.status_of_code(code) if code else "ok" if last else "error"
    cancelled, failed = record.get("cancelled") is True, record.get("finish_reason") == "error"
    if last and status == "ok":
        status = "cancelled" if cancelled else "error" if failed else "ok"
    provider = values.text(one.get("provider_name")) or values.text(record.get("provider_name"))
    return {
        "status": status,
        "http_status_code": code,
        "error_class": "cancelled" if status == "cancelled" else None,
        "error_origin": {"ok": None, "cancelled": "client"}.get(status, "provider"),
        "provider_name": None if provider is None else aliases.provider(provider),
        "response_model": gateways.model_of(one.get("model_permaslug")) or gateways.model_of(record.get("model")),
        "deployment_id": values.text(one.get("endpoint_id")),
    }


def _kind(index: int, tries: list[dict[str, Any]], found: dict[str, Any]) -> str:
    if index == 0:
        return "first"
    before = tries[index - 1]
    names = ("provider_name", "endpoint_id", "model_permaslug")
    same = all(before.get(name) == tries[index].get(name) for name in names)
    return "retry" if same and found["provider_name"] else "fallback"


def _final(record: dict[str, Any], found: dict[str, Any], took: float | None, waited: float) -> dict[str, Any]:
    total = gateways.seconds(record.get("latency"), "latency")
    generation = gateways.seconds(record.get("generation_time"), "generation_time")
    upstream = took if took is not None else generation
    rest = None if total is None else total - waited
    lengths = [length for length in (rest, upstream) if length is not None and length >= 0]
    own = {
        "duration_s": max(lengths, default=None),
        "upstream_duration_s": upstream,
        "gateway_overhead_s": rest - upstream
        if rest is not None and upstream is not None and rest >= upstream
        else None,
        "gateway_cache_status": "hit" if record.get("response_cache_source_id") else None,
        "finish_reason": values.text(record.get("finish_reason")),
        "response_id": values.text(record.get("id")),
        "attributes": attributes.pack(record, _MAPPED),
        **_tokens(record),
    }
    if own["gateway_cache_status"] == "hit":
        own["attempt_kind"] = "cache"
    return own | {"reported_cost_usd": _cost(record, {**found, **own})}


def _tokens(record: dict[str, Any]) -> dict[str, Any]:
    def count(name: str, otherwise: str | None = None) -> int | None:
        found = values.integer(record.get(name), name)
        return values.integer(record.get(otherwise), otherwise) if found is None and otherwise else found

    images = count("native_tokens_completion_images")
    return {
        "input_tokens": count("native_tokens_prompt", "tokens_prompt"),
        "cache_read_input_tokens": count("native_tokens_cached"),
        "output_tokens": count("native_tokens_completion", "tokens_completion"),
        "reasoning_output_tokens": count("native_tokens_reasoning"),
        "usage_details": {"output_image_tokens": images} if images else None,
    }


def _cost(record: dict[str, Any], found: dict[str, Any]) -> Decimal | None:
    """Give what the call cost: with a key of one's own, OpenRouter's fee and what the provider takes."""
    amount = values.usd(record.get("total_cost"), "total_cost")
    if record.get("is_byok") is True:
        upstream = values.usd(record.get("upstream_inference_cost"), "upstream_inference_cost")
        amount = None if upstream is None else upstream + (amount or 0)
    if str(record.get("model")).endswith(_FREE):
        return amount
    return gateways.reported(amount, found)
