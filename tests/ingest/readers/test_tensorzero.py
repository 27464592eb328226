import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fairlead import ingest, store
from fairlead.project import Project

INFERENCE = "019b76da-a8fa-7000-8000-000000000001"  # 2026-01-01 00:00:00.250
ANSWERED = "019b76da-b0ca-7000-8000-000000000002"  # two seconds later
CALL = {
    "id": ANSWERED,
    "inference_id": INFERENCE,
    "raw_request": '{"secret": 1}',
    "raw_response": '{"secret": 1}',
    "system": "Be brief.",
    "input_messages": '[{"role": "user", "content": [{"type": "text", "text": "Secret"}]}]',
    "output": "[]",
    "input_tokens": 100,
    "output_tokens": 20,
    "response_time_ms": 1500,
    "ttft_ms": 250,
    "model_name": "openai::gpt-4o-mini",
    "model_provider_name": "openai",
    "cached": False,
    "finish_reason": "stop",
    "cost": "0.002",
    "provider_cache_read_input_tokens": 60,
    "provider_cache_write_input_tokens": None,
    "snapshot_hash": "123",
    "timestamp": "2026-01-01T00:00:02Z",
}
CHAT = {
    "id": INFERENCE,
    "function_name": "draft_email",
    "variant_name": "mini",
    "episode_id": "019b76da-a8fa-7000-8000-00000000000e",
    "input": '{"system": {"tone": "polite"}, "messages": [{"role": "user", "content": [{"text": "Hi"}]}]}',
    "output": "[]",
    "inference_params": "{}",
    "processing_time_ms": 1600,
    "ttft_ms": 260,
    "tags": {"user_id": "123"},
    "dynamic_tools": ["{}", "{}"],
    "timestamp": "2026-01-01T00:00:00Z",
}
RATED = {
    "id": "019b76da-b0ca-7000-8000-000000000003",
    "target_id": INFERENCE,
    "metric_name": "accepted",
    "value": True,
    "tags": {"author": "someone", "place": "inbox"},
    "timestamp": "2026-01-02T00:00:00Z",
}


def rows(project: Project, sql: str) -> list[dict[str, Any]]:
    con = store.open_lake(project.lake).connect()
    try:
        return store.query(con, sql).to_dicts()
    finally:
        con.close()


def test_rows_of_the_tables_become_one_attempt_one_request_and_feedback(project: Project, formats: Path) -> None:
    for name in ("chat_inference", "model_inference", "feedback"):
        ingest.load(project, [formats / f"tensorzero_{name}.jsonl"])

    assert [
        tuple(row.values())
        for row in rows(
            project,
            "SELECT provider_name, response_model, input_tokens, cache_read_input_tokens, output_tokens,"
            " reported_cost_usd::DOUBLE, duration_s, time_to_first_chunk_s, start_time, finish_reason FROM attempts",
        )
    ] == [
        ("openai", "gpt-4o-mini", 1200, 1024, 80, 0.0001512, 1.25, 0.31, datetime(2024, 11, 2, 10, tzinfo=UTC), "stop")
    ]
    assert rows(project, "SELECT attempts, reported_cost_usd::DOUBLE AS usd FROM requests") == [
        {"attempts": 1, "usd": 0.0001512}
    ]
    assert rows(
        project,
        "SELECT f.name, f.score_normalized AS score, r.attempts FROM feedback f"
        " LEFT JOIN requests r ON f.target_id = r.request_id ORDER BY f.name",
    ) == [
        {"name": "draft_accepted", "score": 1.0, "attempts": 1},
        {"name": "user_rating", "score": None, "attempts": None},
    ]


@pytest.mark.parametrize("order", [(CALL, CHAT), (CHAT, CALL)], ids=["call first", "request first"])
def test_a_request_is_no_attempt_whichever_table_comes_first(
    project: Project, write: Any, order: tuple[dict[str, Any], ...]
) -> None:
    result = ingest.load(project, [write(list(order))])

    assert (result.read, result.stored) == (2, 2)
    assert rows(project, "SELECT attempts, reported_cost_usd::DOUBLE AS usd FROM requests") == [
        {"attempts": 1, "usd": 0.002}
    ]
    assert rows(
        project,
        "SELECT request_id, route, tools, turn FROM request_features WHERE event_id NOT IN"
        " (SELECT event_id FROM attempts)",
    ) == [{"request_id": INFERENCE, "route": "draft_email", "tools": 2, "turn": 1}]


def test_several_calls_of_one_inference_are_one_request(project: Project, write: Any) -> None:
    ingest.load(project, [write([CALL, {**CALL, "id": "x-2", "cost": 0.003}])])

    assert rows(project, "SELECT request_id, attempts, reported_cost_usd::DOUBLE AS usd FROM requests") == [
        {"request_id": INFERENCE, "attempts": 2, "usd": 0.005}
    ]


def test_a_call_began_as_long_before_its_id_as_it_took(project: Project, write: Any) -> None:
    log = write([CALL, {**CALL, "id": "x-2", "timestamp": None, "created_at": "2026-01-01 00:00:09"}])

    ingest.load(project, [log])

    assert rows(
        project, "SELECT start_time, duration_s AS s, response_model AS m FROM attempts ORDER BY start_time"
    ) == [
        {"start_time": datetime(2026, 1, 1, 0, 0, 0, 750_000, UTC), "s": 1.5, "m": "gpt-4o-mini"},
        {"start_time": datetime(2026, 1, 1, 0, 0, 9, tzinfo=UTC), "s": 1.5, "m": "gpt-4o-mini"},
    ]


def test_newer_columns_are_read_and_no_content_is_kept(project: Project, write: Any) -> None:
    newer = {
        "function_name": "draft_email",
        "variant_name": "mini",
        "provider_response_id": "chatcmpl-1",
        "response_model_name": "gpt-4o-mini-2024-07-18",
        "operation": "chat",
    }
    ingest.load(project, [write([{**CALL, **newer}])])

    (row,) = rows(project, "SELECT * EXCLUDE (prompt_sha256) FROM attempts JOIN request_features USING (event_id)")
    wanted = {
        "prompt_name": "draft_email",
        "variant": "mini",
        "route": "draft_email",
        "response_id": "chatcmpl-1",
        "response_model": "gpt-4o-mini-2024-07-18",
        "request_model": "openai::gpt-4o-mini",
        "input_chars": len("Be brief.\nSecret"),
        "attributes": '{"snapshot_hash":"123"}',
    }
    assert {name: row[name] for name in wanted} == wanted
    assert "secret" not in json.dumps(row, default=str).lower()


def test_what_the_gateway_had_cached_is_free_and_a_missing_cost_is_unknown(project: Project, write: Any) -> None:
    log = write(
        [{**CALL, "cached": True, "cost": 0}, {**CALL, "id": "b", "cost": 0}, {**CALL, "id": "c", "cost": None}]
    )

    ingest.load(project, [log])

    assert rows(
        project,
        "SELECT gateway_cache_status AS cache, reported_cost_usd::DOUBLE AS usd FROM attempts"
        " ORDER BY source_record_id",
    ) == [{"cache": "hit", "usd": 0.0}, {"cache": "miss", "usd": None}, {"cache": "miss", "usd": None}]


@pytest.mark.parametrize(
    ("record", "columns"),
    [
        (RATED, ("request", INFERENCE, "accepted", "boolean", 1.0, 1.0)),
        ({**RATED, "value": "false"}, ("request", INFERENCE, "accepted", "boolean", 0.0, 0.0)),
        (
            {**RATED, "value": 0, "table": "BooleanMetricFeedback"},
            ("request", INFERENCE, "accepted", "boolean", 0.0, 0.0),
        ),
        ({**RATED, "value": 4.5}, ("request", INFERENCE, "accepted", "numeric", 4.5, None)),
        (
            {"id": "f", "target_id": "e", "target_type": "episode", "value": "Secret words", "timestamp": "2026-01-02"},
            ("conversation", "e", "comment", "text", None, None),
        ),
        (
            {"id": "f", "inference_id": INFERENCE, "value": '[{"text": "Secret"}]', "timestamp": "2026-01-02"},
            ("request", INFERENCE, "demonstration", "demonstration", None, None),
        ),
    ],
    ids=["boolean", "text", "number", "float", "comment", "demonstration"],
)
def test_feedback_of_every_table_is_read(
    project: Project, write: Any, record: dict[str, Any], columns: tuple[Any, ...]
) -> None:
    ingest.load(project, [write([record])])

    (row,) = rows(
        project, "SELECT target_kind, target_id, name, value_type, score_value, score_normalized FROM feedback"
    )
    assert tuple(row.values()) == columns
    kept = json.dumps(rows(project, "SELECT * FROM feedback"), default=str)
    assert not [word for word in ("Secret", "someone") if word in kept]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({**CALL, "id": None}, "missing_field"),
        ({**CALL, "inference_id": ""}, "missing_field"),
        ({**CALL, "id": "x", "timestamp": None}, "missing_field"),
        ({**CALL, "timestamp": "soon"}, "wrong_type"),
        ({**CALL, "input_tokens": -1}, "out_of_range"),
        ({**CALL, "response_time_ms": -1}, "out_of_range"),
        ({**CALL, "cost": "much"}, "wrong_type"),
        ({**CALL, "input_messages": "["}, "wrong_type"),
        ({**CHAT, "function_name": None}, "missing_field"),
        ({**CHAT, "id": None}, "missing_field"),
        ({**RATED, "value": "much"}, "wrong_type"),
        ({**RATED, "target_id": None}, "missing_field"),
        ({**RATED, "metric_name": None}, "missing_field"),
    ],
)
def test_what_cannot_be_read_is_set_aside_with_its_reason(
    project: Project, write: Any, record: dict[str, Any], reason: str
) -> None:
    result = ingest.load(project, [write([record])])

    assert (result.read, result.quarantined) == (1, 1)
    assert rows(project, "SELECT reason FROM quarantine") == [{"reason": reason}]


def test_two_loads_give_duplicates_only(project: Project, write: Any) -> None:
    first = ingest.load(project, [write([CALL, CHAT, RATED], "a.jsonl")])
    again = ingest.load(project, [write([RATED, CHAT, CALL], "b.jsonl")])

    assert (first.stored, again.stored, again.duplicates) == (3, 0, 3)
