import json
from pathlib import Path
from typing import Any

import pytest

from fairlead import ingest, store
from fairlead.project import Project

ROW = {
    "id": "b-1",
    "parent_request_id": None,
    "timestamp": "2026-01-01T00:00:00.123456789Z",
    "object": "chat_completion",
    "provider": "openai",
    "model": "gpt-4o-mini",
    "number_of_retries": 0,
    "fallback_index": 0,
    "status": "success",
    "stream": True,
    "latency": 900.5,
    "upstream_latency": 890.5,
    "overhead_latency": 10,
    "cost": 0.000135,
    "token_usage": {"prompt_tokens": 100, "completion_tokens": 200},
}


def rows(project: Project, sql: str) -> list[tuple[Any, ...]]:
    con = store.open_lake(project.lake).connect()
    try:
        return store.query(con, sql).rows()
    finally:
        con.close()


def test_a_real_row_becomes_an_attempt(project: Project, formats: Path) -> None:
    result = ingest.load(project, [formats / "bifrost_logs.jsonl"])

    assert (result.read, result.stored) == (1, 1)
    assert rows(
        project,
        "SELECT source_record_id, request_id, attempt_index, attempt_kind, is_final,"
        " (start_time AT TIME ZONE 'UTC')::VARCHAR, provider_name, request_model, response_model, operation_name,"
        " request_stream, status, round(duration_s, 6), round(upstream_duration_s, 6), round(gateway_overhead_s, 6),"
        " input_tokens, output_tokens, reported_cost_usd::DOUBLE, team_id, organization_id, api_key_id FROM attempts",
    ) == [
        ("d2ff438a-e903-43b5-a97c-f71057352e2b",) * 2
        + (0, "first", True, "2026-09-14 23:03:55.873261", "openai", "gpt-4o-mini", "gpt-4o-mini", "chat", False, "ok")
        + (0.058762, 0.045311, 0.013451, 100, 200, 0.000135, "team-growth", "cust-acme", "vk-growth")
    ]


def test_keys_that_failed_before_are_attempts_of_the_same_request(project: Project, write: Any) -> None:
    trail = [
        {"attempt": 0, "key_id": "k-1", "fail_reason": "rate_limit_error"},
        {"attempt": 1, "key_id": "k-1", "fail_reason": None},
        {"attempt": 2, "key_id": "k-2"},
    ]
    fallback = {"id": "b-2", "parent_request_id": "b-1", "fallback_index": 1, "provider": "anthropic", "model": "c"}
    failed = {"status": "error", "token_usage": None, "cost": 0}
    details = {"status_code": 503, "error": {"type": "server_error", "message": "Secret text"}}
    log = write(
        [
            ROW | failed | {"error_details": details, "attempt_trail": trail, "number_of_retries": 2},
            ROW | fallback | {"timestamp": "2026-01-01T00:00:02Z"},
        ]
    )

    result = ingest.load(project, [log])

    assert (result.read, result.stored) == (2, 2)
    assert rows(
        project,
        "SELECT request_id, attempt_index, attempt_kind, status, error_class, error_type, output_tokens"
        " FROM attempts ORDER BY start_time",
    ) == [
        ("b-1", 0, "first", "error", "rate_limit", "rate_limit_error", None),
        ("b-1", 1, "retry", "error", "other", "unknown", None),
        ("b-1", 2, "retry", "error", "server", "server_error", None),
        ("b-1", 1, "fallback", "ok", None, None, 200),
    ]
    assert rows(project, "SELECT attempts, status, provider_name FROM requests") == [(4, "ok", "anthropic")]
    assert "Secret" not in str(rows(project, "FROM attempts"))


def test_rows_of_the_database_hold_json_in_text(project: Project, write: Any) -> None:
    row = {key: value for key, value in ROW.items() if key != "object"} | {
        "object_type": "chat.completion",
        "token_usage": json.dumps(ROW["token_usage"]),
        "metadata": json.dumps({"decision_id": "d-1", "request_id": "q-1", "route": "maths"}),
        "cache_debug": json.dumps({"cache_hit": True, "hit_type": "semantic"}),
        "input_history": json.dumps([{"role": "user", "content": "Secret?"}]),
        "params": json.dumps({"max_completion_tokens": 9}),
        "tools": "[{}]",
        "routing_engines_used": "governance,loadbalancing",
        "cost": 0,
    }
    ingest.load(project, [write([row])])

    assert rows(
        project,
        "SELECT a.request_id, decision_id, gateway_cache_status, attempt_kind, reported_cost_usd::DOUBLE,"
        " operation_name,"
        " router_name, request_max_tokens, input_tokens, input_chars, tags['route'], tools"
        " FROM attempts a JOIN request_features USING (event_id)",
    ) == [("q-1", "d-1", "semantic_hit", "cache", 0.0, "chat", "governance,loadbalancing", 9, 100, 7, "maths", 1)]


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"prompt_tokens": 100, "prompt_tokens_details": {"cached_tokens": 60}}, (100, 60, None)),
        (
            {
                "prompt_tokens": 100,
                "prompt_tokens_details": {"cached_tokens": 60, "cached_read_tokens": 40, "cached_write_tokens": 20},
            },
            (100, 40, 20),
        ),
        ({"prompt_tokens": 10, "prompt_tokens_details": {"cached_read_tokens": 40}}, (50, 40, None)),
    ],
)
def test_input_includes_what_was_cached(
    project: Project, write: Any, counts: dict[str, Any], expected: tuple[int | None, ...]
) -> None:
    ingest.load(project, [write([ROW | {"token_usage": counts | {"completion_tokens": 1}}])])

    assert rows(project, "SELECT input_tokens, cache_read_input_tokens, cache_creation_input_tokens FROM attempts") == [
        expected
    ]


def test_the_columns_of_the_table_stand_in_for_a_missing_usage(project: Project, write: Any) -> None:
    row = ROW | {"token_usage": "", "prompt_tokens": 7, "completion_tokens": 5, "cached_read_tokens": 2, "cost": 0}
    ingest.load(project, [write([row])])

    assert rows(
        project, "SELECT input_tokens, cache_read_input_tokens, output_tokens, reported_cost_usd FROM attempts"
    ) == [(7, 2, 5, None)]


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        ({"type": "request_cancelled", "is_bifrost_error": True}, ("cancelled", "cancelled", "client")),
        ({"type": "request_timed_out", "is_bifrost_error": True}, ("error", "timeout", "gateway")),
        ({"status_code": 429, "error": {"type": "tokens"}}, ("error", "rate_limit", "provider")),
        ({}, ("error", "other", "provider")),
    ],
)
def test_why_it_failed_is_understood(
    project: Project, write: Any, details: dict[str, Any], expected: tuple[str, ...]
) -> None:
    ingest.load(project, [write([ROW | {"status": "error", "token_usage": None, "error_details": details}])])

    assert rows(project, "SELECT status, error_class, error_origin FROM attempts") == [expected]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"id": None}, "missing_field"),
        ({"timestamp": None}, "missing_field"),
        ({"provider": ""}, "missing_field"),
        ({"status": "processing"}, "unknown_value"),
        ({"token_usage": {"prompt_tokens": -1}}, "out_of_range"),
        ({"token_usage": "{broken"}, "wrong_type"),
        ({"latency": "slow"}, "wrong_type"),
        ({"upstream_latency": -7}, "out_of_range"),
        ({"cost": 1e308}, "out_of_range"),
    ],
)
def test_what_cannot_be_read_is_set_aside(project: Project, write: Any, change: dict[str, Any], reason: str) -> None:
    log = write([ROW | change])

    results = [ingest.load(project, [log]) for _ in range(2)]

    assert [(result.stored, result.quarantined) for result in results] == [(0, 1), (0, 1)]
    assert rows(project, "SELECT reason FROM quarantine") == [(reason,)]


def test_what_is_loaded_twice_is_there_once(project: Project, write: Any) -> None:
    trail = [{"fail_reason": "unknown"}, {}]
    ingest.load(project, [write([ROW | {"attempt_trail": trail}], "one.jsonl")])

    again = ingest.load(project, [write([ROW | {"attempt_trail": trail}, ROW | {"id": "b-9"}], "two.jsonl")])

    assert (again.stored, again.duplicates) == (1, 1)
    assert rows(project, "SELECT count(*) FROM attempts") == [(3,)]
