"""Cloudflare AI Gateway: log objects of its API, one by one or as a page of them. Times are ms, costs dollars.

A log says whether people liked the answer, not when they said so: that is known from when the log is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct

from fairlead.ingest import aliases, attributes, gateways, litellm, outcomes, rows, values
from fairlead.ingest.context import Context
from fairlead.ingest.quarantine import MISSING_FIELD, NOT_AN_OBJECT, OUT_OF_RANGE, UNKNOWN_VALUE, BadRecordError
from fairlead.schema import Feedback

__all__ = ["NAME", "read", "recognises", "split"]

NAME: Final = "cloudflare"
_MAPPED: Final = frozenset(
    (  # noqa: SIM905  one a line would fill the screen
        "id created_at provider model path cached cost duration request_type status_code step success tokens_in"
        " tokens_out metadata request_head response_head feedback score event_id"
    ).split()
)
_BLOCKED: Final = 424  # a guardrail or a data loss policy of the gateway said no
_OPERATIONS: Final = {"chat": "chat", "completion": "text_completion", "embeddings": "embeddings"}


def recognises(record: dict[str, Any]) -> bool:
    """Say whether a record is a log object, or a page of them."""
    result = record.get("result")
    if isinstance(result, list):
        result = result[0] if result else None
    return _is_log(record) or (isinstance(result, dict) and _is_log(result))


def split(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Give the logs of a page; any other record is its own."""
    result = document.get("result")
    if _is_log(document) or not isinstance(result, (dict, list)):
        return [document]
    return result if isinstance(result, list) else [result]


def read(record: dict[str, Any], context: Context) -> Iterator[Struct]:
    """Give the attempt, what is known of its request, and what people said of it."""
    if not isinstance(record, dict):
        raise BadRecordError(NOT_AN_OBJECT, type(record).__name__)
    own = values.required(values.text(record.get("id")), "id")
    step = max(values.integer(record.get("step"), "step") or 0, 0)
    metadata = litellm.as_dict(values.jsoned(record.get("metadata"), "metadata"))
    found = {
        "request_id": values.text(record.get("event_id")) or own,
        **gateways.caller(metadata),
        "source_record_id": own,
        "start_time": values.required(values.moment(record.get("created_at"), "created_at"), "created_at"),
        "attempt_index": step,
        **_outcome(record, step),
    }
    found |= _tokens(record, found)
    found["reported_cost_usd"] = gateways.reported(values.usd(record.get("cost"), "cost"), found)
    found["attributes"] = attributes.pack(record, _MAPPED)
    feedback = list(_feedback(record, found, context))
    whole = record.get("request_head") if record.get("request_head_complete") is True else None
    yield from gateways.attempt(NAME, found, gateways.asked(whole), context)
    yield from feedback


def _is_log(record: dict[str, Any]) -> bool:
    return "tokens_in" in record and "tokens_out" in record and "created_at" in record and "provider" in record


def _outcome(record: dict[str, Any], step: int) -> dict[str, Any]:
    code = values.integer(record.get("status_code"), "status_code") or None
    won, hit = gateways.flag(record.get("success")), gateways.flag(record.get("cached"))
    if code is None and won is None:
        raise BadRecordError(MISSING_FIELD, "status_code, success")
    status = outcomes.status_of_code(code) if code else "ok" if won else "error"
    status = "blocked" if code == _BLOCKED else "error" if status == "ok" and won is False else status
    provider, model = values.text(record.get("provider")), gateways.model_of(record.get("model"))
    kind = values.text(record.get("request_type"))
    return {
        "status": status,
        "http_status_code": code,
        "error_class": "content_filter" if status == "blocked" else None,
        "error_origin": {"ok": None, "blocked": "gateway", "cancelled": "client"}.get(status, "provider"),
        "provider_name": None if provider is None else aliases.provider(provider),
        "request_model": model,
        "response_model": model,
        "operation_name": gateways.operation(record.get("path")) or _OPERATIONS.get(kind or "", kind),
        "duration_s": gateways.seconds(record.get("duration"), "duration"),
        "gateway_cache_status": None if hit is None else "hit" if hit else "miss",
        "attempt_kind": "cache" if hit else "fallback" if step else "first",
    }


def _tokens(record: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    counts = {
        "input_tokens": values.integer(record.get("tokens_in"), "tokens_in"),
        "output_tokens": values.integer(record.get("tokens_out"), "tokens_out"),
    }
    return {} if found["status"] != "ok" and not any(counts.values()) else counts


def _feedback(record: dict[str, Any], found: dict[str, Any], context: Context) -> Iterator[Feedback]:
    thumb = values.integer(record.get("feedback"), "feedback")
    if thumb not in (None, -1, 0, 1):
        raise BadRecordError(UNKNOWN_VALUE, "feedback: neither -1 nor 0 nor 1")
    if thumb:  # 0: nobody said anything
        scale = {"value_type": "boolean", "scale_min": -1.0, "scale_max": 1.0}
        yield _said("feedback", float(thumb), (thumb + 1) / 2, scale, found, context)
    score = values.number(record.get("score"), "score")
    if score is not None and not 0 <= score <= 100:
        raise BadRecordError(OUT_OF_RANGE, "score: not from 0 to 100")
    if score is not None:
        scale = {"value_type": "numeric", "scale_min": 0.0, "scale_max": 100.0}
        yield _said("score", score, score / 100, scale, found, context)


def _said(
    name: str, value: float, normalized: float, scale: dict[str, Any], found: dict[str, Any], context: Context
) -> Feedback:
    made = {
        "time": context.ingested_at,
        "target_kind": "request",
        "target_id": found["request_id"],
        "name": name,
        "score_value": value,
        "score_normalized": normalized,
        "evaluator_kind": "human",
        **scale,
    }
    return rows.feedback(NAME, f"{found['source_record_id']}/{name}", made, context)
