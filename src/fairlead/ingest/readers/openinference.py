"""OTLP JSON in the OpenInference dialect, and the annotations that Phoenix exports.

What becomes of spans that are no model calls (kinds other than LLM and EMBEDDING) is said in `fairlead.ingest.otlp`.
Annotations come one a record, or as the pages of Phoenix's API (`{"data": [...], "next_cursor": ...}`). One of a span
is taken for the request of that span: Phoenix does not say of which kind the span is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct

from fairlead.ingest import attributes, otlp, rows, scores, values
from fairlead.ingest.context import Context
from fairlead.schema import Feedback

__all__ = ["NAME", "read", "recognises", "split"]

NAME: Final = "openinference"
_TARGETS: Final = {"span_id": "request", "trace_id": "trace", "session_id": "conversation"}
_MAPPED: Final = frozenset(
    (  # noqa: SIM905  one a line would fill the screen
        "id name annotator_kind result score label explanation span_id trace_id session_id created_at updated_at"
        " user_id identifier"
    ).split()
)


def recognises(record: dict[str, Any]) -> bool:
    """Say whether a record is an OTLP document of OpenInference, or annotations of Phoenix."""
    if otlp.is_document(record):
        return otlp.dialect(record) == NAME
    return _is_annotation(record) or (bool(_annotations(record)) and all(map(_is_annotation, _annotations(record))))


def split(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Give a record for each model call, evaluation or annotation of a document."""
    if otlp.is_document(document):
        yield from otlp.split(document)
    else:
        for one in _annotations(document) or [document]:
            yield one if _is_annotation(one) else {"fault": "neither spans nor an annotation"}


def read(record: dict[str, Any], context: Context) -> Iterator[Struct]:
    """Give the rows of a record."""
    if _is_annotation(record):
        yield _feedback(record, context)
    else:
        yield from otlp.read(record, context)


def _annotations(record: dict[str, Any]) -> list[dict[str, Any]]:
    data = record.get("data")
    return data if isinstance(data, list) and "next_cursor" in record else []


def _is_annotation(record: Any) -> bool:
    return isinstance(record, dict) and "annotator_kind" in record and any(name in record for name in _TARGETS)


def _feedback(record: dict[str, Any], context: Context) -> Feedback:
    kind, target = next(
        ((kind, values.text(record[name])) for name, kind in _TARGETS.items() if record.get(name)), ("", None)
    )
    result = record.get("result") if isinstance(record.get("result"), dict) else {}
    name = values.required(values.text(record.get("name")), "name")
    updated = values.moment(record.get("updated_at"), "updated_at")
    created = values.moment(record.get("created_at"), "created_at")
    person = values.text(record.get("user_id"))
    found = {
        "time": values.required(created or updated, "created_at"),
        "source_updated_at": updated,
        "target_kind": kind,
        "target_id": values.required(target, "span_id, trace_id or session_id"),
        "trace_id": target if kind == "trace" else None,
        "name": name,
        **scores.of((result or {}).get("score"), (result or {}).get("label")),
        "evaluator_kind": scores.evaluator(record.get("annotator_kind"), "code"),
        "evaluator_id": None if person is None else context.hashed(person),
        "attributes": attributes.pack(record, _MAPPED),
    }
    own = values.text(record.get("id")) or repr((kind, target, name, record.get("identifier")))
    return rows.feedback(NAME, own, found, context)
