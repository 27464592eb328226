"""MLflow traces as `Trace.to_dict` writes them, with their assessments.

A trace is split into records: one for each span of the types CHAT_MODEL, LLM and EMBEDDING, and one for each
assessment. Spans of other types (chains, tools, agents, retrievers) are no attempts; what becomes of them, and of a
call within a call, is said in `fairlead.ingest.otlp`. A trace without a call or an assessment is set aside.

Assessments by people, judges and code are feedback on the trace, or on the request of the span that they name.
An expectation says what the answer should have been, which is content: that there is one is kept, its text is not.
An assessment that a later one replaced (`valid` is false) weighs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any, Final

from msgspec import Struct

from fairlead.ingest import attributes, litellm, mlflow_spans, otlp, rows, scores, values
from fairlead.ingest.context import Context
from fairlead.ingest.otlp import decode, dialects, trees
from fairlead.ingest.quarantine import MISSING_FIELD, NO_MODEL_CALL, WRONG_TYPE, BadRecordError
from fairlead.schema import Feedback

__all__ = ["NAME", "read", "recognises", "split"]

NAME: Final = "mlflow_traces"
_MAPPED: Final = frozenset(
    (  # noqa: SIM905  one a line would fill the screen
        "assessment_id assessment_name name trace_id span_id source create_time create_time_ms last_update_time"
        " last_update_time_ms feedback expectation issue rationale valid error"
    ).split()
)
_CONTENT: Final = ("mlflow.traceInputs", "mlflow.traceOutputs", "mlflow.trace.tokenUsage", "mlflow.trace.cost")
_JUDGE_COST: Final = "mlflow.assessment.judgeCost"


def recognises(record: dict[str, Any]) -> bool:
    """Say whether a record is an MLflow trace."""
    info, data = record.get("info"), record.get("data")
    return isinstance(info, dict) and isinstance(data, dict) and isinstance(data.get("spans"), list)


def split(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Give a record for each model call and each assessment of a trace."""
    if not recognises(document):
        raise BadRecordError(WRONG_TYPE, "info, data.spans: not those of a trace")
    info = document["info"]
    trace = info.get("trace_id") or info.get("request_id")
    if not isinstance(trace, str) or not trace:
        raise BadRecordError(MISSING_FIELD, "info.trace_id")
    around = _around(info)
    given = document["data"]["spans"]
    spans = [mlflow_spans.span(one, trace, NAME, around) for one in given if isinstance(one, dict)]
    calls = {span.span_id for span in spans if dialects.is_call(span.attributes)}
    assessments = info.get("assessments") or []
    said = assessments if isinstance(assessments, list) else [assessments]
    if not calls and not said and len(spans) == len(given):
        raise BadRecordError(NO_MODEL_CALL, "no span of this trace is a model call, and nobody assessed it")
    faults = ({"fault": "data.spans: expected objects"} for one in given if not isinstance(one, dict))
    assessed = ({"assessment": one, "trace_id": trace, "calls": calls} for one in said)
    for place, record in enumerate(chain(faults, trees.records(spans), assessed)):
        yield {**record, "place": place}  # keeps two that are equal apart where they are set aside


def read(record: dict[str, Any], context: Context) -> Iterator[Struct]:
    """Give the rows of a record."""
    if "assessment" in record:
        yield _feedback(record, context)
    else:
        yield from otlp.read(record, context)


def _around(info: dict[str, Any]) -> dict[str, Any]:
    """Give what a trace says of every call in it."""
    metadata = litellm.as_dict(info.get("trace_metadata") or info.get("request_metadata"))
    tags = litellm.as_dict(info.get("tags"))
    own = {name: value for name, value in metadata.items() if name not in _CONTENT}
    found = {
        "user.id": metadata.get("mlflow.trace.user"),
        "session.id": metadata.get("mlflow.trace.session"),
        "tag.tags": [f"{name}={value}" for name, value in tags.items() if not name.startswith("mlflow.")],
        "metadata": own or None,
    }
    return {name: value for name, value in found.items() if value}


def _feedback(record: dict[str, Any], context: Context) -> Feedback:
    said = record["assessment"]
    if not isinstance(said, dict):
        raise BadRecordError(WRONG_TYPE, "assessments: expected objects")
    source = litellm.as_dict(said.get("source"))
    kind = scores.evaluator(source.get("source_type"), "code")
    who = values.text(source.get("source_id"))
    metadata = litellm.as_dict(said.get("metadata"))
    span = said.get("span_id")
    call = decode.span_id(span.removeprefix("0x")) if isinstance(span, str) else None
    of_request = call in record["calls"] and call is not None
    updated = _when(said, "last_update_time")
    found = {
        "time": values.required(_when(said, "create_time") or updated, "create_time"),
        "source_updated_at": updated,
        "target_kind": "request" if of_request else "trace",
        "target_id": call if of_request else record["trace_id"],
        "trace_id": record["trace_id"],
        "name": values.required(values.text(said.get("assessment_name") or said.get("name")), "assessment_name"),
        **_score(said),
        "weight": 0.0 if said.get("valid") is False else None,
        "evaluator_kind": kind,
        "evaluator_id": context.hashed(who) if who and kind == "human" else who,
        "evaluator_cost_usd": values.usd(metadata.get(_JUDGE_COST), _JUDGE_COST),
        "attributes": attributes.pack(said, _MAPPED),
    }
    own = values.text(said.get("assessment_id")) or repr((found["target_id"], found["name"], kind, who))
    return rows.feedback(NAME, own, found, context)


def _score(said: dict[str, Any]) -> dict[str, Any]:
    if "expectation" in said:
        return {"value_type": "demonstration"}
    if "issue" in said:
        return scores.of(litellm.as_dict(said["issue"]).get("issue_name"))
    given = litellm.as_dict(said.get("feedback"))
    if "value" not in given and "error" not in given:
        raise BadRecordError(MISSING_FIELD, "feedback.value")
    value = given.get("value")
    return {"value_type": "text"} if isinstance(value, (list, dict)) else scores.of(value)


def _when(said: dict[str, Any], name: str) -> Any:
    told = values.moment(said.get(name), name)
    return told or values.moment(values.integer(said.get(f"{name}_ms"), name), name, unit="ms")
