"""What spans and events say of the quality of a call: `gen_ai.evaluation.result`, and OpenInference's annotations.

The event stands on the span that was evaluated, in a log record that names that span, or (as some emitters have it)
as a span of its own within it. A span that is a call is its request's; any other stands for its whole trace.
The conventions do not say who evaluated nor on which scale, so the evaluator is taken for a model unless an attribute
says otherwise, and a score has a place from 0 to 1 only where its label is a verdict (`pass`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from fairlead.ingest import attributes as kept
from fairlead.ingest import rows, scores, values
from fairlead.ingest.context import Context
from fairlead.ingest.otlp import decode, dialects, gateways
from fairlead.schema import Feedback

if TYPE_CHECKING:
    from fairlead.ingest.otlp.trees import Span

__all__ = ["moment", "of_log", "of_span", "read", "record"]

EVENT: Final = "gen_ai.evaluation.result"
_NAME: Final = "gen_ai.evaluation.name"
_VALUE: Final = "gen_ai.evaluation.score.value"
_LABEL: Final = "gen_ai.evaluation.score.label"
_FLAT: Final = re.compile(r"(trace\.|session\.)?(annotations|evaluations)\.(\d+)\.(?:annotation|evaluation)\.(\w+)")
_MAPPED: Final = frozenset(
    {_NAME, _VALUE, _LABEL, "gen_ai.evaluation.explanation", "gen_ai.response.id", "event.name", "explanation", "scope"}
)
_RENAMED: Final = {"name": _NAME, "score": _VALUE, "label": _LABEL}
_SESSIONS: Final = ("session.id", "gen_ai.conversation.id")


Said = tuple["Span", Any, dict[str, Any]]


def of_span(span: Span, parent: Span | None) -> Iterator[Said]:
    """Give what a span says of itself or of the span that it is in: (what is evaluated, when, the result)."""
    for event in span.events:
        if event["name"] == EVENT:
            yield span, event["time"], event["attributes"]
    if _NAME in span.attributes:
        yield parent or span, span.start, span.attributes
    flat: dict[tuple[str, str], dict[str, Any]] = {}
    for name, value in span.attributes.items():
        match = _FLAT.fullmatch(name)
        if match is not None:
            prefix, word = match[1] or "", match[2]
            flat.setdefault((prefix, word + match[3]), {})[match[4]] = value
    for (scope, _), fields in flat.items():
        named = {_RENAMED.get(name, name): value for name, value in fields.items()}
        yield span, span.end or span.start, {**named, "scope": scope}


def record(dialect: str, span: Span, request: str | None, when: Any, said: dict[str, Any]) -> dict[str, Any]:
    """Make the record of a result on a span; `request` is its request's id where the span is a call."""
    kind, target = ("request", request) if request is not None else ("trace", span.trace_id)
    if said.get("scope") == "trace.":
        kind, target = "trace", span.trace_id
    elif said.get("scope") == "session.":
        kind, target = "conversation", dialects.first(span.attributes, *_SESSIONS)
    echoed = span.attributes if kind == "request" else {}
    return _record(dialect, (kind, target, span.trace_id), when, said) | {"echoed": echoed}


def of_log(given: Any) -> dict[str, Any] | None:
    """Give the record of a log record that holds an evaluation; None for any other."""
    if not isinstance(given, dict):
        return {"fault": "logRecords: expected an object"}
    found = decode.attributes(given.get("attributes")) or {}
    if EVENT not in (decode.field(given, "eventName"), found.get("event.name")):
        return None
    trace, span = decode.trace_id(decode.field(given, "traceId")), decode.span_id(decode.field(given, "spanId"))
    response = found.get("gen_ai.response.id")
    kind, target = ("request", span) if span else ("response", response) if response else ("trace", trace)
    when = decode.field(given, "timeUnixNano")
    if when in (None, 0, "0"):
        when = decode.field(given, "observedTimeUnixNano")
    return _record(dialects.GENAI, (kind, target, trace), when, found)


def read(given: dict[str, Any], context: Context) -> Feedback:
    """Give the feedback of a record."""
    said, (kind, target, trace) = given["evaluation"], given["target"]
    echoed = gateways.read(given.get("echoed", {})).get("request_id")
    name = values.required(values.text(said.get(_NAME)), _NAME)
    found = {
        "time": values.required(moment(given["time"], "time"), "time"),
        "target_kind": kind,
        "target_id": values.required(values.text(echoed or target), "target: neither span, response nor trace"),
        "trace_id": trace,
        "response_id": values.text(said.get("gen_ai.response.id")),
        "name": name,
        **scores.of(said.get(_VALUE), said.get(_LABEL)),
        "evaluator_kind": scores.evaluator(said.get("annotator_kind"), "llm"),
        "evaluator_model": values.text(said.get("gen_ai.evaluation.evaluator.model")),
        "attributes": kept.pack(said, _MAPPED),
    }
    who = said.get("identifier") or (given["time"], found.get("score_value"), found.get("score_label"))
    own = (found["target_kind"], found["target_id"], name, found["evaluator_kind"], who)
    return rows.feedback(given["dialect"], repr(own), found, context)


def moment(given: Any, name: str) -> Any:
    """Give a moment from nanoseconds, which in JSON are text; 0 is none."""
    nanoseconds = values.integer(decode.whole(given), name)
    return values.moment(nanoseconds, name, unit="ns") if nanoseconds else None


def _record(dialect: str, target: tuple[str, Any, str | None], time: Any, said: dict[str, Any]) -> dict[str, Any]:
    return {"evaluation": said, "target": target, "time": time, "dialect": dialect}
