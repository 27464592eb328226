import json
from pathlib import Path
from typing import Any

import pytest

from fairlead import ingest, store
from fairlead.project import Project

TRACE = "0123456789abcdef0123456789abcdef"
START = 1_767_225_600_250_000_000
LLM = {"openinference.span.kind": "LLM", "llm.model_name": "gpt-4o", "llm.provider": "openai"}
ANNOTATION = {
    "id": "U3BhbkFubm90YXRpb246MQ==",
    "created_at": "2026-01-02T00:00:00+00:00",
    "updated_at": "2026-01-02T00:00:00+00:00",
    "source": "APP",
    "user_id": "someone",
    "name": "correctness",
    "annotator_kind": "HUMAN",
    "result": {"label": "correct", "score": 1.0, "explanation": "I checked it."},
    "metadata": {},
    "identifier": "",
    "span_id": f"{1:016x}",
}


def rows(project: Project, sql: str) -> list[dict[str, Any]]:
    con = store.open_lake(project.lake).connect()
    try:
        return store.query(con, sql).to_dicts()
    finally:
        con.close()


def tagged(value: Any) -> dict[str, Any]:
    if isinstance(value, list):
        return {"arrayValue": {"values": [tagged(one) for one in value]}}
    kind = {bool: "boolValue", int: "intValue", float: "doubleValue"}.get(type(value), "stringValue")
    return {kind: value}


def document(*spans: dict[str, Any]) -> dict[str, Any]:
    made = [
        {
            "traceId": TRACE,
            "spanId": f"{number + 1:016x}",
            "startTimeUnixNano": str(START + number),
            "endTimeUnixNano": str(START + number + 500_000_000),
            "attributes": [{"key": name, "value": tagged(value)} for name, value in attributes.items()],
        }
        for number, attributes in enumerate(spans)
    ]
    return {"resourceSpans": [{"scopeSpans": [{"scope": {"name": "mine"}, "spans": made}]}]}


def test_real_spans_become_attempts(project: Project, formats: Path) -> None:
    result = ingest.load(project, [formats / "otlp_openinference.json"])

    assert (result.read, result.stored) == (2, 2)
    assert [
        tuple(row.values())
        for row in rows(
            project,
            "SELECT source, status, provider_name, response_model, input_tokens AS i, output_tokens AS o,"
            " reported_cost_usd::DOUBLE AS usd, finish_reason, error_class, operation_name, tags, input_chars AS n"
            " FROM attempts ORDER BY start_time",
        )
    ] == [
        ("openinference", "ok", "openai", "gpt-4o-mini", 10, 20, 1.35e-05, "stop", None, "chat", {"prod": ""}, 31),
        ("openinference", "error", "openai", "gpt-4o-mini", None, None, None, None, "rate_limit", "chat", None, 31),
    ]


def test_every_attribute_of_a_call_finds_its_column(project: Project, write: Any) -> None:
    said = {
        **LLM,
        "llm.model_name": "gpt-4o-2024-11-20",
        "llm.invocation_parameters": '{"model": "gpt-4o", "temperature": 0.5, "max_tokens": 9, "top_p": 0.9}',
        "llm.token_count.prompt": 100,
        "llm.token_count.prompt_details.cache_read": 60,
        "llm.token_count.prompt_details.cache_write": 10,
        "llm.token_count.prompt_details.audio": 4,
        "llm.token_count.completion": 50,
        "llm.token_count.completion_details.reasoning": 30,
        "llm.cost.total": 0.002,
        "llm.cost.prompt": 0.001,
        "session.id": "s-1",
        "user.id": "u-1",
        "tag.tags": ["prod", "route:maths"],
        "metadata": '{"tier": "gold", "note": "two words"}',
        "llm.input_messages.0.message.role": "user",
        "llm.input_messages.0.message.contents.0.message_content.type": "text",
        "llm.input_messages.0.message.contents.0.message_content.text": "Hello",
        "llm.input_messages.0.message.contents.1.message_content.type": "image",
        "llm.tools.0.tool.json_schema": "{}",
        "llm.tools.1.tool.json_schema": "{}",
        "input.value": "Hello",
        "output.value": "Bye",
    }
    ingest.load(project, [write([document(said)])])

    (row,) = rows(project, "SELECT * FROM attempts JOIN request_features USING (event_id)")
    wanted = {
        "request_model": "gpt-4o",
        "response_model": "gpt-4o-2024-11-20",
        "request_temperature": 0.5,
        "request_max_tokens": 9,
        "input_tokens": 100,
        "cache_read_input_tokens": 60,
        "cache_creation_input_tokens": 10,
        "output_tokens": 50,
        "reasoning_output_tokens": 30,
        "usage_details": {"input_audio_tokens": 4},
        "conversation_id": "s-1",
        "tags": {"prod": "", "route": "maths"},
        "route": "maths",
        "tools": 2,
        "images": 1,
        "input_chars": 5,
    }
    assert {name: row[name] for name in wanted} == wanted
    assert float(row["reported_cost_usd"]) == 0.002
    assert json.loads(row["attributes"]) == {
        "llm.cost.prompt": 0.001,
        "metadata": {"tier": "gold"},
        "llm.invocation_parameters": {"model": "gpt-4o", "temperature": 0.5, "max_tokens": 9, "top_p": 0.9},
    }


def test_only_calls_of_models_are_attempts_and_annotations_of_any_span_are_feedback(
    project: Project, write: Any
) -> None:
    chain = {
        "openinference.span.kind": "CHAIN",
        "annotations.0.annotation.name": "useful",
        "annotations.0.annotation.label": "yes",
        "annotations.0.annotation.annotator_kind": "HUMAN",
    }
    judged = {
        **LLM,
        "evaluations.0.evaluation.name": "toxicity",
        "evaluations.0.evaluation.score": 0.25,
        "evaluations.0.evaluation.annotator_kind": "CODE",
        "trace.evaluations.0.evaluation.name": "goal",
        "trace.evaluations.0.evaluation.label": "a label that is far too long to be one",
    }
    embedding = {"openinference.span.kind": "EMBEDDING", "embedding.model_name": "text-embedding-3-small"}
    tool = {"openinference.span.kind": "TOOL", "gen_ai.request.model": "gpt-4o"}

    result = ingest.load(project, [write([document(chain, judged, embedding, tool)])])

    assert (result.read, result.stored) == (5, 5)
    assert rows(project, "SELECT operation_name AS o, response_model AS m FROM attempts ORDER BY start_time") == [
        {"o": "chat", "m": "gpt-4o"},
        {"o": "embeddings", "m": "text-embedding-3-small"},
    ]
    assert [
        tuple(row.values())
        for row in rows(
            project,
            "SELECT name, target_kind, value_type, score_value, score_label, score_normalized, evaluator_kind"
            " FROM feedback ORDER BY name",
        )
    ] == [
        ("goal", "trace", "text", None, None, None, "llm"),
        ("toxicity", "request", "numeric", 0.25, None, None, "code"),
        ("useful", "trace", "boolean", 1.0, "yes", 1.0, "human"),
    ]


def test_a_mixed_document_loses_nothing_and_each_row_has_its_own_source(project: Project, write: Any) -> None:
    genai = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "gen_ai.system": "groq"}

    results = [
        ingest.load(project, [write([document(*spans)], f"{number}.jsonl")])
        for number, spans in enumerate([(LLM, genai), (LLM, genai, {"http.route": "/"})])
    ]

    assert [(one.read, one.stored, one.duplicates) for one in results] == [(2, 2, 0), (2, 0, 2)]
    assert rows(project, "SELECT source, provider_name AS p FROM attempts ORDER BY source") == [
        {"source": "openinference", "p": "openai"},
        {"source": "otlp", "p": "groq"},
    ]


def test_the_reader_that_takes_a_document_does_not_change_its_rows(project: Project, write: Any) -> None:
    ingest.load(project, [write([document(LLM)], "a.jsonl")])

    again = ingest.load(project, [write([document(LLM)], "b.jsonl")], reader="otlp")

    assert (again.stored, again.duplicates) == (0, 1)


def test_annotations_of_phoenix_become_feedback_and_newer_ones_replace_them(project: Project, write: Any) -> None:
    later = {**ANNOTATION, "updated_at": "2026-01-03T00:00:00Z", "result": {"score": 0.0, "label": "incorrect"}}
    session = {**ANNOTATION, "id": "2", "annotator_kind": "LLM", "session_id": "s-1", "result": {"score": 0.7}}
    del session["span_id"]
    page = {"data": [session, {**ANNOTATION, "id": "3", "name": None}], "next_cursor": None}

    results = [
        ingest.load(project, [write([one], f"{number}.jsonl")]) for number, one in enumerate([ANNOTATION, later, page])
    ]

    assert [(one.stored, one.duplicates, one.quarantined) for one in results] == [(1, 0, 0), (1, 0, 0), (1, 0, 1)]
    assert [
        tuple(row.values())
        for row in rows(
            project,
            "SELECT target_kind, target_id, value_type, score_value, score_label, score_normalized, evaluator_kind,"
            " explanation, evaluator_id = 'someone' FROM feedback ORDER BY target_kind",
        )
    ] == [
        ("conversation", "s-1", "numeric", 0.7, None, None, "llm", None, False),
        ("request", f"{1:016x}", "boolean", 0.0, "incorrect", 0.0, "human", None, False),
    ]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"span_id": ""}, "missing_field"),
        ({"created_at": None, "updated_at": None}, "missing_field"),
        ({"result": {"score": [1]}}, "wrong_type"),
        ({"name": 1.5}, "wrong_type"),
    ],
)
def test_an_annotation_that_cannot_be_read_is_set_aside(
    project: Project, write: Any, change: dict[str, Any], reason: str
) -> None:
    result = ingest.load(project, [write([{**ANNOTATION, **change}])])

    assert (result.read, result.quarantined) == (1, 1)
    assert rows(project, "SELECT reason FROM quarantine") == [{"reason": reason}]
