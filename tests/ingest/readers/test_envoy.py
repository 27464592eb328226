from pathlib import Path
from typing import Any

import pytest

from fairlead import ingest, store
from fairlead.project import Project

LINE = {
    ":authority": "bedrock-runtime.eu-west-1.amazonaws.com",
    "start_time": "2026-01-01T00:00:00.250Z",
    "duration": 1500,
    "response_code": 200,
    "response_code_details": "via_upstream",
    "response_flags": "-",
    "gen_ai.provider.name": "default/claude/route/r/rule/0/ref/0",
    "gen_ai.request.model": "claude-haiku-4-5",
    "gen_ai.usage.input_tokens": 15,
    "gen_ai.usage.output_tokens": 7,
    "route_name": "httproute/default/r",
    "x-envoy-origin-path": "/v1/chat/completions",
    "x-request-id": "e-1",
    "x-forwarded-for": "10.1.2.3",
    "downstream_remote_address": "10.1.2.3:64484",
}


def rows(project: Project, sql: str) -> list[tuple[Any, ...]]:
    con = store.open_lake(project.lake).connect()
    try:
        return store.query(con, sql).rows()
    finally:
        con.close()


def test_a_published_line_becomes_an_attempt_without_addresses(project: Project, formats: Path) -> None:
    result = ingest.load(project, [formats / "envoy_ai_gateway_access_log.jsonl"])

    assert (result.read, result.stored) == (1, 1)
    assert rows(
        project,
        "SELECT request_id, (start_time AT TIME ZONE 'UTC')::VARCHAR, provider_name, request_model, response_model,"
        " deployment_id, server_address, operation_name, status, http_status_code, duration_s, time_to_first_chunk_s,"
        " input_tokens, output_tokens, reported_cost_usd, is_final FROM attempts",
    ) == [
        (
            "83b63da3-45a9-4196-98b8-1a7f697d6d8d",
            "2025-08-30 16:51:37.894",
            "unknown",
            "gpt-4o-mini",
            "gpt-4o-mini",
            "default/tars/route/aigw-run/rule/0/ref/0/gpt-4o-mini",
            "api.router.tetrate.ai",
            "chat",
            "ok",
            200,
            1.526,
            None,
            15,
            7,
            None,
            True,
        )
    ]
    kept = str(rows(project, "SELECT attributes FROM attempts"))
    assert '"x-envoy-upstream-service-time":"451"' in kept
    assert not [word for word in ("127.0.0.1", "192.168", "curl") if word in kept]


def test_the_host_tells_the_provider_and_the_backend_does_not(project: Project, write: Any) -> None:
    lines = [
        LINE,
        LINE | {":authority": "gateway.example.com", "upstream_host": "api.openai.com:443"},
        LINE | {":authority": "gateway.example.com", "upstream_host": "10.0.0.1:443"},
        LINE | {":authority": "gateway.example.com", "provider": "Anthropic"},
        LINE | {":authority": "gateway.example.com", "gen_ai.provider.name": "openai"},
    ]
    ingest.load(project, [write([line | {"x-request-id": f"e-{n}"} for n, line in enumerate(lines)])])

    assert rows(project, "SELECT provider_name, region, deployment_id FROM attempts ORDER BY request_id") == [
        ("aws.bedrock", "eu-west-1", "default/claude/route/r/rule/0/ref/0/claude-haiku-4-5"),
        ("openai", None, "default/claude/route/r/rule/0/ref/0/claude-haiku-4-5"),
        ("unknown", None, "default/claude/route/r/rule/0/ref/0/claude-haiku-4-5"),
        ("anthropic", None, "default/claude/route/r/rule/0/ref/0/claude-haiku-4-5"),
        ("openai", None, None),
    ]


@pytest.mark.parametrize(
    "names",
    [
        ("gen_ai.request.model", "gen_ai.usage.input_tokens", "gen_ai.usage.cache_read.input_tokens"),
        ("genai_model_name", "genai_tokens_input", "genai_tokens_cached_input"),
        ("x-ai-eg-model", "llm_input_token", "llm_cached_input_token"),
        ("Gen_AI_Request_Model", "gen-ai-usage-input-tokens", "cached_input_tokens"),
    ],
)
def test_fields_are_found_under_the_names_that_operators_use(
    project: Project, write: Any, names: tuple[str, str, str]
) -> None:
    plain = {name: value for name, value in LINE.items() if not name.startswith("gen_ai.")}
    ingest.load(project, [write([plain | dict(zip(names, ("m-1", "100", 40), strict=True))])])

    assert rows(project, "SELECT request_model, input_tokens, cache_read_input_tokens FROM attempts") == [
        ("m-1", 100, 40)
    ]


def test_an_override_names_the_model_that_answered(project: Project, write: Any) -> None:
    ingest.load(project, [write([LINE | {"gen_ai.request.model_override": "claude-4"}])])

    assert rows(project, "SELECT request_model, response_model FROM attempts") == [("claude-haiku-4-5", "claude-4")]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"response_code": 429}, ("error", 429, "rate_limit", "provider")),
        ({"response_code": 429, "response_flags": "RL"}, ("error", 429, "rate_limit", "gateway")),
        ({"response_code": 503, "response_flags": "UF,URX"}, ("error", 503, "network", "provider")),
        ({"response_code": 504, "response_flags": "UT"}, ("error", 504, "timeout", "provider")),
        ({"response_code": 404, "response_flags": "NR"}, ("error", 404, "invalid_request", "gateway")),
        ({"response_code": 0, "response_flags": "DC"}, ("cancelled", None, "cancelled", "client")),
        ({"response_code": 200, "response_flags": "DC"}, ("cancelled", 200, "cancelled", "client")),
        ({"response_code": 200, "response_flags": "UC"}, ("error", 200, "network", "provider")),
        ({"response_code": "200", "response_flags": "-"}, ("ok", 200, None, None)),
    ],
)
def test_codes_and_flags_tell_how_it_ended(
    project: Project, write: Any, change: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    ingest.load(project, [write([LINE | change])])

    assert rows(project, "SELECT status, http_status_code, error_class, error_origin FROM attempts") == [expected]


def test_what_operators_log_of_callers_and_decisions_is_taken_over(project: Project, write: Any) -> None:
    told = {
        "session.id": "s-1",
        "x-user-id": "u-1",
        "x-team-id": "blue",
        "x-fairlead-decision-id": "d-1",
        "x-fairlead-propensity": "0.5",
        "upstream_request_attempt_count": 2,
        "time_to_first_token": 120,
    }
    ingest.load(project, [write([LINE | told])])

    assert rows(
        project,
        "SELECT conversation_id, length(user_id), team_id, decision_id, propensity, attempt_index, attempt_kind,"
        " time_to_first_chunk_s, tags['route'] FROM attempts",
    ) == [("s-1", 32, "blue", "d-1", 0.5, 1, "retry", 0.12, "httproute/default/r")]
    assert "u-1" not in str(rows(project, "SELECT attributes, tags FROM attempts"))


def test_what_is_loaded_twice_is_there_once(project: Project, write: Any) -> None:
    ingest.load(project, [write([LINE], "one.jsonl")])

    again = ingest.load(project, [write([LINE, LINE | {"x-request-id": "e-2"}], "two.jsonl")])

    assert (again.stored, again.duplicates) == (1, 1)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"x-request-id": "-"}, "missing_field"),
        ({"start_time": None}, "missing_field"),
        ({"response_code": 0}, "missing_field"),
        ({"gen_ai.request.model": None, "gen_ai.usage.input_tokens": None, "mcp_method": "x"}, "missing_field"),
        ({"gen_ai.usage.output_tokens": -7}, "out_of_range"),
        ({"gen_ai.usage.input_tokens": "some"}, "wrong_type"),
        ({"duration": -20}, "out_of_range"),
    ],
)
def test_what_cannot_be_read_is_set_aside(project: Project, write: Any, change: dict[str, Any], reason: str) -> None:
    result = ingest.load(project, [write([LINE | change])])

    assert (result.stored, result.quarantined) == (0, 1)
    assert rows(project, "SELECT reason FROM quarantine") == [(reason,)]
