import json
from pathlib import Path
from typing import Any

import pytest

from fairlead import ingest, store
from fairlead.project import Project

ROW = {
    "request_id": "00000000-0000-4000-8000-00000000000a",
    "response_id": "r-a",
    "request_created_at": "2026-01-01 00:00:00.250",
    "latency": 1500,
    "time_to_first_token": 200,
    "status": 200,
    "provider": "ANTHROPIC",
    "model": "claude-haiku-4-5",
    "prompt_tokens": 12,
    "prompt_cache_read_tokens": 100,
    "prompt_cache_write_tokens": 30,
    "prompt_audio_tokens": 0,
    "completion_tokens": 8,
    "completion_audio_tokens": 0,
    "cost": 4200,
    "proxy_key_id": "00000000-0000-0000-0000-000000000000",
    "cache_reference_id": "00000000-0000-0000-0000-000000000000",
    "cache_enabled": True,
    "target_url": "https://api.anthropic.com/v1/messages",
    "user_id": "",
    "properties": {},
    "scores": {},
    "request_body": "{}",
    "response_body": "{}",
}


def rows(project: Project, sql: str) -> list[tuple[Any, ...]]:
    con = store.open_lake(project.lake).connect()
    try:
        return store.query(con, sql).rows()
    finally:
        con.close()


def test_a_published_row_becomes_an_attempt_with_its_scores(project: Project, formats: Path) -> None:
    result = ingest.load(project, [formats / "helicone_request_response_rmt.jsonl"])

    assert (result.read, result.stored) == (1, 1)
    assert rows(
        project,
        "SELECT request_id, response_id, (start_time AT TIME ZONE 'UTC')::VARCHAR, provider_name,"
        " response_model, operation_name, status,"
        " http_status_code, duration_s, time_to_first_chunk_s, input_tokens, output_tokens,"
        " reported_cost_usd::DOUBLE, gateway_cache_status, conversation_id, organization_id, api_key_id,"
        " length(user_id), server_address, attributes FROM attempts",
    ) == [
        (
            "00000000-0000-4000-8000-000000000001",
            "r-1",
            "2026-05-12 10:00:00",
            "anthropic",
            "claude-haiku-4-5",
            "chat",
            "ok",
            200,
            1.1,
            0.21,
            12,
            8,
            4.2e-06,
            None,
            "sess-1",
            "org",
            None,
            32,
            "api.anthropic.com",
            '{"country_code":"DE"}',
        )
    ]
    assert rows(
        project,
        "SELECT name, value_type, score_value, score_normalized, evaluator_kind, target_kind, target_id"
        " FROM feedback ORDER BY name",
    ) == [
        ("accuracy", "numeric", 80.0, None, "code", "request", "00000000-0000-4000-8000-000000000001"),
        ("helicone-score-feedback", "boolean", 1.0, 1.0, "human", "request", "00000000-0000-4000-8000-000000000001"),
    ]


def test_input_includes_what_was_cached_and_heard(project: Project, write: Any) -> None:
    ingest.load(project, [write([ROW | {"prompt_audio_tokens": 5, "completion_audio_tokens": 2}])])

    assert rows(
        project,
        "SELECT input_tokens, cache_read_input_tokens, cache_creation_input_tokens, output_tokens,"
        " map_extract(usage_details, 'input_audio_tokens'), map_extract(usage_details, 'output_audio_tokens')"
        " FROM attempts",
    ) == [(147, 100, 30, 10, [5], [2])]


def test_the_answers_own_counts_hold_the_thinking_that_the_row_leaves_out(project: Project, write: Any) -> None:
    usage = {
        "prompt_tokens": 12,
        "completion_tokens": 500,
        "completion_tokens_details": {"reasoning_tokens": 492},
    }
    ingest.load(project, [write([ROW | {"response_body": json.dumps({"usage": usage})}])])

    assert rows(project, "SELECT input_tokens, output_tokens, reasoning_output_tokens FROM attempts") == [
        (12, 500, 492)
    ]


def test_a_cost_of_0_is_known_only_from_the_cache_or_a_failure(project: Project, write: Any) -> None:
    hit = {"cache_reference_id": "00000000-0000-4000-8000-00000000000b", "prompt_tokens": 0, "completion_tokens": 0}
    changes = [{}, hit, {"status": 500, "completion_tokens": 0, "prompt_tokens": 0}]
    log = write([ROW | {"request_id": f"r-{n}", "cost": 0} | change for n, change in enumerate(changes)])

    ingest.load(project, [log])

    assert rows(
        project,
        "SELECT status, gateway_cache_status, attempt_kind, input_tokens, reported_cost_usd::DOUBLE"
        " FROM attempts ORDER BY request_id",
    ) == [("ok", "miss", None, 142, None), ("ok", "hit", "cache", None, 0.0), ("error", "miss", None, 130, 0.0)]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"status": 429}, ("error", 429, "rate_limit", "provider")),
        ({"status": -3}, ("cancelled", None, "cancelled", "client")),
        ({"status": -4}, ("blocked", None, "content_filter", "gateway")),
        ({"threat": True}, ("blocked", None, "content_filter", "gateway")),
        ({"status": 0}, ("ok", None, None, None)),
        ({"status": -1, "completion_tokens": 0}, ("error", None, "other", None)),
    ],
)
def test_a_status_that_is_none_of_https_is_understood(
    project: Project, write: Any, change: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    ingest.load(project, [write([ROW | change])])

    assert rows(project, "SELECT status, http_status_code, error_class, error_origin FROM attempts") == [expected]


def test_unknown_lengths_are_null(project: Project, write: Any) -> None:
    ingest.load(project, [write([ROW | {"latency": 0, "time_to_first_token": -1}])])

    assert rows(project, "SELECT duration_s, time_to_first_chunk_s FROM attempts") == [(None, None)]


def test_scores_keep_their_kind_and_the_newest_holds(project: Project, write: Any) -> None:
    scores = {"good-hcone-bool": 0, "tone-laj-x": 4, "late": None}
    first = ROW | {"scores": scores, "updated_at": "2026-01-02 00:00:00"}
    later = first | {"scores": scores | {"good-hcone-bool": 1}, "updated_at": "2026-01-03 00:00:00"}

    results = [ingest.load(project, [write([row], f"{n}.jsonl")]) for n, row in enumerate((first, later, first))]

    assert [(result.stored, result.duplicates) for result in results] == [(1, 0), (1, 0), (0, 1)]
    assert rows(
        project,
        "SELECT name, value_type, score_value, score_normalized, evaluator_kind,"
        " (time AT TIME ZONE 'UTC')::DATE::VARCHAR"
        " FROM feedback ORDER BY name",
    ) == [
        ("good", "boolean", 1.0, 1.0, "code", "2026-01-03"),
        ("tone-laj-x", "numeric", 4.0, None, "llm", "2026-01-03"),
    ]


def test_properties_carry_the_caller_and_the_decision(project: Project, write: Any) -> None:
    properties = {
        "Helicone-Session-Id": "s-1",
        "Helicone-Prompt-Id": "welcome",
        "route": "maths",
        "decision_id": "d-1",
        "propensity": "0.25",
        "policy_id": "intelligent",
        "request_id": "q-1",
        "is_exploration": "true",
    }
    body = json.dumps({"messages": [{"role": "user", "content": "Secret?"}], "tools": [{}]})
    ingest.load(project, [write([ROW | {"properties": properties, "request_body": body, "scores": {"a": 1}}])])

    assert rows(
        project,
        "SELECT a.request_id, decision_id, propensity, policy_id, is_exploration, conversation_id, prompt_name,"
        " input_chars, a.tags['route'], f.tools, target_id"
        " FROM attempts a JOIN request_features f USING (event_id), feedback",
    ) == [("q-1", "d-1", 0.25, "intelligent", True, "s-1", "welcome", 7, "maths", 1, "q-1")]


@pytest.mark.parametrize(
    ("change", "reason", "detail"),
    [
        ({"request_id": None}, "missing_field", "request_id"),
        ({"request_created_at": ""}, "missing_field", "request_created_at"),
        ({"prompt_cache_read_tokens": -5}, "out_of_range", "prompt_cache_read_tokens: negative"),
        ({"latency": -500}, "out_of_range", "latency: negative"),
        ({"cost": "dear"}, "wrong_type", "cost: expected a number"),
        ({"scores": [1]}, "wrong_type", "scores: expected an object, got list"),
        ({"status": -2}, "unknown_value", "status: the call is not finished; export the row again when it is"),
    ],
)
def test_what_cannot_be_read_is_set_aside(
    project: Project, write: Any, change: dict[str, Any], reason: str, detail: str
) -> None:
    result = ingest.load(project, [write([ROW | change])])

    assert (result.stored, result.quarantined) == (0, 1)
    assert rows(project, "SELECT reason, detail FROM quarantine") == [(reason, detail)]
