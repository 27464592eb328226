import json
from pathlib import Path
from typing import Any

import pytest

from fairlead import ingest, store
from fairlead.project import Project

GENERATION = {
    "id": "gen-1",
    "created_at": "2026-01-01T00:00:00.5+00:00",
    "model": "openai/gpt-4o-mini",
    "provider_name": "OpenAI",
    "total_cost": 0.0015,
    "upstream_inference_cost": None,
    "is_byok": False,
    "latency": 1250,
    "generation_time": 1200,
    "streamed": True,
    "cancelled": False,
    "finish_reason": "stop",
    "tokens_prompt": 11,
    "tokens_completion": 26,
    "native_tokens_prompt": 10,
    "native_tokens_completion": 25,
    "native_tokens_cached": 3,
    "native_tokens_reasoning": 5,
    "provider_responses": None,
}
TRIES = [
    {"provider_name": "Azure", "endpoint_id": "e-1", "status": 429, "latency": 100, "model_permaslug": "openai/m-1"},
    {"provider_name": "Azure", "endpoint_id": "e-1", "status": 503, "latency": 200, "model_permaslug": "openai/m-1"},
    {"provider_name": "OpenAI", "endpoint_id": "e-2", "status": 200, "latency": 700, "model_permaslug": "openai/m-2"},
]
ACTIVITY = {
    "date": "2026-01-01",
    "model": "openai/m",
    "model_permaslug": "openai/m-2026",
    "endpoint_id": "e-1",
    "provider_name": "OpenAI",
    "prompt_tokens": 50,
    "completion_tokens": 125,
    "reasoning_tokens": 25,
    "requests": 5,
    "usage": 0.015,
    "byok_usage_inference": 0.012,
}


def rows(project: Project, sql: str) -> list[tuple[Any, ...]]:
    con = store.open_lake(project.lake).connect()
    try:
        return store.query(con, sql).rows()
    finally:
        con.close()


def test_a_published_generation_becomes_an_attempt_for_each_provider(project: Project, formats: Path) -> None:
    result = ingest.load(project, [formats / "openrouter_generation.jsonl"])

    request = "req-1727282430-aBcDeFgHiJkLmNoPqRsT"
    response = "gen-3bhGkxlo4XFrqiabUM7NDtwDzWwG"
    assert (result.read, result.stored) == (1, 1)
    assert rows(
        project,
        "SELECT attempt_index, attempt_kind, is_final, request_id, response_id, provider_name, response_model,"
        " deployment_id, request_model, router_name, status, http_status_code, error_class, duration_s, input_tokens,"
        " cache_read_input_tokens, output_tokens, reasoning_output_tokens, reported_cost_usd::DOUBLE, service_tier"
        " FROM attempts ORDER BY start_time",
    ) == [
        (
            0,
            "first",
            False,
            request,
            None,
            "azure.ai.openai",
            "openai/gpt-4",
            "ep_abc123",
            "openrouter/auto",
            "openrouter/auto",
            "error",
            429,
            "rate_limit",
            0.18,
            None,
            None,
            None,
            None,
            None,
            "priority",
        ),
        (
            1,
            "fallback",
            True,
            request,
            response,
            "openai",
            "openai/gpt-4",
            "ep_abc123",
            "openrouter/auto",
            "openrouter/auto",
            "ok",
            200,
            None,
            1.2,
            10,
            3,
            25,
            5,
            0.0015,
            "priority",
        ),
    ]
    assert rows(project, "SELECT attempts, status, cost_usd::DOUBLE FROM requests") == [(2, "ok", 0.0015)]


def test_published_activity_becomes_a_bucket(project: Project, formats: Path) -> None:
    ingest.load(project, [formats / "openrouter_activity.jsonl"])

    assert rows(
        project,
        "SELECT (bucket_start AT TIME ZONE 'UTC')::VARCHAR, (bucket_end AT TIME ZONE 'UTC')::VARCHAR,"
        " provider_name, model,"
        " requests, input_tokens, output_tokens, reasoning_output_tokens, cost_usd::DOUBLE FROM usage",
    ) == [("2025-08-24 00:00:00", "2025-08-25 00:00:00", "openai", "openai/gpt-4.1-2025-04-14", 5, 50, 125, 25, 0.027)]


def test_published_feedback_is_of_a_response_and_its_comment_is_not_kept(project: Project, formats: Path) -> None:
    ingest.load(project, [formats / "openrouter_feedback.jsonl"])

    assert rows(
        project,
        "SELECT name, value_type, score_label, score_value, target_kind, target_id, evaluator_kind, explanation,"
        " attributes FROM feedback",
    ) == [
        (
            "report",
            "categorical",
            "incorrect_response",
            None,
            "response",
            "gen-3bhGkxlo4XFrqiabUM7NDtwDzWwG",
            "human",
            None,
            None,
        )
    ]


def test_published_statistics_are_refused_with_the_way_out(project: Project, formats: Path) -> None:
    ingest.load(project, [formats / "openrouter_endpoint_stats.jsonl"])

    assert rows(project, "SELECT reason, detail FROM quarantine") == [
        (
            "unknown_value",
            "statistics of an endpoint are no log of calls; load generations or activity instead",
        )
    ]


def test_tries_follow_each_other_in_time_and_only_the_last_is_paid(project: Project, write: Any) -> None:
    ingest.load(project, [write([GENERATION | {"provider_responses": TRIES}])])

    assert rows(
        project,
        "SELECT attempt_kind, status, error_class, endpoint, round(epoch_us(start_time) / 1e6 - 1767225600, 3),"
        " round(duration_s, 3), output_tokens, round(gateway_overhead_s, 3) FROM attempts ORDER BY start_time",
    ) == [
        ("first", "error", "rate_limit", "e-1", 0.5, 0.1, None, None),
        ("retry", "error", "server", "e-1", 0.6, 0.2, None, None),
        ("fallback", "ok", None, "e-2", 0.8, 0.95, 25, 0.25),
    ]
    assert rows(project, "SELECT attempts, round(duration_s, 3), first_endpoint, endpoint FROM requests") == [
        (3, 1.25, "e-1", "e-2")
    ]


@pytest.mark.parametrize(
    ("change", "lengths"),
    [
        ({}, (1.25, 1.2, 0.05)),
        ({"latency": 300}, (1.2, 1.2, None)),  # it cannot be the whole when a part of it is longer
        ({"latency": None}, (1.2, 1.2, None)),
        ({"generation_time": 0}, (1.25, None, None)),
        ({"latency": -1, "generation_time": -1}, (None, None, None)),
    ],
)
def test_the_length_of_a_generation_without_tries_is_its_own(
    project: Project, write: Any, change: dict[str, Any], lengths: tuple[float | None, ...]
) -> None:
    ingest.load(project, [write([GENERATION | change])])

    assert rows(
        project,
        "SELECT round(duration_s, 3), round(upstream_duration_s, 3), round(gateway_overhead_s, 3) FROM attempts",
    ) == [lengths]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"cancelled": True}, ("cancelled", "cancelled", "client")),
        ({"finish_reason": "error"}, ("error", "other", "provider")),
        ({"provider_responses": TRIES[:2]}, ("error", "server", "provider")),
    ],
)
def test_how_a_generation_ended_is_understood(
    project: Project, write: Any, change: dict[str, Any], expected: tuple[str, ...]
) -> None:
    ingest.load(project, [write([GENERATION | change])])

    assert rows(project, "SELECT status, error_class, error_origin FROM requests") == [expected]


@pytest.mark.parametrize(
    ("change", "cost"),
    [
        ({}, 0.0015),
        ({"is_byok": True, "upstream_inference_cost": 0.03}, 0.0315),
        ({"is_byok": True}, None),
        ({"total_cost": 0}, None),
        ({"total_cost": 0, "model": "x/m:free"}, 0.0),
        ({"total_cost": 0, "response_cache_source_id": "gen-0"}, 0.0),
        ({"total_cost": 0, "cancelled": True}, 0.0),
    ],
)
def test_the_cost_is_what_was_paid_to_all(
    project: Project, write: Any, change: dict[str, Any], cost: float | None
) -> None:
    ingest.load(project, [write([GENERATION | change])])

    assert rows(project, "SELECT reported_cost_usd::DOUBLE FROM attempts") == [(cost,)]


def test_answers_of_the_api_are_read_as_they_are(project: Project, tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text(json.dumps({"data": GENERATION}))
    (tmp_path / "page.json").write_text(json.dumps({"data": [ACTIVITY, ACTIVITY | {"endpoint_id": "e-2"}, 5]}))

    results = [ingest.load(project, [tmp_path / name]) for name in ("one.json", "page.json")]

    assert [(result.stored, result.quarantined) for result in results] == [(1, 0), (2, 1)]
    assert rows(project, "SELECT reason FROM quarantine") == [("not_an_object",)]


def test_an_echoed_decision_and_the_caller_are_taken_over(project: Project, write: Any) -> None:
    told = {"decision_id": "d-1", "propensity": 0.5, "request_id": "q-1", "team": "blue"}
    ingest.load(project, [write([GENERATION | {"trace": told, "session_id": "s-1", "external_user": "u-1"}])])

    assert rows(
        project,
        "SELECT request_id, decision_id, propensity, team_id, conversation_id, length(end_user_id) FROM attempts",
    ) == [("q-1", "d-1", 0.5, "blue", "s-1", 32)]


def test_what_is_loaded_twice_is_there_once(project: Project, write: Any) -> None:
    records = [GENERATION | {"provider_responses": TRIES}, ACTIVITY, {"generation_id": "gen-1", "category": "other"}]
    ingest.load(project, [write(records, "one.jsonl")])

    again = ingest.load(project, [write(records[::-1], "two.jsonl")])

    assert (again.stored, again.duplicates) == (0, 3)
    assert rows(
        project, "SELECT count(*) FROM attempts JOIN feedback ON feedback.target_id = attempts.response_id"
    ) == [(1,)]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (GENERATION | {"id": None}, "missing_field"),
        (GENERATION | {"created_at": None}, "missing_field"),
        (GENERATION | {"native_tokens_prompt": -1}, "out_of_range"),
        (GENERATION | {"provider_responses": {"a": 1}}, "wrong_type"),
        (GENERATION | {"provider_responses": [None]}, "wrong_type"),
        (ACTIVITY | {"requests": -5}, "out_of_range"),
        (ACTIVITY | {"date": "yesterday"}, "wrong_type"),
        (ACTIVITY | {"provider_name": None}, "missing_field"),
        ({"generation_id": "gen-1", "category": None}, "missing_field"),
    ],
)
def test_what_cannot_be_read_is_set_aside(project: Project, write: Any, record: dict[str, Any], reason: str) -> None:
    result = ingest.load(project, [write([record])])

    assert (result.stored, result.quarantined) == (0, 1)
    assert rows(project, "SELECT reason FROM quarantine") == [(reason,)]
