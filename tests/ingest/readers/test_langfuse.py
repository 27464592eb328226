import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fairlead import ingest, store
from fairlead.project import Project

OBSERVATION = {
    "id": "o-1",
    "trace_id": "t-1",
    "project_id": "p-1",
    "environment": "production",
    "type": "GENERATION",
    "parent_observation_id": "",
    "start_time": "2026-01-01 00:00:00.250000",
    "end_time": "2026-01-01 00:00:02.250000",
    "name": "answer",
    "metadata": {"ls_provider": "anthropic", "note": "two words", "tier": "gold"},
    "level": "DEFAULT",
    "status_message": "",
    "input": '[{"role": "user", "content": "Secret"}]',
    "output": "Secret",
    "provided_model_name": "claude-sonnet-4-5",
    "model_parameters": '{"temperature": 0.5, "max_tokens": 9}',
    "usage_details": {"input": 10, "output": 5, "total": 15},
    "cost_details": {"input": 0.001, "output": 0.002, "total": 0.003},
    "completion_start_time": "2026-01-01 00:00:00.750000",
    "total_cost": 0.003,
    "latency": 2000.0,
    "time_to_first_token": 500.0,
    "updated_at": "2026-01-01 00:00:03.000000",
    "user_id": "u-1",
    "session_id": "s-1",
    "tags": ["prod", "route:maths"],
    "tool_definitions": {},
}
SCORE = {
    "id": "s-1",
    "timestamp": "2026-01-02 00:00:00.000000",
    "trace_id": "t-1",
    "observation_id": "o-1",
    "session_id": None,
    "name": "helpful",
    "value": 1.0,
    "source": "ANNOTATION",
    "comment": "Quite good.",
    "data_type": "BOOLEAN",
    "string_value": "True",
    "updated_at": "2026-01-02 00:00:00.000000",
}


def rows(project: Project, sql: str) -> list[dict[str, Any]]:
    con = store.open_lake(project.lake).connect()
    try:
        return store.query(con, sql).to_dicts()
    finally:
        con.close()


def test_exported_rows_become_an_attempt_and_feedback_on_its_request(project: Project, formats: Path) -> None:
    for name in ("langfuse_observations_export.jsonl", "langfuse_scores_export.jsonl"):
        ingest.load(project, [formats / name])

    (row,) = rows(
        project,
        "SELECT a.source, a.input_tokens AS i, a.cache_read_input_tokens AS r, a.output_tokens AS o,"
        " a.reasoning_output_tokens AS t, a.reported_cost_usd::DOUBLE AS usd, a.duration_s, a.time_to_first_chunk_s,"
        " a.start_time, a.request_temperature, f.name, f.value_type, f.score_value, f.score_normalized"
        " FROM attempts a JOIN requests q USING (request_id) JOIN feedback f ON f.target_id = q.request_id",
    )
    assert tuple(row.values()) == (
        *("langfuse", 1200, 1024, 80, 32, 0.0001512, 1.25, 0.31, datetime(2026, 8, 1, 10, tzinfo=UTC), 0.2),
        *("user-thumbs", "boolean", 1.0, 1.0),
    )


def test_every_field_finds_its_column_and_no_content_is_kept(project: Project, write: Any) -> None:
    ingest.load(project, [write([OBSERVATION])])

    (row,) = rows(project, "SELECT * EXCLUDE (prompt_sha256) FROM attempts JOIN request_features USING (event_id)")
    wanted = {
        "request_id": "o-1",
        "trace_id": "t-1",
        "parent_span_id": None,
        "conversation_id": "s-1",
        "environment": "production",
        "project_id": "p-1",
        "provider_name": "anthropic",
        "request_model": "claude-sonnet-4-5",
        "request_temperature": 0.5,
        "request_max_tokens": 9,
        "duration_s": 2.0,  # the moments say so; older exports have latency in milliseconds
        "time_to_first_chunk_s": 0.5,
        "tags": {"prod": "", "route": "maths"},
        "route": "maths",
        "status": "ok",
        "input_chars": 6,
        "source_updated_at": datetime(2026, 1, 1, 0, 0, 3, tzinfo=UTC),
    }
    assert {name: row[name] for name in wanted} == wanted
    assert json.loads(row["attributes"]) == {
        "type": "GENERATION",
        "name": "answer",
        "metadata": {"ls_provider": "anthropic", "tier": "gold"},
        "model_parameters": {"temperature": 0.5, "max_tokens": 9},
        "cost_details": {"input": 0.001, "output": 0.002, "total": 0.003},
    }


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        ({"input": 10, "output": 5}, (10, None, None, 5, None)),
        ({"input": 3, "input_cache_read": 90, "input_cache_creation": 7, "output": 5}, (100, 90, 7, 5, None)),
        ({"input": 3, "cache_read_input_tokens": 97, "output": 2, "reasoning_tokens": 3}, (100, 97, None, 5, 3)),
        # Here the classes are parts of the plain counts: only those make up the total.
        ({"input": 100, "input_cached_tokens": 60, "output": 5, "total": 105}, (100, 60, None, 5, None)),
        ({}, (None, None, None, None, None)),
    ],
)
def test_usage_is_summed_by_what_each_class_counts(
    project: Project, write: Any, usage: dict[str, int], counts: tuple[int | None, ...]
) -> None:
    ingest.load(project, [write([{**OBSERVATION, "usage_details": usage}])])

    (row,) = rows(
        project,
        "SELECT input_tokens, cache_read_input_tokens, cache_creation_input_tokens, output_tokens,"
        " reasoning_output_tokens FROM attempts",
    )
    assert tuple(row.values()) == counts


def test_a_cost_of_zero_for_used_tokens_is_unknown_and_a_failure_may_be_free(project: Project, write: Any) -> None:
    failed = {"level": "ERROR", "status_message": "Secret", "usage_details": {"input": 0, "output": 0}}
    log = write(
        [
            {**OBSERVATION, "total_cost": 0.0},
            {**OBSERVATION, "id": "o-2", "total_cost": 0, "start_time": "2026-01-01 00:00:01", **failed},
        ]
    )

    ingest.load(project, [log])

    assert rows(
        project,
        "SELECT status, input_tokens AS i, reported_cost_usd::DOUBLE AS usd FROM attempts ORDER BY start_time",
    ) == [{"status": "ok", "i": 10, "usd": None}, {"status": "error", "i": None, "usd": 0.0}]


def test_rows_that_were_updated_replace_what_they_were(project: Project, write: Any) -> None:
    newer = {**OBSERVATION, "updated_at": "2026-01-01 00:01:00", "total_cost": 0.5}
    rescored = {**SCORE, "updated_at": "2026-01-03 00:00:00", "value": 0.0, "string_value": "False"}

    results = [
        ingest.load(project, [write([one], f"{number}.jsonl")])
        for number, one in enumerate([OBSERVATION, newer, SCORE, rescored, {**OBSERVATION, "name": "late"}])
    ]

    assert [(one.stored, one.duplicates) for one in results] == [(1, 0), (1, 0), (1, 0), (1, 0), (0, 1)]
    assert rows(project, "SELECT reported_cost_usd::DOUBLE AS usd FROM attempts") == [{"usd": 0.5}]
    assert rows(project, "SELECT score_normalized AS score FROM feedback") == [{"score": 0.0}]


@pytest.mark.parametrize(
    ("changes", "columns"),
    [
        ({"data_type": "NUMERIC", "value": 4.5, "string_value": None}, ("request", "o-1", "numeric", 4.5, None, None)),
        ({"data_type": "BOOLEAN", "value": 0}, ("request", "o-1", "boolean", 0.0, "True", 0.0)),
        (
            {"data_type": "CATEGORICAL", "value": 2, "string_value": "neutral", "observation_id": None},
            ("trace", "t-1", "categorical", 2.0, "neutral", None),
        ),
        (
            {"data_type": "TEXT", "value": 0, "string_value": "Fine", "observation_id": "", "trace_id": None}
            | {"session_id": "c-1"},
            ("conversation", "c-1", "text", None, None, None),
        ),
    ],
)
def test_scores_of_every_type_become_feedback(
    project: Project, write: Any, changes: dict[str, Any], columns: tuple[Any, ...]
) -> None:
    ingest.load(project, [write([{**SCORE, **changes}])])

    (row,) = rows(
        project, "SELECT target_kind, target_id, value_type, score_value, score_label, score_normalized FROM feedback"
    )
    assert tuple(row.values()) == columns
    assert "Quite good" not in json.dumps(rows(project, "SELECT * FROM feedback"), default=str)


@pytest.mark.parametrize(("source", "kind"), [("API", "human"), ("ANNOTATION", "human"), ("EVAL", "llm")])
def test_who_scored_follows_from_the_source_of_a_score(project: Project, write: Any, source: str, kind: str) -> None:
    ingest.load(project, [write([{**SCORE, "source": source}])])

    assert rows(project, "SELECT evaluator_kind AS kind FROM feedback") == [{"kind": kind}]


def test_csv_exports_are_read(project: Project, tmp_path: Path) -> None:
    log = tmp_path / "observations.csv"
    usage = json.dumps({"input": 10, "input_cached_tokens": 90, "output": 5}).replace('"', '""')
    log.write_text(
        "id,trace_id,type,parent_observation_id,start_time,end_time,provided_model_name,usage_details,total_cost,tags\r\n"
        f'o-1,t-1,GENERATION,,2026-01-01 00:00:00,2026-01-01 00:00:01,openai/gpt-4o,"{usage}",0.5,"[""prod""]"\r\n'
    )

    result = ingest.load(project, [log])

    assert (result.read, result.stored) == (1, 1)
    assert rows(project, "SELECT provider_name AS p, response_model AS m, input_tokens AS i, tags FROM attempts") == [
        {"p": "openai", "m": "gpt-4o", "i": 100, "tags": {"prod": ""}}
    ]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({**OBSERVATION, "type": "SPAN"}, "no_model_call"),
        ({"id": "t-1", "timestamp": "2026-01-01", "bookmarked": False, "session_id": "s"}, "no_model_call"),
        ({**OBSERVATION, "id": None}, "missing_field"),
        ({**OBSERVATION, "start_time": ""}, "missing_field"),
        ({**OBSERVATION, "start_time": "soon"}, "wrong_type"),
        ({**OBSERVATION, "usage_details": {"input": -1}}, "out_of_range"),
        ({**OBSERVATION, "usage_details": {"input": -1, "input_cached_tokens": 9}}, "out_of_range"),
        ({**OBSERVATION, "usage_details": {"input": "many"}}, "wrong_type"),
        ({**OBSERVATION, "usage_details": "{"}, "wrong_type"),
        ({**OBSERVATION, "total_cost": "NaN"}, "nan_or_infinity"),
        ({**SCORE, "data_type": None}, "missing_field"),
        ({**SCORE, "data_type": "STARS"}, "unknown_value"),
        ({**SCORE, "data_type": "NUMERIC", "value": None}, "missing_field"),
        ({**SCORE, "trace_id": None, "observation_id": None}, "missing_field"),
        ({**SCORE, "name": ""}, "missing_field"),
    ],
)
def test_what_cannot_be_read_is_set_aside_with_its_reason(
    project: Project, write: Any, record: dict[str, Any], reason: str
) -> None:
    result = ingest.load(project, [write([record])])

    assert (result.read, result.quarantined) == (1, 1)
    assert rows(project, "SELECT reason FROM quarantine") == [{"reason": reason}]
