import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fairlead import ingest, store
from fairlead.ingest.readers import openinference, otlp
from fairlead.project import Project

TRACE = "0123456789abcdef0123456789abcdef"
START = 1_767_225_600_250_000_000
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o"}


def rows(project: Project, sql: str) -> list[dict[str, Any]]:
    con = store.open_lake(project.lake).connect()
    try:
        return store.query(con, sql).to_dicts()
    finally:
        con.close()


def tagged(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [tagged(one) for one in value]}}
    if isinstance(value, dict):
        return {"kvlistValue": {"values": pairs(value)}}
    return {"stringValue": value}


def pairs(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": name, "value": tagged(value)} for name, value in attributes.items()]


def span(number: int, attributes: dict[str, Any], **changes: Any) -> dict[str, Any]:
    start = START + number * 1_000_000_000
    return {
        "traceId": TRACE,
        "spanId": f"{number + 1:016x}",
        "name": "a span",
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(start + 500_000_000),
        "attributes": pairs(attributes),
        **changes,
    }


def event(name: str, after_ms: int, attributes: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "timeUnixNano": str(START + after_ms * 1_000_000), "attributes": pairs(attributes)}


def document(*spans: Any, scope: str = "anything", resource: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": pairs(resource or {})},
                "scopeSpans": [{"scope": {"name": scope}, "spans": list(spans)}],
            }
        ]
    }


@pytest.fixture
def load(project: Project, write: Any) -> Iterator[Callable[..., Any]]:
    numbers = iter(range(100))

    def make(*documents: Any) -> Any:
        result = ingest.load(project, [write(list(documents), f"{next(numbers)}.jsonl")])
        return result.read, result.stored, result.duplicates, result.quarantined

    return make


def reasons(project: Project) -> list[str]:
    return [row["reason"] for row in rows(project, "SELECT reason FROM quarantine ORDER BY reason")]


def test_real_spans_of_the_openai_instrumentation_become_attempts(project: Project, formats: Path) -> None:
    asked = ("otlp", "ok", "openai", "gpt-4o-mini")
    result = ingest.load(project, [formats / "otlp_genai_openai_v2.json"])

    assert (result.read, result.stored) == (3, 3)
    assert [
        tuple(row.values())
        for row in rows(
            project,
            "SELECT source, status, provider_name, request_model, response_model, response_id, input_tokens,"
            " output_tokens, request_max_tokens, request_temperature, service_tier, finish_reason, error_type,"
            " error_class, round(duration_s, 3) FROM attempts ORDER BY start_time",
        )
    ] == [
        (*asked, "gpt-4o-mini-2024-07-18", "chatcmpl-abc123", 1200, 80, 100, 0.2, "default", "stop", None, None, 0.048),
        (*asked, "gpt-4o-mini-2024-07-18", "chatcmpl-abc123", 1200, 80, None, None, "default", None, None, None, 0.252),
        ("otlp", "error", "openai", "gpt-4o-mini", *[None] * 8, "RateLimitError", "rate_limit", 0.02),
    ]


def test_real_spans_of_litellm_become_attempts_and_its_raw_requests_do_not(project: Project, formats: Path) -> None:
    result = ingest.load(project, [formats / "otlp_litellm_otel.json"])

    assert (result.read, result.stored) == (2, 2)
    assert [
        tuple(row.values())
        for row in rows(
            project,
            "SELECT status, response_model, input_tokens AS i, output_tokens AS o, operation_name,"
            " reported_cost_usd::DOUBLE AS usd, http_status_code AS code, error_class, environment, service_name,"
            " finish_reason, request_stream, end_user_id IS NOT NULL FROM attempts ORDER BY start_time",
        )
    ] == [
        ("ok", "gpt-4o-mini", 10, 20, "chat", 1.35e-05, None, None, "production", "litellm", "stop", False, True),
        ("error", None, None, None, "chat", 0.0, 429, "rate_limit", "production", "litellm", None, False, False),
    ]
    assert [row["turn"] for row in rows(project, "SELECT turn FROM request_features")] == [1, 1]


def test_no_text_of_real_prompts_answers_or_errors_is_kept(project: Project, formats: Path) -> None:
    for name in ("otlp_litellm_otel.json", "otlp_openinference.json"):
        ingest.load(project, [formats / name])

    kept = json.dumps(rows(project, "SELECT * EXCLUDE (prompt_sha256) FROM attempts"), default=str)
    assert not [word for word in ("quick brown", "mock rate limit", "original-response", "end-user-9") if word in kept]


@pytest.mark.parametrize(
    ("names", "counts"),
    [
        (
            {
                "gen_ai.usage.input_tokens": 100,
                "gen_ai.usage.cache_read.input_tokens": 60,
                "gen_ai.usage.cache_creation.input_tokens": 10,
                "gen_ai.usage.output_tokens": 50,
                "gen_ai.usage.reasoning.output_tokens": 30,
                "gen_ai.usage.audio.input_tokens": 5,
            },
            (100, 60, 10, 50, 30),
        ),
        ({"gen_ai.usage.prompt_tokens": 7, "gen_ai.usage.completion_tokens": 3}, (7, None, None, 3, None)),
        # Anthropic's own count, which leaves cached tokens out: the parts exceed the whole, or the total needs them.
        ({"gen_ai.usage.input_tokens": 3, "gen_ai.usage.cache_read_input_tokens": 97}, (100, 97, None, None, None)),
        (
            {
                "gen_ai.usage.input_tokens": 80,
                "gen_ai.usage.cache_creation_input_tokens": 20,
                "gen_ai.usage.output_tokens": 5,
                "gen_ai.usage.total_tokens": 105,
            },
            (100, None, 20, 5, None),
        ),
    ],
    ids=["new", "old", "parts beside", "total"],
)
def test_token_counts_are_read_under_old_and_new_names(
    project: Project, load: Any, names: dict[str, int], counts: tuple[int | None, ...]
) -> None:
    load(document(span(0, {**CHAT, **names})))

    (row,) = rows(
        project,
        "SELECT input_tokens, cache_read_input_tokens, cache_creation_input_tokens, output_tokens,"
        " reasoning_output_tokens FROM attempts",
    )
    assert tuple(row.values()) == counts


def test_litellms_usage_object_tells_what_its_attributes_leave_out(project: Project, load: Any) -> None:
    usage = "{'prompt_tokens': 100, 'completion_tokens': 9, 'prompt_tokens_details': {'cached_tokens': 64, 'x': None}}"
    load(document(span(0, {**CHAT, "gen_ai.usage.input_tokens": 100, "metadata.usage_object": usage})))

    assert rows(
        project, "SELECT input_tokens AS i, cache_read_input_tokens AS r, output_tokens AS o FROM attempts"
    ) == [{"i": 100, "r": 64, "o": 9}]


@pytest.mark.parametrize(
    ("cost", "tokens", "usd"),
    [
        ({"gen_ai.usage.cost": 0.002}, 10, 0.002),
        ({"gen_ai.cost.total_cost": 0.003, "gen_ai.cost.input_cost": 0.001}, 10, 0.003),
        ({"llm.cost.total": 0.004}, 10, 0.004),
        ({"gen_ai.usage.cost": 0.0}, 10, None),  # tokens were used, so the model has no price there
        ({}, 10, None),
    ],
)
def test_reported_costs_are_read_and_a_zero_for_used_tokens_is_unknown(
    project: Project, load: Any, cost: dict[str, float], tokens: int, usd: float | None
) -> None:
    load(document(span(0, {**CHAT, "gen_ai.usage.input_tokens": tokens, **cost})))

    assert rows(project, "SELECT reported_cost_usd::DOUBLE AS usd FROM attempts") == [{"usd": usd}]


def test_time_to_the_first_chunk_is_told_or_seen(project: Project, load: Any) -> None:
    load(
        document(
            span(0, {**CHAT, "gen_ai.response.time_to_first_chunk": 0.25, "gen_ai.request.stream": True}),
            span(1, CHAT, events=[event("First Token Stream Event", 1_125, {})]),
            span(2, {**CHAT, "gen_ai.response.time_to_first_chunk": 0}),
        )
    )

    assert rows(
        project, "SELECT time_to_first_chunk_s AS s, request_stream AS t FROM attempts ORDER BY start_time"
    ) == [{"s": 0.25, "t": True}, {"s": 0.125, "t": None}, {"s": None, "t": None}]


@pytest.mark.parametrize(
    ("changes", "attributes", "outcome"),
    [
        ({"status": {"code": 2}}, {"error.type": "429"}, ("error", 429, "429", "rate_limit", "provider")),
        ({"status": {"code": "STATUS_CODE_ERROR"}}, {}, ("error", None, None, "other", "provider")),
        (
            {},
            {"error.type": "asyncio.CancelledError"},
            ("cancelled", None, "asyncio.CancelledError", "cancelled", "client"),
        ),
        ({"status": {"code": 1}}, {"http.response.status_code": 200}, ("ok", 200, None, None, None)),
        (
            {"status": {"code": 2}, "events": [event("exception", 1, {"exception.type": "openai.APITimeoutError"})]},
            {},
            ("error", None, "openai.APITimeoutError", "timeout", "provider"),
        ),
    ],
)
def test_outcomes_are_read_from_status_attribute_or_exception(
    project: Project, load: Any, changes: dict[str, Any], attributes: dict[str, Any], outcome: tuple[Any, ...]
) -> None:
    load(document(span(0, {**CHAT, **attributes}, **changes)))

    (row,) = rows(project, "SELECT status, http_status_code, error_type, error_class, error_origin FROM attempts")
    assert tuple(row.values()) == outcome


def test_ids_may_be_base64_and_fields_may_have_their_protobuf_names(project: Project, load: Any) -> None:
    given = {
        "trace_id": "ASNFZ4mrze8BI0VniavN7w==",
        "span_id": "AAAAAAAAAAE=",
        "start_time_unix_nano": START,
        "end_time_unix_nano": START + 1_000,
        "attributes": [{"key": "gen_ai.request.model", "value": {"string_value": "m"}}],
    }

    assert load({"resource_spans": [{"scope_spans": [{"spans": [given]}]}]}) == (1, 1, 0, 0)
    assert load(document(span(0, CHAT))) == (1, 0, 1, 0)
    assert rows(project, "SELECT trace_id, span_id, start_time FROM attempts") == [
        {"trace_id": TRACE, "span_id": "0000000000000001", "start_time": datetime(2026, 1, 1, 0, 0, 0, 250000, UTC)}
    ]


def test_spans_around_a_call_lend_it_what_they_know_and_are_no_attempts(project: Project, load: Any) -> None:
    agent = {"gen_ai.operation.name": "invoke_agent", "gen_ai.request.model": "gpt-4o", "gen_ai.agent.name": "Planner"}
    asked = {"gen_ai.conversation.id": "c-1", "user.id": "u-1", "fairlead.decision_id": "d-1", "http.route": "/ask"}
    counts = load(
        document(
            span(2, CHAT, parentSpanId=f"{2:016x}"),
            span(1, agent, parentSpanId=f"{1:016x}"),
            span(0, asked),
            span(3, {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"}),
        )
    )

    assert counts == (1, 1, 0, 0)
    assert rows(
        project, "SELECT span_id, conversation_id, agent_name, decision_id, user_id <> 'u-1' AS h FROM attempts"
    ) == [{"span_id": f"{3:016x}", "conversation_id": "c-1", "agent_name": "Planner", "decision_id": "d-1", "h": True}]


def test_a_call_within_a_call_is_counted_once_and_its_cost_too(project: Project, load: Any) -> None:
    whole = {"endTimeUnixNano": str(START + 10_000_000_000)}
    failed = {"parentSpanId": f"{1:016x}", "status": {"code": 2}}
    load(
        document(
            span(0, {**CHAT, "gen_ai.usage.cost": 0.5, "gen_ai.usage.input_tokens": 9, "session.id": "s"}, **whole),
            span(1, {**CHAT, "error.type": "500"}, **failed),
            span(2, {**CHAT, "gen_ai.usage.input_tokens": 8}, parentSpanId=f"{1:016x}"),
        )
    )

    assert rows(project, "SELECT request_id, span_id, status, input_tokens AS i FROM attempts ORDER BY span_id") == [
        {"request_id": f"{1:016x}", "span_id": f"{2:016x}", "status": "error", "i": None},
        {"request_id": f"{1:016x}", "span_id": f"{3:016x}", "status": "ok", "i": 8},
    ]
    assert rows(project, "SELECT attempts, reported_cost_usd::DOUBLE AS usd, conversation_id FROM requests") == [
        {"attempts": 2, "usd": 0.5, "conversation_id": "s"}
    ]


def test_a_call_that_a_tool_or_a_judge_made_is_a_call_of_its_own(project: Project, load: Any) -> None:
    tool = {"gen_ai.operation.name": "execute_tool"}
    counts = load(
        document(
            span(0, CHAT, endTimeUnixNano=str(START + 10_000_000_000)),
            span(1, tool, parentSpanId=f"{1:016x}", endTimeUnixNano=str(START + 3_000_000_000)),
            span(2, CHAT, parentSpanId=f"{2:016x}"),
            span(20, CHAT, parentSpanId=f"{1:016x}"),  # after the answer: it judges it
        )
    )

    assert counts == (3, 3, 0, 0)
    assert len(rows(project, "SELECT * FROM requests")) == 3


def test_parents_that_go_round_in_a_circle_lose_nothing(load: Any) -> None:
    same = {"startTimeUnixNano": str(START), "endTimeUnixNano": str(START + 1_000)}
    circle = [span(n, CHAT, parentSpanId=f"{(n + 1) % 3 + 1:016x}", **same) for n in range(3)]
    alone = span(7, CHAT, parentSpanId=f"{8:016x}")

    read, stored, *_ = load(document(*circle, alone))

    assert (read, stored) == (2, 2)  # the innermost of the circle, cut open, and the one that is its own parent


def test_attempts_of_one_request_to_litellms_proxy_are_one_request(project: Project, load: Any) -> None:
    load(
        document(
            span(0, {"http.route": "/chat"}, name="Received Proxy Server Request"),
            span(1, {**CHAT, "error.type": "500"}, parentSpanId=f"{1:016x}"),
            span(2, CHAT, parentSpanId=f"{1:016x}"),
        )
    )

    assert rows(project, "SELECT request_id, attempts, status FROM requests") == [
        {"request_id": f"{1:016x}", "attempts": 2, "status": "ok"}
    ]


@pytest.mark.parametrize(
    "carried",
    [
        {"fairlead.decision_id": "d-1", "fairlead.propensity": 0.25, "fairlead.request_id": "r-1"}
        | {"fairlead.policy_id": "adaptive", "fairlead.is_exploration": True},
        {
            "metadata.spend_logs_metadata": "{'decision_id': 'd-1', 'propensity': 0.25, 'request_id': 'r-1',"
            " 'policy_id': 'adaptive', 'is_exploration': True}"
        },
        {
            "metadata": '{"decision_id": "d-1", "propensity": 0.25, "request_id": "r-1", "policy_id": "adaptive",'
            ' "is_exploration": true}'
        },
    ],
    ids=["attributes", "litellm", "metadata"],
)
def test_an_echoed_decision_is_taken_over(project: Project, load: Any, carried: dict[str, Any]) -> None:
    load(document(span(0, {**CHAT, **carried})))

    (row,) = rows(project, "SELECT decision_id, propensity, request_id, policy_id, is_exploration FROM attempts")
    assert tuple(row.values()) == ("d-1", 0.25, "r-1", "adaptive", True)


def test_metadata_of_the_caller_is_no_decision(project: Project, load: Any) -> None:
    load(document(span(0, {**CHAT, "metadata": '{"variant": {"a": 1}, "propensity": "high", "tier": "gold"}'})))

    (row,) = rows(project, "SELECT variant, propensity, attributes FROM attempts")
    assert (row["variant"], row["propensity"], json.loads(row["attributes"])["metadata"]) == (
        None,
        None,
        {"variant": {"a": 1}, "propensity": "high", "tier": "gold"},
    )


def test_prompts_become_features_and_are_not_kept(project: Project, load: Any) -> None:
    parts = [
        {"role": "user", "parts": [{"type": "text", "content": "Tell me."}, {"type": "blob", "modality": "image"}]}
    ]
    load(
        document(
            span(0, {**CHAT, "gen_ai.input.messages": json.dumps(parts), "input.value": "Secret", "tool.name": "x"}),
            span(1, {**CHAT, "gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": "Tell me."}),
            span(2, CHAT, events=[event("gen_ai.user.message", 1, {"content": "Tell me."})]),
            span(3, {**CHAT, "gen_ai.system_instructions": '[{"type": "text", "content": "Tell me."}]'}),
        )
    )

    found = rows(
        project,
        "SELECT a.input_chars AS n, f.images, f.turn, a.attributes FROM request_features f"
        " JOIN attempts a USING (event_id) ORDER BY a.start_time",
    )
    assert [tuple(row.values()) for row in found] == [
        (8, 1, 1, None),
        (8, 0, 1, None),
        (8, 0, 1, None),
        (8, 0, 0, None),
    ]


def test_evaluations_become_feedback_on_the_request_or_on_the_trace(project: Project, load: Any) -> None:
    name = "gen_ai.evaluation.result"
    scored = {"gen_ai.evaluation.name": "relevance", "gen_ai.evaluation.score.value": 4.0}
    verdict = {"gen_ai.evaluation.name": "safe", "gen_ai.evaluation.score.label": "pass"}
    prose = {"gen_ai.evaluation.name": "note", "gen_ai.evaluation.explanation": "It was quite good, I thought."}
    counts = load(
        document(
            span(0, CHAT, events=[event(name, 1, scored), event(name, 2, prose)]),
            span(1, {"gen_ai.operation.name": "invoke_agent"}, events=[event(name, 3, verdict)]),
            span(2, {**verdict, "gen_ai.response.id": "resp-1"}, parentSpanId=f"{1:016x}"),
        )
    )

    assert counts == (5, 5, 0, 0)
    assert [
        tuple(row.values())
        for row in rows(
            project,
            "SELECT target_kind, target_id, name, value_type, score_value, score_label, score_normalized, explanation"
            " FROM feedback ORDER BY time",
        )
    ] == [
        ("request", f"{1:016x}", "relevance", "numeric", 4.0, None, None, None),
        ("request", f"{1:016x}", "note", "text", None, None, None, None),
        ("trace", TRACE, "safe", "boolean", 1.0, "pass", 1.0, None),
        ("request", f"{1:016x}", "safe", "boolean", 1.0, "pass", 1.0, None),
    ]


def test_an_evaluation_names_the_request_that_was_echoed(project: Project, load: Any) -> None:
    said = event(
        "gen_ai.evaluation.result", 1, {"gen_ai.evaluation.name": "n", "gen_ai.evaluation.score.label": "pass"}
    )
    load(document(span(0, {**CHAT, "fairlead.request_id": "r-1"}, events=[said])))

    assert rows(
        project, "SELECT f.target_id, r.attempts FROM feedback f JOIN requests r ON r.request_id = target_id"
    ) == [{"target_id": "r-1", "attempts": 1}]


def test_evaluations_in_log_records_become_feedback(project: Project, load: Any) -> None:
    said = pairs({"gen_ai.evaluation.name": "n", "gen_ai.evaluation.score.value": 0.5, "gen_ai.response.id": "resp-1"})
    logged = [
        {"eventName": "gen_ai.evaluation.result", "timeUnixNano": str(START), "attributes": said},
        {
            "timeUnixNano": "0",
            "observedTimeUnixNano": str(START),
            "traceId": TRACE,
            "spanId": f"{1:016x}",
            "attributes": [*said, *pairs({"event.name": "gen_ai.evaluation.result"})],
        },
        {"eventName": "gen_ai.user.message", "timeUnixNano": str(START), "attributes": []},
    ]

    assert load({"resourceLogs": [{"scopeLogs": [{"logRecords": logged}]}]}) == (2, 2, 0, 0)
    assert rows(project, "SELECT target_kind, target_id, response_id FROM feedback ORDER BY target_kind") == [
        {"target_kind": "request", "target_id": f"{1:016x}", "response_id": "resp-1"},
        {"target_kind": "response", "target_id": "resp-1", "response_id": "resp-1"},
    ]


def test_a_document_without_a_call_is_set_aside_with_a_reason_of_its_own(project: Project, load: Any) -> None:
    web = document(span(0, {"http.route": "/"}))
    logs = {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {"stringValue": "hello"}}]}]}]}

    assert load(web, logs, {"resourceSpans": []}) == (3, 0, 0, 3)
    assert reasons(project) == ["no_model_call"] * 3


def test_a_span_that_cannot_be_read_is_set_aside_and_its_neighbours_are_not(project: Project, load: Any) -> None:
    bad = [
        5,
        None,
        {"attributes": 7},
        span(0, CHAT, spanId="xyz"),
        span(1, CHAT, traceId=None),
        span(2, CHAT, startTimeUnixNano=None),
        span(3, CHAT, startTimeUnixNano="soon"),
        span(4, {**CHAT, "gen_ai.usage.input_tokens": -1}),
        span(5, {**CHAT, "gen_ai.usage.input_tokens": "many"}),
        span(6, {**CHAT, "gen_ai.usage.cost": "NaN"}),
        span(7, {**CHAT, "gen_ai.provider.name": True}),
    ]

    assert load(document(*bad, span(8, CHAT))) == (12, 1, 0, 11)
    assert reasons(project) == sorted(
        ["wrong_type"] * 3 + ["missing_field"] * 3 + ["wrong_type"] * 3 + ["out_of_range", "nan_or_infinity"]
    )
    details = rows(project, "SELECT string_agg(detail, ' ') AS all FROM quarantine")[0]["all"]
    assert not [word for word in ("xyz", "soon", "many") if word in details]


def test_the_same_spans_in_another_document_are_duplicates(load: Any) -> None:
    assert load(document(span(0, CHAT), span(1, CHAT))) == (2, 2, 0, 0)
    assert load(document(span(1, CHAT), span(0, CHAT), span(2, CHAT))) == (3, 1, 2, 0)


def test_a_file_that_is_one_document_and_one_that_is_an_array_of_them_are_read(
    project: Project, tmp_path: Path
) -> None:
    one, many = tmp_path / "one.json", tmp_path / "many.json"
    one.write_text(json.dumps(document(span(0, CHAT)), indent=2))
    many.write_text(json.dumps([document(span(1, CHAT)), document(span(2, CHAT))]))

    result = ingest.load(project, [one, many])

    assert (result.read, result.stored) == (3, 3)


def test_exactly_one_reader_knows_a_document() -> None:
    kind = {"openinference.span.kind": "LLM", "llm.model_name": "m"}
    documents = [
        document(span(0, CHAT)),
        document(span(0, kind)),
        document(span(0, {"http.route": "/"}), scope="openinference.instrumentation.langchain"),
        {"resourceSpans": [5]},
        {"resourceLogs": []},
    ]

    assert [(otlp.recognises(one), openinference.recognises(one)) for one in documents] == [
        (True, False),
        (False, True),
        (False, True),
        (True, False),
        (True, False),
    ]
    assert not otlp.recognises({"resourceSpans": "x"})
