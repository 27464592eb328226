import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fairlead.ingest.context import Context
from fairlead.ingest.quarantine import BadRecordError
from fairlead.ingest.readers import vertex
from fairlead.schema import Attempt

CONTEXT = Context(ingested_at=datetime(2026, 9, 1, tzinfo=UTC), hash_key=b"key")
TOKENS = ("input_tokens", "cache_read_input_tokens", "output_tokens", "reasoning_output_tokens")


def record(**changes: Any) -> dict[str, Any]:
    made = {
        "endpoint": None,
        "deployed_model_id": None,
        "logging_time": "2026-03-01T10:00:05Z",
        "request_id": "5374205265901353984",
        "api_method": "GenerateContent",
        "model": "publishers/google/models/gemini-3-flash",
        "model_version": "default",
        "metadata": {"request_latency": 5000.0},
        "full_request": {
            "systemInstruction": {"parts": [{"text": "Be brief."}]},
            "contents": [{"role": "user", "parts": [{"text": "And?"}, {"inlineData": {"mimeType": "image/png"}}]}],
            "generationConfig": {"maxOutputTokens": 100, "temperature": 0.5},
            "labels": {"team": "search", "decision_id": "d-1"},
            "model": "projects/mine/locations/europe-west4/publishers/google/models/gemini-3-flash",
        },
        "full_response": {
            "responseId": "resp-1",
            "modelVersion": "gemini-3-flash-001",
            "candidates": [{"finishReason": "STOP", "content": {"parts": [{"text": "A secret."}]}}],
            "usageMetadata": {
                "promptTokenCount": 50,
                "cachedContentTokenCount": 40,
                "candidatesTokenCount": 10,
                "thoughtsTokenCount": 30,
                "totalTokenCount": 90,
                "trafficType": "ON_DEMAND",
            },
        },
    }
    return {**made, **changes}


def attempt(given: dict[str, Any]) -> Attempt:
    found, *_ = vertex.read(given, CONTEXT)
    assert isinstance(found, Attempt)
    return found


def columns(row: Any, *names: str) -> tuple[Any, ...]:
    return tuple(getattr(row, name) for name in names)


def test_the_real_record_becomes_an_attempt(formats: Path) -> None:
    row = attempt(json.loads((formats / "vertex_request_response.jsonl").read_text()))

    assert columns(row, *TOKENS) == (3, None, 930, 901)  # 3 + 29 + 901 = 933, as the record adds up
    assert row.start_time == datetime(2025, 9, 8, 21, 4, 11, 22006, tzinfo=UTC)
    assert columns(row, "duration_s", "region", "project_id", "response_model", "request_max_tokens", "status") == (
        11.225994,
        "us-central1",
        "elastic-sa",
        "gemini-2.5-pro",
        8192,
        "ok",
    )


def test_a_row_becomes_an_attempt_and_its_features() -> None:
    row, features = vertex.read(record(), CONTEXT)

    assert columns(row, *TOKENS) == (50, 40, 40, 30)
    assert columns(row, "source_record_id", "response_id", "request_model", "response_model", "region") == (
        "5374205265901353984",
        "resp-1",
        "gemini-3-flash",
        "gemini-3-flash-001",
        "europe-west4",
    )
    assert columns(row, "start_time", "duration_s", "decision_id", "tags", "finish_reason") == (
        datetime(2026, 3, 1, 10, 0, 0, tzinfo=UTC),
        5.0,
        "d-1",
        {"team": "search"},
        "STOP",
    )
    assert columns(row, "operation_name", "request_stream", "input_chars") == (
        "generate_content",
        False,
        len("Be brief.\nAnd?"),
    )
    assert columns(features, "images", "turn", "tools") == (1, 1, 0)
    assert json.loads(row.attributes or "") == {  # type: ignore[attr-defined]
        "api_method": "GenerateContent",
        "model_version": "default",
        "usage_metadata": {"trafficType": "ON_DEMAND"},
    }


def test_bodies_in_text_and_ids_in_decimals_read_the_same() -> None:
    plain = record()
    text = {name: json.dumps(plain[name]) for name in ("full_request", "full_response", "metadata")}

    assert attempt(record(**text)) == attempt(plain)
    assert attempt(record(request_id=Decimal(5374205265901353984))).event_id == attempt(plain).event_id


def test_without_a_latency_the_start_is_what_is_known() -> None:
    created = {"createTime": "2026-03-01T10:00:02Z"}
    found = [
        attempt(record(metadata=None, full_response=created)),
        attempt(record(metadata={"request_latency": 0})),
        attempt(record(metadata={"request_latency": -1}, full_response={"create_time": "2026-03-01T10:00:09Z"})),
    ]

    assert [(row.start_time.second, row.duration_s) for row in found] == [(2, None), (5, None), (5, None)]


def test_models_of_other_makers_count_in_their_own_words() -> None:
    claude = {
        "id": "msg_1",
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 3, "cache_read_input_tokens": 7, "output_tokens": 5},
    }
    llama = {"id": "1", "usage": {"prompt_tokens": 10, "completion_tokens": 5}}

    found = [attempt(record(api_method="streamRawPredict", full_response=body)) for body in (claude, llama)]

    assert [columns(row, *TOKENS, "operation_name", "request_stream") for row in found] == [
        (10, 7, 5, None, "chat", True),
        (10, None, 5, None, "chat", True),
    ]


def test_the_chunks_of_a_stream_are_read_together() -> None:
    chunks = [
        {"responseId": "r", "usageMetadata": {"promptTokenCount": 4}},
        {"candidates": [{"finishReason": "STOP"}], "usageMetadata": {"promptTokenCount": 4, "candidatesTokenCount": 9}},
    ]

    row = attempt(record(api_method="StreamGenerateContent", full_response=chunks))

    assert columns(row, "response_id", "finish_reason", "input_tokens", "output_tokens", "request_stream") == (
        "r",
        "STOP",
        4,
        9,
        True,
    )


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"promptFeedback": {"blockReason": "SAFETY"}}, ("blocked", "SAFETY", "content_filter", None)),
        ({"candidates": [{"finish_reason": "SPII"}]}, ("blocked", "SPII", "content_filter", None)),
        (
            {"candidates": [{"finishReason": "SAFETY"}], "usageMetadata": {"candidatesTokenCount": 7}},
            ("ok", None, None, None),
        ),
        ({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}}, ("error", "RESOURCE_EXHAUSTED", "rate_limit", 429)),
        ({"error": {"code": 503}}, ("error", "error", "server", 503)),
    ],
)
def test_filters_and_errors(answer: dict[str, Any], expected: tuple[Any, ...]) -> None:
    row = attempt(record(full_response=answer))

    assert columns(row, "status", "error_type", "error_class", "http_status_code") == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"request_id": None}, "missing_field: request_id"),
        ({"logging_time": None}, "missing_field: logging_time"),
        ({"metadata": {"request_latency": 1e12}}, "out_of_range: request_latency: not between 0 and a day"),
        ({"metadata": {"request_latency": -7}}, "out_of_range: request_latency: not between 0 and a day"),
        ({"full_response": "{"}, "wrong_type: full_response: expected JSON in text"),
    ],
)
def test_what_cannot_be_read_is_refused(changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(BadRecordError) as caught:
        list(vertex.read(record(**changes), CONTEXT))

    assert str(caught.value) == expected
