import json
from pathlib import Path
from typing import Any

import pytest

from fairlead import ingest, store
from fairlead.project import Project

TRACE = "0b8f3a52-0000-4000-8000-000000000001"
ROW = {
    "id": "p-1",
    "trace_id": TRACE,
    "created_at": "2026-01-01T00:00:00.250",
    "ai_org": "openai",
    "ai_model": "gpt-4o-mini",
    "is_success": True,
    "req_units": 10,
    "res_units": 20,
    "total_units": 30,
    "cost": 0.00135,
    "cost_currency": "USD",
    "request_url": "https://api.openai.com/v1/chat/completions",
    "response_time": 900,
    "response_status_code": 200,
    "mode": "fallback",
    "last_used_option_index": 0,
    "retry_success_count": 0,
    "config": "pc-1",
    "metadata": {},
}


def rows(project: Project, sql: str) -> list[tuple[Any, ...]]:
    con = store.open_lake(project.lake).connect()
    try:
        return store.query(con, sql).rows()
    finally:
        con.close()


def test_a_published_log_object_becomes_an_attempt(project: Project, formats: Path) -> None:
    result = ingest.load(project, [formats / "portkey_log_object.jsonl"])

    assert (result.read, result.stored) == (1, 1)
    assert rows(
        project,
        "SELECT source_record_id, request_id, trace_id, span_id, parent_span_id, response_id, attempt_kind,"
        " (start_time AT TIME ZONE 'UTC')::VARCHAR, provider_name, request_model, response_model,"
        " operation_name, request_stream, status,"
        " http_status_code, duration_s, upstream_duration_s, gateway_overhead_s, input_tokens, output_tokens,"
        " reported_cost_usd::DOUBLE, gateway_cache_status, organization_id, project_id, api_key_id, prompt_name,"
        " router_name, decision_cause, map_keys(tags) FROM attempts",
    ) == [
        ("550e8400-e29b-41d4-a716-446655440000",) * 2
        + ("trace-123", "span-456", "span-789", "chatcmpl-123", "first", "2024-01-15 10:30:00", "openai", "gpt-4o")
        + ("gpt-4o", "chat", True, "ok", 200, 1.234, 1.2, 0.05, 100, 50, 2e-05, "miss", "org-123", "my-workspace")
        + ("api-key-123", "my-prompt", "pc-config-123", "single", ["key", "key1", "key2"])
    ]


def test_a_published_export_is_the_same_call_again(project: Project, formats: Path) -> None:
    ingest.load(project, [formats / "portkey_log_object.jsonl"])
    result = ingest.load(project, [formats / "portkey_log_export.jsonl"])

    assert (result.stored, result.duplicates) == (0, 1)


def test_a_published_export_becomes_an_attempt(project: Project, formats: Path) -> None:
    ingest.load(project, [formats / "portkey_log_export.jsonl"])

    assert rows(
        project,
        "SELECT response_model, status, attempt_kind, reported_cost_usd::DOUBLE, team_id, length(user_id),"
        " decision_cause FROM attempts",
    ) == [("gpt-4o-2024-08-06", "ok", None, 2e-05, "search", 32, "fallback")]


def test_published_feedback_is_of_a_trace(project: Project, formats: Path) -> None:
    ingest.load(project, [formats / "portkey_feedback.jsonl"])

    assert rows(
        project,
        "SELECT name, value_type, score_value, scale_min, scale_max, score_normalized, weight, evaluator_kind,"
        " target_kind, target_id FROM feedback",
    ) == [("feedback", "numeric", 5.0, -10.0, 10.0, 0.75, 1.0, "human", "trace", "trace-123")]


def test_costs_are_cents_and_other_currencies_are_unknown(project: Project, write: Any) -> None:
    changes = [{"cost": 1}, {"cost_currency": "EUR"}, {"cost": 0}, {"cost": 0, "is_success": False, "res_units": 0}]
    log = write([ROW | {"id": f"p-{n}"} | change for n, change in enumerate(changes)])

    ingest.load(project, [log])

    assert rows(project, "SELECT reported_cost_usd::DOUBLE FROM attempts ORDER BY source_record_id") == [
        (0.01,),
        (None,),
        (None,),
        (0.0,),
    ]


def test_fallbacks_of_one_trace_are_one_request_unless_the_trace_is_a_callers(project: Project, write: Any) -> None:
    failed = {"is_success": False, "response_status_code": 429, "res_units": 0, "req_units": 0, "cost": 0}
    after = {"created_at": "2026-01-01T00:00:01.250", "last_used_option_index": 1, "retry_success_count": 1}
    log = write(
        [
            ROW | failed,
            ROW | after | {"id": "p-2"},
            ROW | {"id": "p-3", "trace_id": "mine"},
            ROW | {"id": "p-4", "trace_id": "mine"},
        ]
    )

    ingest.load(project, [log])

    assert rows(project, "SELECT request_id, attempts, status FROM requests ORDER BY request_id") == [
        (TRACE, 2, "ok"),
        ("p-3", 1, "ok"),
        ("p-4", 1, "ok"),
    ]
    assert rows(
        project, "SELECT status, error_class, attempt_index, attempt_kind FROM attempts ORDER BY source_record_id"
    )[:2] == [("error", "rate_limit", 0, None), ("ok", None, 2, "fallback")]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"cache_status": "SEMANTIC HIT", "cost": 0}, ("ok", "semantic_hit", "cache", None)),
        ({"cache_status": "HIT", "cost": 0}, ("ok", "hit", "cache", None)),
        ({"cache_status": "DISABLED"}, ("ok", "disabled", "first", None)),
        ({"response_status_code": 446, "is_success": 0}, ("blocked", None, None, "gateway")),
        ({"response_status_code": None, "is_success": 0}, ("error", None, None, "provider")),
        ({"response_status_code": 200, "is_success": 0}, ("error", None, None, "provider")),
    ],
)
def test_how_it_ended_is_understood(
    project: Project, write: Any, change: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    ingest.load(project, [write([ROW | change])])

    assert rows(project, "SELECT status, gateway_cache_status, attempt_kind, error_origin FROM attempts") == [expected]


def test_bodies_give_the_classes_of_tokens_and_the_prompts_features(project: Project, write: Any) -> None:
    request = {"body": {"model": "fast", "messages": [{"role": "user", "content": "Secret?"}], "max_tokens": 9}}
    usage = {"input_tokens": 3, "cache_read_input_tokens": 7, "output_tokens": 5}
    log = write([ROW | {"request": request, "response": {"body": {"usage": usage, "stop_reason": "end_turn"}}}])

    ingest.load(project, [log])

    assert rows(
        project,
        "SELECT request_model, request_max_tokens, input_tokens, cache_read_input_tokens, output_tokens, finish_reason,"
        " input_chars, turn FROM attempts JOIN request_features USING (event_id)",
    ) == [("fast", 9, 10, 7, 5, "end_turn", 7, 1)]
    assert "Secret" not in str(rows(project, "FROM attempts"))


def test_metadata_is_found_in_all_three_forms(project: Project, write: Any) -> None:
    told = {"decision_id": "d-1", "_user": "u-1", "_environment": "live"}
    log = write(
        [
            ROW | {"metadata": told},
            ROW | {"id": "p-2", "metadata.key": list(told), "metadata.value": list(told.values())},
            ROW | {"id": "p-3", "request": {"portkeyHeaders": {"x-portkey-metadata": json.dumps(told)}}},
        ]
    )

    ingest.load(project, [log])

    found = rows(project, "SELECT decision_id, environment, length(user_id) FROM attempts")
    assert found == [("d-1", "live", 32)] * 3


def test_a_call_is_known_again_when_only_one_of_its_records_tells_of_retries(project: Project, write: Any) -> None:
    ingest.load(project, [write([ROW | {"retry_success_count": 2}], "one.jsonl")])

    again = ingest.load(project, [write([ROW | {"retry_success_count": None}, ROW | {"id": "p-2"}], "two.jsonl")])

    assert (again.stored, again.duplicates) == (1, 1)
    assert rows(project, "SELECT attempt_index, attempt_kind FROM attempts ORDER BY source_record_id") == [
        (2, "retry"),
        (0, "first"),
    ]


def test_feedback_read_twice_is_one_and_a_changed_mind_is_another(project: Project, write: Any) -> None:
    liked, disliked = {"trace_id": TRACE, "value": 10}, {"trace_id": TRACE, "value": -10, "weight": 0.5}
    ingest.load(project, [write([ROW, liked], "one.jsonl")])

    again = ingest.load(project, [write([liked, disliked], "two.jsonl")])

    assert (again.stored, again.duplicates) == (1, 1)
    assert rows(
        project,
        "SELECT score_normalized, weight FROM feedback JOIN attempts ON target_id = attempts.trace_id ORDER BY 1",
    ) == [(0.0, 0.5), (1.0, None)]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (ROW | {"id": None}, "missing_field"),
        (ROW | {"created_at": None}, "missing_field"),
        (ROW | {"req_units": -1}, "out_of_range"),
        (ROW | {"res_units": "many"}, "wrong_type"),
        (ROW | {"is_success": None, "response_status_code": None}, "missing_field"),
        ({"trace_id": "t", "value": 11}, "out_of_range"),
        ({"trace_id": "t", "value": None}, "missing_field"),
        ({"trace_id": "t", "value": 1, "weight": -1}, "out_of_range"),
    ],
)
def test_what_cannot_be_read_is_set_aside(project: Project, write: Any, record: dict[str, Any], reason: str) -> None:
    ingest.load(project, [write([record])])

    assert rows(project, "SELECT reason FROM quarantine") == [(reason,)]


def test_a_count_that_no_call_has_is_set_aside_and_stops_nothing(project: Project, write: Any) -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 1, "prompt_tokens_details": {"audio_tokens": 10**30}}
    result = ingest.load(project, [write([ROW | {"response": {"body": {"usage": usage}}}, ROW | {"id": "p-2"}])])

    assert (result.stored, result.quarantined) == (1, 1)
    assert rows(project, "SELECT reason FROM quarantine") == [("out_of_range",)]
