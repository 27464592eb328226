import json
from pathlib import Path
from typing import Any

import pytest

from fairlead import ingest, store
from fairlead.project import Project

EVENT = {
    "Datetime": "2026-01-01T00:00:00Z",
    "Gateway": "mine",
    "Provider": "google-ai-studio",
    "Model": "gemini-2.5-flash",
    "Endpoint": "v1beta/models/gemini-2.5-flash:generateContent",
    "StatusCode": 200,
    "Cached": False,
    "RateLimited": False,
    "Metadata": {"type": "encrypted", "key": "a", "iv": "b", "data": "c"},
    "RequestBody": {"type": "encrypted", "key": "a", "iv": "b", "data": "d"},
    "ResponseBody": {"type": "encrypted", "key": "a", "iv": "b", "data": "e"},
}


def rows(project: Project, sql: str) -> list[tuple[Any, ...]]:
    con = store.open_lake(project.lake).connect()
    try:
        return store.query(con, sql).rows()
    finally:
        con.close()


def test_a_published_event_gives_what_stands_in_clear(project: Project, formats: Path) -> None:
    result = ingest.load(project, [formats / "cloudflare_logpush_ai_gateway_events.jsonl"])

    assert (result.read, result.stored) == (1, 1)
    assert rows(
        project,
        "SELECT (start_time AT TIME ZONE 'UTC')::VARCHAR, provider_name, response_model, operation_name, status,"
        " http_status_code, gateway_cache_status, input_tokens, duration_s, reported_cost_usd, attributes"
        " FROM attempts",
    ) == [
        (
            "2025-02-01 10:00:00",
            "openai",
            "gpt-4o-mini",
            "chat",
            "ok",
            200,
            "miss",
            None,
            None,
            None,
            '{"Gateway":"gw"}',
        )
    ]


def test_what_was_decrypted_gives_the_rest(project: Project, write: Any) -> None:
    clear = {
        "Metadata": json.dumps({"decision_id": "d-1", "team": "blue"}),
        "RequestBody": {"messages": [{"role": "user", "content": "Secret?"}]},
        "ResponseBody": {"usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 5, "thoughtsTokenCount": 9}},
    }
    ingest.load(project, [write([EVENT | clear])])

    assert rows(
        project,
        "SELECT provider_name, operation_name, decision_id, team_id, input_chars, input_tokens, output_tokens,"
        " reasoning_output_tokens FROM attempts",
    ) == [("gcp.gemini", "chat", "d-1", "blue", 7, 3, 14, 9)]
    assert "Secret" not in str(rows(project, "FROM attempts"))


def test_an_event_is_known_by_its_content(project: Project, write: Any) -> None:
    other = EVENT | {"Metadata": {"type": "encrypted", "key": "a", "iv": "b2", "data": "c2"}}
    ingest.load(project, [write([EVENT], "one.jsonl")])

    again = ingest.load(project, [write([dict(reversed(EVENT.items())), other], "two.jsonl")])

    assert (again.stored, again.duplicates) == (1, 1)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"StatusCode": 429, "RateLimited": True}, ("error", "rate_limit", "gateway")),
        ({"StatusCode": 429}, ("error", "rate_limit", "provider")),
        ({"StatusCode": 424}, ("blocked", "content_filter", "gateway")),
        ({"Cached": True}, ("ok", None, None)),
    ],
)
def test_how_it_ended_is_understood(
    project: Project, write: Any, change: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    ingest.load(project, [write([EVENT | change])])

    assert rows(project, "SELECT status, error_class, error_origin FROM attempts") == [expected]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"Datetime": None}, "missing_field"),
        ({"StatusCode": None}, "missing_field"),
        ({"StatusCode": "odd"}, "wrong_type"),
        ({"StatusCode": -200}, "out_of_range"),
        ({"Provider": ["openai"]}, "wrong_type"),
    ],
)
def test_what_cannot_be_read_is_set_aside(project: Project, write: Any, change: dict[str, Any], reason: str) -> None:
    result = ingest.load(project, [write([EVENT | change])])

    assert (result.stored, result.quarantined) == (0, 1)
    assert rows(project, "SELECT reason FROM quarantine") == [(reason,)]
