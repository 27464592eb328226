import json
from pathlib import Path
from typing import Any

import pytest

from fairlead import ingest, store
from fairlead.project import Project

LOG = {
    "id": "c-1",
    "created_at": "2026-01-01T00:00:00.25Z",
    "provider": "openai",
    "model": "gpt-4o-mini",
    "path": "chat/completions",
    "cached": False,
    "cost": 1.35e-05,
    "duration": 812,
    "status_code": 200,
    "success": True,
    "step": 0,
    "tokens_in": 10,
    "tokens_out": 20,
    "metadata": None,
}


def rows(project: Project, sql: str) -> list[tuple[Any, ...]]:
    con = store.open_lake(project.lake).connect()
    try:
        return store.query(con, sql).rows()
    finally:
        con.close()


def test_a_published_log_becomes_an_attempt(project: Project, formats: Path) -> None:
    result = ingest.load(project, [formats / "cloudflare_ai_gateway_log.jsonl"])

    assert (result.read, result.stored) == (1, 1)
    assert rows(
        project,
        "SELECT request_id, (start_time AT TIME ZONE 'UTC')::VARCHAR, provider_name, response_model, operation_name,"
        " status, http_status_code, duration_s, input_tokens, output_tokens, reported_cost_usd::DOUBLE,"
        " gateway_cache_status, attempt_index, attempt_kind, team_id, length(user_id), map_keys(tags) FROM attempts",
    ) == [
        (
            "01J0",
            "2025-02-01 10:00:00",
            "openai",
            "gpt-4o-mini",
            "chat",
            "ok",
            200,
            0.812,
            10,
            20,
            1.35e-05,
            "miss",
            0,
            "first",
            "search",
            32,
            ["team"],
        )
    ]


def test_a_step_is_a_fallback_and_an_event_its_request(project: Project, write: Any) -> None:
    failed = {"status_code": 500, "success": False, "tokens_in": 0, "tokens_out": 0, "cost": 0, "event_id": "q"}
    after = {"id": "c-2", "step": 1, "event_id": "q", "created_at": "2026-01-01T00:00:02Z", "provider": "anthropic"}
    ingest.load(project, [write([LOG | failed, LOG | after])])

    assert rows(
        project,
        "SELECT request_id, attempt_index, attempt_kind, status, input_tokens, reported_cost_usd::DOUBLE"
        " FROM attempts ORDER BY start_time",
    ) == [("q", 0, "first", "error", None, 0.0), ("q", 1, "fallback", "ok", 10, 1.35e-05)]
    assert rows(project, "SELECT attempts, status FROM requests") == [(2, "ok")]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"cost": 0}, ("ok", "miss", "first", None, None)),
        ({"cost": 0, "cached": True}, ("ok", "hit", "cache", 0.0, None)),
        ({"status_code": 424, "success": False}, ("blocked", "miss", "first", 1.35e-05, "gateway")),
        ({"success": False}, ("error", "miss", "first", 1.35e-05, "provider")),
        ({"status_code": 0, "success": True}, ("ok", "miss", "first", 1.35e-05, None)),
        ({"cached": None}, ("ok", None, "first", 1.35e-05, None)),
    ],
)
def test_how_it_ended_is_understood(
    project: Project, write: Any, change: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    ingest.load(project, [write([LOG | change])])

    assert rows(
        project,
        "SELECT status, gateway_cache_status, attempt_kind, reported_cost_usd::DOUBLE, error_origin FROM attempts",
    ) == [expected]


def test_thumbs_and_scores_become_feedback(project: Project, write: Any) -> None:
    said = [{"feedback": -1}, {"feedback": 1, "score": 70}, {"feedback": 0}, {"feedback": None, "score": None}]
    ingest.load(project, [write([LOG | {"id": f"c-{n}"} | one for n, one in enumerate(said)])])

    assert rows(
        project,
        "SELECT target_id, name, value_type, score_value, score_normalized, evaluator_kind, target_kind"
        " FROM feedback ORDER BY target_id, name",
    ) == [
        ("c-0", "feedback", "boolean", -1.0, 0.0, "human", "request"),
        ("c-1", "feedback", "boolean", 1.0, 1.0, "human", "request"),
        ("c-1", "score", "numeric", 70.0, 0.7, "human", "request"),
    ]


def test_pages_of_the_api_are_read_as_they_are(project: Project, tmp_path: Path) -> None:
    page = {"success": True, "result": [LOG, LOG | {"id": "c-2"}, None], "result_info": {"page": 1}}
    (tmp_path / "page.json").write_text(json.dumps(page))

    result = ingest.load(project, [tmp_path / "page.json"])

    assert (result.read, result.stored, result.quarantined) == (3, 2, 1)


def test_metadata_and_a_whole_head_tell_of_the_request(project: Project, write: Any) -> None:
    head = json.dumps({"messages": [{"role": "user", "content": "Secret?"}], "tools": [{}]})
    told = {"decision_id": "d-1", "request_id": "q-1", "route": "maths"}
    logs = [
        LOG | {"metadata": json.dumps(told), "request_head": head, "request_head_complete": True},
        LOG | {"id": "c-2", "request_head": head[:20], "request_head_complete": False},
    ]
    ingest.load(project, [write(logs)])

    assert rows(
        project,
        "SELECT request_id, decision_id, input_chars, tags['route'] FROM attempts ORDER BY source_record_id",
    ) == [("q-1", "d-1", 7, "maths"), ("c-2", None, None, None)]
    assert rows(project, "SELECT tools FROM request_features WHERE prompt_sha256 IS NOT NULL") == [(1,)]
    assert "Secret" not in str(rows(project, "FROM attempts"))


def test_what_is_loaded_twice_is_there_once(project: Project, write: Any) -> None:
    ingest.load(project, [write([LOG | {"feedback": 1}], "one.jsonl")])

    again = ingest.load(project, [write([LOG | {"feedback": 1}, LOG | {"id": "c-2"}], "two.jsonl")])

    assert (again.stored, again.duplicates) == (1, 1)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"id": None}, "missing_field"),
        ({"created_at": None}, "missing_field"),
        ({"status_code": None, "success": None}, "missing_field"),
        ({"tokens_in": -1}, "out_of_range"),
        ({"duration": -5}, "out_of_range"),
        ({"metadata": "{broken"}, "wrong_type"),
        ({"tokens_out": {}}, "wrong_type"),
        ({"feedback": 5}, "unknown_value"),
        ({"score": 101}, "out_of_range"),
    ],
)
def test_what_cannot_be_read_is_set_aside(project: Project, write: Any, change: dict[str, Any], reason: str) -> None:
    result = ingest.load(project, [write([LOG | change])])

    assert (result.stored, result.quarantined) == (0, 1)
    assert rows(project, "SELECT reason FROM quarantine") == [(reason,)]
