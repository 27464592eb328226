"""OpenRouter: generation records, rows of activity, feedback on generations; as records or as its API answers them.

Statistics of endpoints are no log: they say what all of OpenRouter's callers saw, not what was asked here.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

from msgspec import Struct

from fairlead.ingest import aliases, attributes, gateways, openrouter, rows, values
from fairlead.ingest.context import Context
from fairlead.ingest.quarantine import NOT_AN_OBJECT, UNKNOWN_VALUE, BadRecordError
from fairlead.schema import Feedback, Usage

__all__ = ["NAME", "read", "recognises", "split"]

NAME: Final = "openrouter"
_GENERATION: Final = frozenset({"provider_responses", "native_tokens_prompt", "generation_time", "upstream_id"})
_STATISTICS: Final = frozenset({"uptime_last_30m", "throughput_last_30m", "latency_last_30m"})
_MAPPED: Final = frozenset(
    (  # noqa: SIM905  one a line would fill the screen
        "date model model_permaslug provider_name prompt_tokens completion_tokens reasoning_tokens requests"
        " workspace_id api_key_id"
    ).split()
)


def recognises(record: dict[str, Any]) -> bool:
    """Say whether a record, or the first one of an answer, is one of OpenRouter's."""
    data = record.get("data")
    if isinstance(data, list):
        data = data[0] if data else None
    return _kind(record) is not None or (isinstance(data, dict) and _kind(data) is not None)


def split(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Give the records of an answer of the API; any other record is its own."""
    data = document.get("data")
    if _kind(document) is not None or not isinstance(data, (dict, list)):
        return [document]
    return data if isinstance(data, list) else [data]


def read(record: dict[str, Any], context: Context) -> Iterator[Struct]:
    """Give the attempts of a generation, the bucket of a row of activity, or feedback."""
    if not isinstance(record, dict):
        raise BadRecordError(NOT_AN_OBJECT, type(record).__name__)
    kind = _kind(record)
    if kind == "generation":
        for found in openrouter.attempts(record):
            yield from gateways.attempt(NAME, found, gateways.Asked(), context)
    elif kind == "activity":
        yield _activity(record, context)
    elif kind == "feedback":
        yield _feedback(record, context)
    elif kind == "statistics":
        raise BadRecordError(
            UNKNOWN_VALUE, "statistics of an endpoint are no log of calls; load generations or activity instead"
        )
    else:
        raise BadRecordError(UNKNOWN_VALUE, "neither a generation nor activity nor feedback")


def _kind(record: dict[str, Any]) -> str | None:
    names = record.keys()
    if "generation_id" in names and "category" in names:
        return "feedback"
    if "byok_usage_inference" in names or ("date" in names and "model_permaslug" in names):
        return "activity"
    if names & _STATISTICS:
        return "statistics"
    return "generation" if "total_cost" in names and names & _GENERATION else None


def _activity(record: dict[str, Any], context: Context) -> Usage:
    """Make the bucket of one day, model and endpoint; its costs are of both purses, OpenRouter's and the provider's."""
    start = values.required(values.moment(record.get("date"), "date"), "date")
    start = start.replace(hour=0, minute=0, second=0, microsecond=0)
    provider = values.required(values.text(record.get("provider_name")), "provider_name")
    model = values.text(record.get("model_permaslug")) or values.text(record.get("model"))
    spent = [values.usd(record.get(name), name) for name in ("usage", "byok_usage_inference")]
    known = [amount for amount in spent if amount is not None]
    found = {
        "bucket_start": start,
        "bucket_end": start + timedelta(days=1),
        "provider_name": aliases.provider(provider),
        "model": values.required(model, "model"),
        "project_id": values.text(record.get("workspace_id")),
        "api_key_id": values.text(record.get("api_key_id")),
        "requests": values.integer(record.get("requests"), "requests"),
        "input_tokens": values.integer(record.get("prompt_tokens"), "prompt_tokens"),
        "output_tokens": values.integer(record.get("completion_tokens"), "completion_tokens"),
        "reasoning_output_tokens": values.integer(record.get("reasoning_tokens"), "reasoning_tokens"),
        "cost_usd": sum(known[1:], known[0]) if known else None,
        "attributes": attributes.pack(record, _MAPPED),
    }
    names = ("endpoint_id", "workspace_id", "api_key_id")
    own = [start.date().isoformat(), provider, model, *(values.text(record.get(name)) or "" for name in names)]
    return rows.usage(NAME, "/".join(map(str, own)), found, context)


def _feedback(record: dict[str, Any], context: Context) -> Feedback:
    """Make the feedback of a report; it has no time, so it is known from when it is read. Its comment is not kept."""
    target = values.required(values.text(record.get("generation_id")), "generation_id")
    category = values.required(values.text(record.get("category")), "category")
    found = {
        "time": values.moment(record.get("created_at"), "created_at") or context.ingested_at,
        "target_kind": "response",
        "target_id": target,
        "response_id": target,
        "name": "report",
        "value_type": "categorical",
        "score_label": category,
        "evaluator_kind": "human",
        "attributes": attributes.pack(record, {"comment", "generation_id", "category", "created_at"}),
    }
    return rows.feedback(NAME, f"{target}/{category}", found, context)
