"""Rows of Databricks' system table `system.ai_gateway.usage`, exported as JSON lines, CSV or Parquet.

The table is new and its columns may change, so only the moment, an id and the status must be there. Structs may be
JSON in text, as a CSV export has them. Where `routing_information` lists the attempts of a request, each failed one
before the last is an attempt of its own, without a moment of its own: they get the start of the request.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct

from fairlead.ingest import attributes, clock, outcomes, rows, usage, values
from fairlead.ingest.context import Context
from fairlead.ingest.told import as_dict, told

__all__ = ["NAME", "read", "recognises"]

NAME: Final = "databricks"
_MAPPED: Final = frozenset(
    (  # noqa: SIM905  one a line would fill the screen
        "event_time request_time request_id invocation_id endpoint_name requester destination_model status_code"
        " input_tokens output_tokens total_tokens token_details request_tags url latency_ms time_to_first_byte_ms"
        " account_id workspace_id service_type api_type routing_information user_agent destination_name"
    ).split()
)
_KINDS: Final = {"initial_attempt": "first", "fallback": "fallback", "retry": "retry"}
_UNKNOWN: Final = (0, -1)


def recognises(record: dict[str, Any]) -> bool:
    """Say whether a record is a row of the usage table."""
    return "destination_model" in record and "endpoint_name" in record and "requester" in record


def read(record: dict[str, Any], context: Context) -> Iterator[Struct]:
    """Give the attempts of a request."""
    request = values.required(values.text(record.get("request_id")), "request_id")
    found = {"request_id": request, **told(record.get("request_tags")), **_call(record)}
    tries = _tries(record)
    for index, one in enumerate(tries[:-1]):
        yield rows.attempt(NAME, {**found, **_failed(one), "attempt_index": index}, context)
    yield rows.attempt(NAME, {**found, **_answer(record), **_final(tries)}, context)


def _call(record: dict[str, Any]) -> dict[str, Any]:
    moment = record.get("event_time") if record.get("event_time") is not None else record.get("request_time")
    own = values.text(record.get("invocation_id")) or values.text(record.get("request_id"))
    endpoint, model = values.text(record.get("endpoint_name")), values.text(record.get("destination_model"))
    return {
        "source_record_id": own,
        "start_time": values.required(values.moment(moment, "event_time"), "event_time"),
        "provider_name": "databricks",
        "operation_name": _operation(record),
        "request_model": endpoint or model,
        "organization_id": values.text(record.get("account_id")),
        "project_id": values.text(record.get("workspace_id")),
        "user_id": values.text(record.get("requester")),
        "attributes": attributes.pack(record, _MAPPED),
    }


def _answer(record: dict[str, Any]) -> dict[str, Any]:
    ended = _status(record.get("status_code"), None)
    first = clock.seconds(record.get("time_to_first_byte_ms"), "time_to_first_byte_ms")
    lasted = clock.seconds(record.get("latency_ms"), "latency_ms")
    tokens = _tokens(record)
    counted = ended["status"] == "ok" or tokens["input_tokens"] or tokens["output_tokens"]
    return {
        **ended,
        **(tokens if counted else {}),
        "response_model": values.text(record.get("destination_model")),
        "deployment_id": values.text(record.get("destination_name")),
        "duration_s": lasted,
        # An answer that is not streamed comes as a whole: its first byte is not a first chunk.
        "time_to_first_chunk_s": first if first and lasted and first < lasted else None,
        "is_final": True,
    }


def _tokens(record: dict[str, Any]) -> dict[str, Any]:
    details = as_dict(values.jsoned(record.get("token_details"), "token_details"))
    told = {
        "input_tokens": (record, "input_tokens"),
        "cache_read_input_tokens": (details, "cache_read_input_tokens"),
        "cache_creation_input_tokens": (details, "cache_creation_input_tokens"),
        "output_tokens": (record, "output_tokens"),
        "reasoning_output_tokens": (details, "output_reasoning_tokens"),
    }
    return usage.whole({column: values.integer(part.get(name), name) for column, (part, name) in told.items()})


def _tries(record: dict[str, Any]) -> list[dict[str, Any]]:
    routing = as_dict(values.jsoned(record.get("routing_information"), "routing_information"))
    listed = routing.get("attempts")
    return [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []


def _failed(one: dict[str, Any]) -> dict[str, Any]:
    ended = _status(one.get("status_code"), values.text(one.get("error_code")))
    return {
        **ended,
        "attempt_kind": _KINDS.get(str(one.get("action")).lower()),
        "deployment_id": values.text(one.get("destination")),
        "duration_s": clock.seconds(one.get("latency_ms"), "latency_ms"),
        "is_final": False,
    }


def _final(tries: list[dict[str, Any]]) -> dict[str, Any]:
    if not tries:
        return {}
    kind = _KINDS.get(str(tries[-1].get("action")).lower())
    found = {"attempt_index": len(tries) - 1, "attempt_kind": kind}
    served = values.text(tries[-1].get("destination"))
    return {**found, "deployment_id": served} if served else found


def _status(code: Any, name: str | None) -> dict[str, Any]:
    number = values.integer(code, "status_code")
    known = None if number in _UNKNOWN else number
    values.required(known if name is None else name, "status_code")
    return outcomes.ended(known, name)


def _operation(record: dict[str, Any]) -> str | None:
    if "MCP" in str(record.get("service_type")).upper():
        return "execute_tool"
    said = f"{record.get('api_type') or ''} {record.get('url') or ''}".lower()
    kinds = (("embedding", "embeddings"), ("chat", "chat"), ("messages", "chat"), ("responses", "chat"))
    return next((kind for part, kind in kinds if part in said), values.text(record.get("api_type")))
