"""Our own scoring server's spool (`fairlead serve --spool`): decisions it made, feedback it was told."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec
from msgspec import Struct

from fairlead.ingest import attributes, rows, values
from fairlead.ingest.context import Context
from fairlead.ingest.litellm import decision
from fairlead.ingest.quarantine import UNKNOWN_VALUE, BadRecordError
from fairlead.schema import DecisionRecord

__all__ = ["NAME", "read", "recognises"]

NAME: Final = "fairlead"
_DECISION: Final = frozenset(
    (  # noqa: SIM905
        "fairlead time decision_id request_id endpoint propensity policy_id policy_version is_exploration candidates"
    ).split()
)
_FEEDBACK: Final = frozenset(
    (  # noqa: SIM905
        "fairlead id time target_id target_kind name score label scale_min scale_max evaluator_kind evaluator_model"
        " tags"
    ).split()
)


def recognises(record: dict[str, Any]) -> bool:
    """Say whether a record is one of ours."""
    return record.get("fairlead") in ("decision", "feedback") and ("decision_id" in record or "target_id" in record)


def read(record: dict[str, Any], context: Context) -> Iterable[Struct]:
    """Give a decision's row, or a feedback's."""
    if record.get("fairlead") == "decision":
        yield _decision(record, context)
    elif record.get("fairlead") == "feedback":
        yield _feedback(record, context)
    else:
        raise BadRecordError(UNKNOWN_VALUE, "fairlead")


def _decision(record: dict[str, Any], context: Context) -> DecisionRecord:
    at = values.required(values.moment(record.get("time"), "time"), "time")
    told = decision(record, {})
    found = {
        "event_date": at.date(),
        "source": NAME,
        "time": at,
        "ingested_at": context.ingested_at,
        "request_id": values.required(values.text(record.get("request_id")), "request_id"),
        "endpoint": values.required(values.text(record.get("endpoint")), "endpoint"),
        **{name: told[name] for name in _DECISION & told.keys()},
        "attributes": attributes.pack(record, _DECISION),
    }
    return msgspec.convert({name: value for name, value in found.items() if value is not None}, DecisionRecord)


def _feedback(record: dict[str, Any], context: Context) -> Struct:
    at = values.required(values.moment(record.get("time"), "time"), "time")
    found = {
        "time": at,
        "target_kind": record.get("target_kind") or "request",
        "target_id": values.required(values.text(record.get("target_id")), "target_id"),
        "name": values.text(record.get("name")) or "feedback",
        "score_value": record.get("score"),
        "score_label": values.text(record.get("label")),
        "scale_min": values.number(record.get("scale_min"), "scale_min"),
        "scale_max": values.number(record.get("scale_max"), "scale_max"),
        "evaluator_kind": record.get("evaluator_kind") or "human",
        "evaluator_model": values.text(record.get("evaluator_model")),
        "tags": record.get("tags"),
        "attributes": attributes.pack(record, _FEEDBACK),
    }
    return rows.feedback(NAME, values.required(values.text(record.get("id")), "id"), found, context)
