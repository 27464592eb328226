import json
from pathlib import Path
from typing import Any

import pytest

from fairlead import ingest, store
from fairlead.project import Project

START = 1_767_225_600_250_000_000
IDS = ["AAAAAAAAAAE=", "AAAAAAAAAAI=", "AAAAAAAAAAM="]


def rows(project: Project, sql: str) -> list[dict[str, Any]]:
    con = store.open_lake(project.lake).connect()
    try:
        return store.query(con, sql).to_dicts()
    finally:
        con.close()


def span(number: int, kind: str, attributes: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    said = {"mlflow.spanType": kind, **(attributes or {})}
    return {
        "trace_id": "ASNFZ4mrze8BI0VniavN7w==",
        "span_id": IDS[number],
        "parent_span_id": None,
        "start_time_unix_nano": START + number,
        "end_time_unix_nano": START + 500_000_000,
        "events": [],
        "status": {"code": "STATUS_CODE_OK", "message": ""},
        "attributes": {name: json.dumps(value) for name, value in said.items()},
        **changes,
    }


def trace(*spans: Any, assessments: Any = (), **info: Any) -> dict[str, Any]:
    made = {
        "trace_id": "tr-1",
        "request_time": "2026-01-01T00:00:00.250Z",
        "state": "OK",
        "trace_metadata": {"mlflow.trace.session": "s-1", "mlflow.trace.user": "u-1", "mlflow.traceInputs": "secret"},
        "tags": {"mlflow.traceName": "x", "team": "search"},
        "assessments": list(assessments),
        **info,
    }
    return {"info": made, "data": {"spans": list(spans)}}


def assessment(**changes: Any) -> dict[str, Any]:
    made = {
        "assessment_id": "a-1",
        "assessment_name": "thumbs",
        "trace_id": "tr-1",
        "source": {"source_type": "HUMAN", "source_id": "someone"},
        "create_time": "2026-01-02T00:00:00Z",
        "last_update_time": "2026-01-02T00:00:00Z",
        "feedback": {"value": True},
        "rationale": "I liked it.",
        "valid": True,
    }
    return {**made, **changes}


def test_real_traces_become_attempts_and_feedback(project: Project, formats: Path) -> None:
    result = ingest.load(project, [formats / "mlflow_traces.jsonl"])

    assert (result.read, result.stored) == (4, 4)
    model = "gpt-4o-mini-2024-07-18"
    assert [
        tuple(row.values())
        for row in rows(
            project,
            "SELECT status, provider_name, request_model, response_model, input_tokens AS i,"
            " cache_read_input_tokens AS r, output_tokens AS o, reasoning_output_tokens AS t,"
            " reported_cost_usd::DOUBLE AS usd, round(time_to_first_chunk_s, 3), round(duration_s, 3), error_class"
            " FROM attempts ORDER BY start_time",
        )
    ] == [
        ("ok", "openai", "gpt-4o-mini", model, 1200, 1024, 80, 32, 0.0001512, None, 0.814, None),
        ("ok", "openai", "gpt-4o-mini", model, 1200, 1024, 80, 32, 0.0001512, 0.14, 0.267, None),
        ("error", "openai", "gpt-4o-mini", *[None] * 7, 0.031, "rate_limit"),
    ]
    assert rows(
        project,
        "SELECT f.name, f.value_type, f.score_normalized AS score, f.evaluator_kind, f.explanation, r.request_id"
        " FROM feedback f JOIN requests r ON f.target_kind = 'trace' AND f.target_id = r.trace_id",
    ) == [
        {
            "name": "thumbs",
            "value_type": "boolean",
            "score": 1.0,
            "evaluator_kind": "human",
            "explanation": None,
            "request_id": "8134fec9a856f430",
        }
    ]


def test_a_call_carries_what_its_trace_says_and_no_content(project: Project, write: Any) -> None:
    inputs = {
        "model": "claude-sonnet-4-5",
        "system": "Be brief.",
        "messages": [{"role": "user", "content": "Secret"}],
        "temperature": 0.5,
        "max_tokens": 9,
        "tools": [{}, {}],
    }
    usage = {
        "input_tokens": 110,
        "output_tokens": 7,
        "total_tokens": 117,
        "cache_read_input_tokens": 60,
        "cache_creation_input_tokens": 40,
    }
    said = {
        "mlflow.spanInputs": inputs,
        "mlflow.spanOutputs": {"id": "msg-1", "stop_reason": "end_turn", "content": "Secret"},
        "mlflow.chat.tokenUsage": usage,
        "mlflow.llm.model": "claude-sonnet-4-5",
        "mlflow.llm.provider": "anthropic",
        "mlflow.llm.cost": {"total_cost": 0.002},
    }
    ingest.load(project, [write([trace(span(0, "CHAT_MODEL", said))])])

    (row,) = rows(project, "SELECT * EXCLUDE (prompt_sha256) FROM attempts JOIN request_features USING (event_id)")
    wanted = {
        "provider_name": "anthropic",
        "request_model": "claude-sonnet-4-5",
        "input_tokens": 110,
        "cache_read_input_tokens": 60,
        "cache_creation_input_tokens": 40,
        "output_tokens": 7,
        "finish_reason": "end_turn",
        "response_id": "msg-1",
        "request_temperature": 0.5,
        "request_max_tokens": 9,
        "conversation_id": "s-1",
        "trace_id": "tr-1",
        "span_id": f"{1:016x}",
        "tags": {"team": "search"},
        "tools": 2,
        "turn": 1,
        "input_chars": len("Be brief.\nSecret"),
    }
    assert {name: row[name] for name in wanted} == wanted
    assert "secret" not in json.dumps(row, default=str).lower()
    assert "u-1" not in json.dumps(row, default=str)


def test_other_spans_are_no_attempts_and_a_call_within_a_call_is_counted_once(project: Project, write: Any) -> None:
    cost = {"mlflow.llm.cost": {"total_cost": 0.5}, "mlflow.chat.tokenUsage": {"input_tokens": 3, "output_tokens": 4}}
    spans = [
        span(0, "CHAIN"),
        span(1, "CHAT_MODEL", cost, parent_span_id=IDS[0]),
        span(2, "CHAT_MODEL", {"mlflow.llm.model": "m"}, parent_span_id=IDS[1]),
    ]

    result = ingest.load(project, [write([trace(*spans)])])

    assert (result.read, result.stored) == (1, 1)
    assert rows(
        project, "SELECT span_id, request_id, input_tokens AS i, reported_cost_usd::DOUBLE AS usd FROM attempts"
    ) == [{"span_id": f"{3:016x}", "request_id": f"{2:016x}", "i": 3, "usd": 0.5}]


def test_a_trace_without_a_call_is_set_aside_unless_somebody_assessed_it(project: Project, write: Any) -> None:
    log = write([trace(span(0, "TOOL")), trace(), trace(span(0, "AGENT"), assessments=[assessment()])])

    result = ingest.load(project, [log])

    assert (result.read, result.stored, result.quarantined) == (3, 1, 2)
    assert {row["reason"] for row in rows(project, "SELECT reason FROM quarantine")} == {"no_model_call"}


@pytest.mark.parametrize(
    ("changes", "columns"),
    [
        ({}, ("trace", "boolean", 1.0, None, 1.0, "human", None)),
        (
            {"source": {"source_type": "LLM_JUDGE", "source_id": "gpt-4o"}, "feedback": {"value": "no"}},
            ("trace", "boolean", 0.0, "no", 0.0, "llm", None),
        ),
        (
            {"source": {"source_type": "CODE"}, "feedback": {"value": 4.5}, "span_id": f"{1:016x}"},
            ("request", "numeric", 4.5, None, None, "code", None),
        ),
        (
            {"feedback": {"value": "somewhat good"}},
            ("trace", "categorical", None, "somewhat good", None, "human", None),
        ),
        ({"feedback": {"value": "It was good, as far as I can say."}}, ("trace", "text", *[None] * 3, "human", None)),
        ({"feedback": {"error": {"error_code": "X"}}}, ("trace", "text", *[None] * 3, "human", None)),
        ({"valid": False}, ("trace", "boolean", 1.0, None, 1.0, "human", 0.0)),
    ],
    ids=["thumb", "judge", "code", "words", "prose", "failed judge", "replaced"],
)
def test_assessments_of_every_kind_become_feedback(
    project: Project, write: Any, changes: dict[str, Any], columns: tuple[Any, ...]
) -> None:
    ingest.load(project, [write([trace(span(0, "LLM"), assessments=[assessment(**changes)])])])

    (row,) = rows(
        project,
        "SELECT target_kind, value_type, score_value, score_label, score_normalized, evaluator_kind, weight"
        " FROM feedback",
    )
    assert tuple(row.values()) == columns


def test_an_expectation_is_kept_without_its_text(project: Project, write: Any) -> None:
    expected = assessment(expectation={"value": "Paris"}, assessment_name="answer")
    del expected["feedback"]

    ingest.load(project, [write([trace(span(0, "LLM"), assessments=[expected])])])

    (row,) = rows(project, "SELECT * FROM feedback")
    assert (row["name"], row["value_type"], row["score_value"]) == ("answer", "demonstration", None)
    assert not [word for word in ("Paris", "liked", "someone") if word in json.dumps(row, default=str)]


def test_a_trace_that_was_assessed_later_adds_only_that(project: Project, write: Any) -> None:
    changed = assessment(last_update_time="2026-01-03T00:00:00Z", feedback={"value": False})
    traces = [trace(span(0, "LLM"), assessments=said) for said in ([], [assessment()], [changed])]

    results = [ingest.load(project, [write([one], f"{number}.jsonl")]) for number, one in enumerate(traces)]

    assert [(one.stored, one.duplicates) for one in results] == [(1, 0), (1, 1), (1, 1)]
    assert rows(project, "SELECT score_value FROM feedback") == [{"score_value": 0.0}]


def test_what_cannot_be_read_is_set_aside_and_its_neighbours_are_not(project: Project, write: Any) -> None:
    spans = [5, span(0, "LLM", span_id="?"), span(1, "LLM", start_time_unix_nano=None), span(2, "LLM")]
    said = [7, assessment(feedback={}), assessment(create_time="?"), assessment(assessment_name=None), assessment()]

    result = ingest.load(project, [write([trace(*spans, assessments=said), trace(span(0, "LLM"), trace_id=None)])])

    assert (result.read, result.stored, result.quarantined) == (10, 2, 8)
    assert [row["reason"] for row in rows(project, "SELECT reason FROM quarantine ORDER BY reason")] == [
        "missing_field"
    ] * 5 + ["wrong_type"] * 3
