import json
from pathlib import Path
from typing import Any

import pytest

from fairlead import ingest, store
from fairlead.project import Project

START = 1_767_225_600_000
META = {"provider_name": "openai", "request_model": "gpt-4o-mini", "response_model": "gpt-4o-mini-2024-07-18"}
USAGE = {"prompt_tokens": 14, "completion_tokens": 21, "cost": 0.002, "time_to_first_token": 100}
PROXY = {"meta": META | {"llm_latency": 700, "request_mode": "stream"}, "usage": USAGE}


def line(proxy: Any = PROXY, **changes: Any) -> dict[str, Any]:
    record = {
        "started_at": START,
        "request": {"id": "k-1", "uri": "/chat"},
        "response": {"status": 200},
        "latencies": {"request": 900, "proxy": 880, "kong": 20},
        "ai": {"proxy": proxy},
    }
    return {**record, **changes}


def rows(project: Project, sql: str) -> list[tuple[Any, ...]]:
    con = store.open_lake(project.lake).connect()
    try:
        return store.query(con, sql).rows()
    finally:
        con.close()


def test_a_published_line_becomes_an_attempt_without_what_was_said(project: Project, formats: Path) -> None:
    result = ingest.load(project, [formats / "kong_ai_proxy_log.jsonl"])

    assert (result.read, result.stored) == (1, 1)
    assert rows(
        project,
        "SELECT request_id, trace_id, attempt_index, attempt_kind, is_final, (start_time AT TIME ZONE 'UTC')::VARCHAR,"
        " provider_name, request_model, response_model, server_address, operation_name, status, http_status_code,"
        " duration_s, upstream_duration_s, time_to_first_chunk_s, gateway_overhead_s, input_tokens,"
        " cache_read_input_tokens, output_tokens, reasoning_output_tokens, reported_cost_usd::DOUBLE,"
        " gateway_cache_status, length(user_id) FROM attempts",
    ) == [
        (
            "49f3a2c8",
            "49f3a2c8",
            0,
            "cache",
            True,
            "2025-08-30 16:51:37.894",
            "cohere",
            "command",
            "command",
            "api.openai.com",
            "chat",
            "ok",
            200,
            2.689,
            2.67,
            0.631,
            0.019,
            14,
            0,
            21,
            0,
            0.0,
            "semantic_hit",
            32,
        )
    ]
    kept = str(rows(project, "SELECT attributes FROM attempts"))
    assert "guardrails_version" in kept
    assert not [word for word in ("jane", "555-123", "PAYLOAD", "admin") if word in kept]


def test_each_target_that_was_tried_is_an_attempt(project: Project, write: Any) -> None:
    targets = [
        {
            "provider": "anthropic",
            "model": "claude-haiku-4-5",
            "host": "api.anthropic.com",
            "route_type": "llm/v1/chat",
        },
        {"provider": "openai", "model": "gpt-4o-mini", "host": "api.openai.com", "route_type": "llm/v1/chat"},
    ]
    tries = [{"balancer_start": START + 10, "state": "failed", "code": 504}, {"balancer_start": START + 160}]
    ingest.load(project, [write([line(PROXY | {"tried_targets": targets}, tries=tries)])])

    assert rows(
        project,
        "SELECT attempt_kind, provider_name, response_model, status, http_status_code, error_class, duration_s,"
        " output_tokens, reported_cost_usd::DOUBLE FROM attempts ORDER BY start_time",
    ) == [
        ("first", "anthropic", "claude-haiku-4-5", "error", 504, "timeout", 0.15, None, None),
        ("fallback", "openai", "gpt-4o-mini-2024-07-18", "ok", 200, None, 0.74, 21, 0.002),
    ]
    assert rows(project, "SELECT attempts, round(duration_s, 2), provider_name FROM requests") == [(2, 0.89, "openai")]


def test_targets_that_are_not_timed_keep_their_order(project: Project, write: Any) -> None:
    same = {"provider": "openai", "model": "gpt-4o-mini"}
    ingest.load(project, [write([line(PROXY | {"tried_targets": [same, same, same]})])])

    assert rows(project, "SELECT attempt_kind, status, round(duration_s, 6) FROM attempts ORDER BY start_time") == [
        ("first", "error", None),
        ("retry", "error", None),
        ("retry", "ok", 0.899998),
    ]


def test_a_judge_gives_feedback_on_the_request(project: Project, write: Any) -> None:
    judge = {
        "meta": {"provider_name": "openai", "request_model": "gpt-4o-mini", "response_model": "gpt-4o"},
        "usage": {"llm_accuracy": 88, "prompt_tokens": 15},
    }
    ingest.load(project, [write([line(ai={"ai-llm-as-judge": judge, "proxy": PROXY})])])

    assert rows(
        project,
        "SELECT name, score_value, scale_min, scale_max, round(score_normalized, 4), evaluator_kind, evaluator_model,"
        " target_kind, target_id, (time AT TIME ZONE 'UTC')::VARCHAR FROM feedback",
    ) == [
        ("llm_accuracy", 88.0, 1.0, 100.0, 0.8788, "llm", "gpt-4o", "request", "k-1", "2026-01-01 00:00:00.9"),
    ]
    assert rows(project, "SELECT provider_name, response_model FROM attempts") == [("openai", META["response_model"])]


def test_a_judge_alone_tells_of_the_call_that_it_judged(project: Project, write: Any) -> None:
    judge = {
        "meta": {"provider_name": "openai", "request_model": "orca-mini", "response_model": "gpt-4o"},
        "tried_targets": [{"provider": "llama2", "model": "orca-mini", "host": "local"}],
        "usage": {"llm_accuracy": 14, "prompt_tokens": 49, "completion_tokens": 114},
    }
    result = ingest.load(project, [write([line(ai={"ai-llm-as-judge": judge})])])

    assert (result.read, result.stored) == (1, 1)
    assert rows(project, "SELECT provider_name, response_model, output_tokens FROM attempts") == [
        ("llama2", "orca-mini", 114)
    ]
    assert rows(project, "SELECT score_value, evaluator_model FROM feedback") == [(14.0, "gpt-4o")]


def test_another_plugins_call_counts_by_itself_in_the_same_trace(project: Project, write: Any) -> None:
    helper = {"meta": {"provider_name": "azure", "request_model": "small"}, "usage": {"prompt_token": 3, "cost": 0.5}}
    ingest.load(project, [write([line(ai={"ai-request-transformer": helper, "proxy": PROXY})])])

    assert rows(
        project,
        "SELECT request_id, trace_id, provider_name, service_name, input_tokens, reported_cost_usd::DOUBLE"
        " FROM attempts ORDER BY request_id",
    ) == [
        ("k-1", "k-1", "openai", None, 14, 0.002),
        ("k-1/ai-request-transformer", "k-1", "azure.ai.openai", "ai-request-transformer", 3, 0.5),
    ]


@pytest.mark.parametrize(
    ("proxy", "cost", "cache"),
    [
        (PROXY | {"usage": USAGE | {"cost": 0}}, None, None),
        (PROXY | {"usage": USAGE | {"cost": 0}, "cache": {"cache_status": "Hit"}}, 0.0, "hit"),
        (PROXY | {"cache": {"cache_status": "Miss", "embeddings_provider": "openai"}}, 0.002, "miss"),
        (PROXY | {"cache": {"cache_status": "Bypass"}}, 0.002, "disabled"),
    ],
)
def test_a_cost_of_0_is_known_only_from_the_cache(
    project: Project, write: Any, proxy: dict[str, Any], cost: float | None, cache: str | None
) -> None:
    ingest.load(project, [write([line(proxy)])])

    assert rows(project, "SELECT reported_cost_usd::DOUBLE, gateway_cache_status FROM attempts") == [(cost, cache)]


def test_what_is_not_streamed_has_no_first_chunk(project: Project, write: Any) -> None:
    oneshot = PROXY | {"meta": META | {"llm_latency": 700, "request_mode": "oneshot"}}
    at_its_end = {"meta": META | {"llm_latency": 100}, "usage": USAGE}
    ingest.load(project, [write([line(oneshot), line(at_its_end, request={"id": "k-2"}), line(request={"id": "k-3"})])])

    assert rows(project, "SELECT request_stream, time_to_first_chunk_s FROM attempts ORDER BY request_id") == [
        (False, None),
        (None, None),
        (True, 0.1),
    ]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"response": {"status": 429}}, ("error", "rate_limit", "provider")),
        (
            {"response": {"status": 429}, "latencies": {"request": 5, "proxy": -1, "kong": 5}},
            ("error", "rate_limit", "gateway"),
        ),
        ({"response": {"status": 499}}, ("cancelled", "cancelled", "client")),
        (
            {"response": {"status": 400}, "ai": {"proxy": PROXY | {"aws-guardrails": {"input_block_reason": "word"}}}},
            ("blocked", "content_filter", "gateway"),
        ),
    ],
)
def test_how_it_ended_is_understood(
    project: Project, write: Any, changes: dict[str, Any], expected: tuple[str, ...]
) -> None:
    ingest.load(project, [write([line(**changes)])])

    assert rows(project, "SELECT status, error_class, error_origin FROM attempts") == [expected]


def test_headers_routes_and_payloads_tell_of_the_decision_and_the_request(project: Project, write: Any) -> None:
    headers = {"X-Fairlead-Decision-Id": "d-1", "x-fairlead-propensity": "0.25", "authorization": "Bearer secret"}
    body = {"messages": [{"role": "user", "content": "Secret?"}], "max_tokens": 9}
    record = line(
        request={"id": "k-1", "headers": headers},
        route={"name": "maths"},
        workspace="default",
        ai={"payload": {"request": json.dumps(body)}, "proxy": PROXY},
    )
    ingest.load(project, [write([record])])

    assert rows(
        project,
        "SELECT decision_id, propensity, project_id, request_max_tokens, input_chars, tags['route']"
        " FROM attempts JOIN request_features f USING (event_id)",
    ) == [("d-1", 0.25, "default", 9, 7, "maths")]
    assert "ecret" not in str(rows(project, "FROM attempts"))


def test_what_is_loaded_twice_is_there_once(project: Project, write: Any) -> None:
    judge = {"meta": {}, "usage": {"llm_accuracy": 50}}
    both = {"proxy": PROXY | {"tried_targets": [{"provider": "a"}, {"provider": "b"}]}, "ai-llm-as-judge": judge}
    ingest.load(project, [write([line(ai=both)], "one.jsonl")])

    again = ingest.load(project, [write([line(ai=both), line(request={"id": "k-2"})], "two.jsonl")])

    assert (again.stored, again.duplicates) == (1, 1)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (line(request={}), "missing_field"),
        (line(started_at=None), "missing_field"),
        (line(response={}), "missing_field"),
        (line(ai={"mcp": {"rpc": []}}), "missing_field"),
        (line(PROXY | {"usage": {"prompt_tokens": -1}}), "out_of_range"),
        (line(PROXY | {"usage": {"prompt_tokens": [1]}}), "wrong_type"),
        (line(PROXY | {"tried_targets": ["openai"]}), "wrong_type"),
        (line(latencies={"request": -900}), "out_of_range"),
        (line(ai={"proxy": PROXY, "ai-llm-as-judge": {"meta": {}, "usage": {"llm_accuracy": 101}}}), "out_of_range"),
    ],
)
def test_what_cannot_be_read_is_set_aside(project: Project, write: Any, record: dict[str, Any], reason: str) -> None:
    result = ingest.load(project, [write([record])])

    assert (result.stored, result.quarantined) == (0, 1)
    assert rows(project, "SELECT reason FROM quarantine") == [(reason,)]
