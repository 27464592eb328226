"""From OTLP documents to the records that are read one by one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from fairlead.ingest.otlp import decode, dialects, evaluations, trees
from fairlead.ingest.otlp.trees import Span
from fairlead.ingest.quarantine import NO_MODEL_CALL, BadRecordError

__all__ = ["dialect", "is_document", "split"]

_SPANS: Final = ("resourceSpans", "resource_spans")
_LOGS: Final = ("resourceLogs", "resource_logs")


def is_document(record: dict[str, Any]) -> bool:
    """Say whether a record is an OTLP document of spans or of logs."""
    return any(isinstance(record.get(name), list) for name in (*_SPANS, *_LOGS))


def dialect(document: dict[str, Any]) -> str:
    """Give the dialect of a document's first span that speaks of models; by it, one reader takes the whole."""
    for _, scope, span in _leaves(document, "resourceSpans", "scopeSpans", "spans"):
        given = span.get("attributes") if isinstance(span, dict) else None
        pairs = given if isinstance(given, list) else ()
        names = dict.fromkeys(
            pair["key"] for pair in pairs if isinstance(pair, dict) and isinstance(pair.get("key"), str)
        )
        found = dialects.of(names, _scope_name(scope))
        if found == dialects.OPENINFERENCE or dialects.describes_model(names):
            return found
    return dialects.GENAI


def split(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Give a record for each model call and each evaluation, and one for each part that cannot be read."""
    found = 0
    for found, record in enumerate(_records(document), start=1):
        yield {**record, "place": found}  # keeps two that are equal apart where they are set aside
    if not found:
        raise BadRecordError(NO_MODEL_CALL, "no span or event of this document is a model call or an evaluation")


def _records(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    spans: list[Span] = []
    for resource, scope, given in _leaves(document, "resourceSpans", "scopeSpans", "spans"):
        span = _span(resource, scope, given)
        if isinstance(span, str):
            yield {"fault": span}
        else:
            spans.append(span)
    yield from trees.records(spans)
    for _, _, given in _leaves(document, "resourceLogs", "scopeLogs", "logRecords"):
        logged = evaluations.of_log(given)
        if logged is not None:
            yield logged


def _leaves(document: dict[str, Any], *path: str) -> Iterator[tuple[Any, Any, Any]]:
    """Give (resource, scope, leaf) for each leaf; what should be an object or a list and is none is a leaf itself."""
    outer, middle, inner = path
    for of_resource in _listed(document, outer):
        if not isinstance(of_resource, dict):
            yield None, None, of_resource
            continue
        groups = _listed(of_resource, middle) or _listed(of_resource, "instrumentationLibrarySpans")
        for of_scope in groups:
            if not isinstance(of_scope, dict):
                yield None, None, of_scope
                continue
            for leaf in _listed(of_scope, inner):
                yield of_resource.get("resource"), of_scope.get("scope"), leaf


def _listed(part: dict[str, Any], name: str) -> list[Any]:
    found = decode.field(part, name)
    if found is None:
        return []
    return found if isinstance(found, list) else [found]


def _span(resource: Any, scope: Any, given: Any) -> Span | str:
    """Give a span, or what is wrong with it."""
    if not isinstance(given, dict):
        return "span: expected an object"
    attributes = decode.attributes(given.get("attributes"))
    if attributes is None:
        return "attributes: expected a list of key and value"
    around = decode.attributes(resource.get("attributes")) if isinstance(resource, dict) else {}
    events = given.get("events")
    return Span(
        trace_id=decode.trace_id(decode.field(given, "traceId")),
        span_id=decode.span_id(decode.field(given, "spanId")),
        parent_span_id=decode.span_id(decode.field(given, "parentSpanId")),
        name=given["name"] if isinstance(given.get("name"), str) else "",
        start=decode.field(given, "startTimeUnixNano"),
        end=decode.field(given, "endTimeUnixNano"),
        failed=decode.is_error(given.get("status")),
        attributes=attributes,
        resource=around or {},
        events=[event for event in map(_event, events) if event is not None] if isinstance(events, list) else [],
        dialect=dialects.of(attributes, _scope_name(scope)),
    )


def _event(given: Any) -> dict[str, Any] | None:
    if not isinstance(given, dict) or not isinstance(given.get("name"), str):
        return None
    return {
        "name": given["name"],
        "time": decode.field(given, "timeUnixNano"),
        "attributes": decode.attributes(given.get("attributes")) or {},
    }


def _scope_name(scope: Any) -> str:
    return scope["name"] if isinstance(scope, dict) and isinstance(scope.get("name"), str) else ""
