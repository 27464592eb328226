"""Helicone: rows of its ClickHouse table request_response_rmt, with the scores that were given later.

Times are milliseconds, costs billionths of a dollar, ids of nothing are all zeros. Its token counts leave out what was
cached, heard or thought; where the answer's body is in the row, the provider's own counts are taken from it instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct

from fairlead.ingest import aliases, attributes, gateways, outcomes, rows, values
from fairlead.ingest.context import Context
from fairlead.ingest.quarantine import OUT_OF_RANGE, UNKNOWN_VALUE, WRONG_TYPE, BadRecordError
from fairlead.schema import Feedback

__all__ = ["NAME", "read", "recognises"]

NAME: Final = "helicone"
_MAPPED: Final = frozenset(
    (  # noqa: SIM905  one a line would fill the screen
        "response_id response_created_at latency status completion_tokens prompt_tokens prompt_cache_write_tokens"
        " prompt_cache_read_tokens prompt_audio_tokens completion_audio_tokens model request_id request_created_at"
        " user_id organization_id proxy_key_id threat time_to_first_token provider target_url properties scores"
        " request_body response_body cost updated_at cache_reference_id cache_enabled assets"
    ).split()
)
_SESSION: Final = "Helicone-Session-Id"
_PROMPT: Final = "Helicone-Prompt-Id"
_NOBODY: Final = "00000000-0000-0000-0000-000000000000"
_PENDING, _CANCELLED, _THREAT = -2, -3, -4  # statuses that are none of HTTP's
_THUMB: Final = "helicone-score-feedback"
_BOOLEAN: Final = "-hcone-bool"
_JUDGE: Final = "-laj-"


def recognises(record: dict[str, Any]) -> bool:
    """Say whether a record is a row of request_response_rmt."""
    return "request_created_at" in record and "request_id" in record and "latency" in record


def read(record: dict[str, Any], context: Context) -> Iterator[Struct]:
    """Give the attempt, what is known of its request, and its scores."""
    own = values.required(_id(record.get("request_id")), "request_id")
    start = values.required(values.moment(record.get("request_created_at"), "request_created_at"), "request_created_at")
    properties = gateways.parsed(record.get("properties"))
    found = {"source_record_id": own, "start_time": start, **gateways.caller(properties)}
    found |= _outcome(record)
    found |= _tokens(record, found)
    found |= {
        "conversation_id": values.text(properties.get(_SESSION)) or found.get("conversation_id"),
        "prompt_name": values.text(properties.get(_PROMPT)),
        "user_id": values.text(record.get("user_id")) or found.get("user_id"),
        "organization_id": values.text(record.get("organization_id")),
        "api_key_id": _id(record.get("proxy_key_id")),
        "source_updated_at": values.moment(record.get("updated_at"), "updated_at"),
        "reported_cost_usd": gateways.reported(gateways.scaled(record.get("cost"), "cost", "1e-9"), found),
        "attributes": attributes.pack(record, _MAPPED),
    }
    feedback = list(_scores(record, own, context))
    yield from gateways.attempt(NAME, found, gateways.asked(record.get("request_body")), context)
    yield from feedback


def _outcome(record: dict[str, Any]) -> dict[str, Any]:
    provider, model = values.text(record.get("provider")), gateways.model_of(record.get("model"))
    hit = _id(record.get("cache_reference_id")) is not None
    return {
        **_status(record),
        "provider_name": None if provider is None else aliases.provider(provider),
        "request_model": model,
        "response_model": model,
        "response_id": _id(record.get("response_id")),
        "server_address": gateways.host(record.get("target_url")),
        "operation_name": gateways.operation(record.get("target_url")),
        "duration_s": gateways.seconds(record.get("latency"), "latency"),
        "time_to_first_chunk_s": gateways.seconds(record.get("time_to_first_token"), "time_to_first_token"),
        "gateway_cache_status": "hit" if hit else "miss" if record.get("cache_enabled") is True else None,
        "attempt_kind": "cache" if hit else None,
    }


def _status(record: dict[str, Any]) -> dict[str, Any]:
    code = values.integer(record.get("status"), "status")
    if code == _PENDING:
        raise BadRecordError(UNKNOWN_VALUE, "status: the call is not finished; export the row again when it is")
    if record.get("threat") is True or code == _THREAT:
        return {"status": "blocked", "error_class": "content_filter", "error_origin": "gateway"}
    if code == _CANCELLED:
        return {"status": "cancelled", "error_class": "cancelled", "error_origin": "client"}
    if code is None or not 100 <= code < 600:  # not said: what was answered tells
        return {"status": "ok" if values.integer(record.get("completion_tokens"), "completion_tokens") else "error"}
    status = outcomes.status_of_code(code)
    origin = None if status == "ok" else "client" if status == "cancelled" else "provider"
    return {"status": status, "http_status_code": code, "error_origin": origin}


def _tokens(record: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    if found["gateway_cache_status"] == "hit":  # Helicone writes 0 for what it did not count
        return {}
    said = gateways.usage_of(record.get("response_body"))
    if said.get("input_tokens") is not None:
        return said
    names = ("prompt", "prompt_cache_read", "prompt_cache_write", "prompt_audio", "completion", "completion_audio")
    counts = {name: values.integer(record.get(f"{name}_tokens"), f"{name}_tokens") for name in names}
    low = next((name for name, count in counts.items() if count is not None and count < 0), None)
    if low is not None:
        raise BadRecordError(OUT_OF_RANGE, f"{low}_tokens: negative")
    if found["status"] != "ok" and not any(counts.values()):
        return {}
    heard = {"input_audio_tokens": counts["prompt_audio"], "output_audio_tokens": counts["completion_audio"]}
    return {
        "input_tokens": _sum(counts, names[:4]),
        "cache_read_input_tokens": counts["prompt_cache_read"],
        "cache_creation_input_tokens": counts["prompt_cache_write"],
        "output_tokens": _sum(counts, names[4:]),
        "usage_details": {name: count for name, count in heard.items() if count} or None,
    }


def _sum(counts: dict[str, int | None], names: tuple[str, ...]) -> int | None:
    return None if counts[names[0]] is None else sum(counts[name] or 0 for name in names)


def _scores(record: dict[str, Any], own: str, context: Context) -> Iterator[Feedback]:
    scores = record.get("scores") or {}
    if not isinstance(scores, dict):
        raise BadRecordError(WRONG_TYPE, f"scores: expected an object, got {type(scores).__name__}")
    updated = values.moment(record.get("updated_at"), "updated_at")
    for name, value in scores.items():
        score = float(value) if isinstance(value, bool) else values.number(value, "scores")
        if score is None:
            continue
        boolean = name == _THUMB or name.endswith(_BOOLEAN) or isinstance(value, bool)
        scale = {"scale_min": 0.0, "scale_max": 1.0, "score_normalized": float(score > 0)} if boolean else {}
        found = {
            # A row does not say when it was scored, only when it last changed: known by then at the latest.
            "time": updated or context.ingested_at,
            "source_updated_at": updated,
            "target_kind": "request",
            "target_id": _target(record, own),
            "response_id": _id(record.get("response_id")),
            "name": name.removesuffix(_BOOLEAN),
            "value_type": "boolean" if boolean else "numeric",
            "score_value": score,
            "evaluator_kind": "human" if name == _THUMB else "llm" if _JUDGE in name else "code",
            **scale,
        }
        yield rows.feedback(NAME, f"{own}/{name}", found, context)


def _target(record: dict[str, Any], own: str) -> str:
    echoed = gateways.parsed(record.get("properties")).get("request_id")
    return values.text(echoed) or own


def _id(value: Any) -> str | None:
    found = values.text(value)
    return None if found == _NOBODY else found
