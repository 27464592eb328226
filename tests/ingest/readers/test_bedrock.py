from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fairlead.ingest.context import Context
from fairlead.ingest.quarantine import BadRecordError
from fairlead.ingest.readers import bedrock
from fairlead.schema import Attempt, RequestFeatures

CONTEXT = Context(ingested_at=datetime(2026, 9, 1, tzinfo=UTC), hash_key=b"key")
TOKENS = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")


def record(**changes: Any) -> dict[str, Any]:
    made = {
        "schemaType": "ModelInvocationLog",
        "schemaVersion": "1.0",
        "timestamp": "2026-08-10T21:12:39Z",
        "accountId": "123456789012",
        "identity": {"arn": "arn:aws:iam::123456789012:user/ada"},
        "region": "eu-west-1",
        "requestId": "req-1",
        "operation": "Converse",
        "modelId": "anthropic.claude-haiku-4-5-20251001-v1:0",
        "input": {
            "inputContentType": "application/json",
            "inputBodyJson": {
                "system": [{"text": "Be brief."}],
                "messages": [{"role": "user", "content": [{"text": "What is it?"}, {"image": {"format": "png"}}]}],
                "inferenceConfig": {"maxTokens": 100, "temperature": 0.5, "topP": 0.9},
                "toolConfig": {"tools": [{}, {}]},
            },
            "inputTokenCount": 20,
        },
        "output": {
            "outputBodyJson": {
                "output": {"message": {"role": "assistant", "content": [{"text": "A secret."}]}},
                "stopReason": "end_turn",
                "metrics": {"latencyMs": 1200},
                "usage": {"inputTokens": 20, "outputTokens": 18, "totalTokens": 38},
            },
            "outputTokenCount": 18,
        },
    }
    return {**made, **changes}


def answer(body: Any, **counts: int) -> dict[str, Any]:
    return {"outputContentType": "application/json", "outputBodyJson": body, **counts}


def attempt(given: dict[str, Any]) -> Attempt:
    found, *_ = bedrock.read(given, CONTEXT)
    assert isinstance(found, Attempt)
    return found


def columns(row: Any, *names: str) -> tuple[Any, ...]:
    return tuple(getattr(row, name) for name in names)


def refusal(given: dict[str, Any]) -> tuple[str, str]:
    with pytest.raises(BadRecordError) as caught:
        list(bedrock.read(given, CONTEXT))
    return caught.value.reason, caught.value.detail


def test_real_records_become_attempts(formats: Path) -> None:
    import json

    lines = (formats / "aws_bedrock_invocation.jsonl").read_text().splitlines()
    found = [attempt(json.loads(line)) for line in lines]

    names = (
        "status",
        "response_model",
        "request_stream",
        "input_tokens",
        "output_tokens",
        "duration_s",
        "finish_reason",
    )
    assert [columns(row, *names) for row in found] == [
        ("ok", "anthropic.claude-3-5-sonnet-20240620-v1:0", False, 20, 18, 1.2, "end_turn"),
        ("ok", "us.anthropic.claude-haiku-4-5-20251001-v1:0", True, 62, 36, 1.134, "end_turn"),
        ("blocked", "anthropic.claude-3-sonnet-20240229-v1:0", True, 0, 0, None, "end_turn"),
    ]
    assert columns(found[1], "request_max_tokens", "request_temperature") == (32000, 0.7)
    assert columns(found[2], "error_type", "error_class") == ("guardrail_intervened", "content_filter")


def test_a_converse_call_becomes_an_attempt_and_its_features() -> None:
    row, features = bedrock.read(record(), CONTEXT)

    assert isinstance(row, Attempt)
    assert isinstance(features, RequestFeatures)
    assert columns(row, "source_record_id", "request_id", "provider_name", "region", "organization_id") == (
        "req-1",
        "req-1",
        "aws.bedrock",
        "eu-west-1",
        "123456789012",
    )
    assert row.start_time == datetime(2026, 8, 10, 21, 12, 39, tzinfo=UTC)
    assert row.user_id == CONTEXT.hashed("arn:aws:iam::123456789012:user/ada")
    assert row.input_chars == len("Be brief.\nWhat is it?")
    assert row.attributes == (
        '{"operation":"Converse","settings":{"inferenceConfig":{"maxTokens":100,"temperature":0.5,"topP":0.9}}}'
    )
    assert columns(features, "event_id", "tools", "images", "turn") == (row.event_id, 2, 1, 1)


def test_cached_tokens_are_part_of_the_input_whoever_counted_them() -> None:
    converse = {"inputTokens": 3, "cacheReadInputTokens": 7, "cacheWriteInputTokens": 5, "outputTokens": 2}
    split = {**converse, "cacheDetails": [{"ttl": "1h", "inputTokens": 4}, {"ttl": "5m", "inputTokens": 1}]}
    native = {
        "input_tokens": 3,
        "cache_read_input_tokens": 7,
        "cache_creation_input_tokens": 5,
        "cache_creation": {"ephemeral_1h_input_tokens": 4},
        "output_tokens": 2,
    }
    beside = {"inputTokenCount": 3, "cacheReadInputTokenCount": 7, "cacheWriteInputTokenCount": 5}

    found = [
        attempt(record(output=answer({"usage": split}))),
        attempt(record(output=answer({"model": "claude", "id": "msg_1", "usage": native}))),
        attempt(record(input=beside, output={"outputTokenCount": 2})),
        attempt(record(input=beside, output=answer({"usage": {"input_tokens": 3, "output_tokens": 2}}))),
    ]

    assert [columns(row, *TOKENS) for row in found] == [(15, 7, 5, 2)] * 4
    assert [row.usage_details for row in found] == [{"cache_creation_1h_input_tokens": 4}] * 2 + [None] * 2


def test_the_chunks_of_a_stream_are_read_together() -> None:
    chunks = [
        {
            "type": "message_start",
            "message": {"id": "msg_1", "model": "m", "usage": {"input_tokens": 9, "output_tokens": 1}},
        },
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "A secret."}},
        {"type": "message_delta", "delta": {"stop_reason": "max_tokens"}, "usage": {"output_tokens": 30}},
        {
            "type": "message_stop",
            "amazon-bedrock-invocationMetrics": {
                "inputTokenCount": 9,
                "invocationLatency": 2500,
                "firstByteLatency": 400,
            },
        },
    ]

    row = attempt(record(operation="InvokeModelWithResponseStream", output=answer(chunks)))

    assert columns(row, *TOKENS) == (9, None, None, 30)
    assert columns(row, "duration_s", "time_to_first_chunk_s", "request_stream") == (2.5, 0.4, True)
    assert columns(row, "finish_reason", "response_id") == ("max_tokens", "msg_1")


def test_nova_and_openai_models_answer_in_their_own_words() -> None:
    nova = [{"messageStop": {"stopReason": "end_turn"}}, {"metadata": {"usage": {"inputTokens": 4, "outputTokens": 6}}}]
    gpt = {
        "model": "gpt-oss",
        "id": "chatcmpl-1",
        "choices": [{"finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 8}},
    }

    rows = [attempt(record(output=answer(body))) for body in (nova, gpt)]

    assert [columns(row, *TOKENS, "finish_reason") for row in rows] == [
        (4, None, None, 6, "end_turn"),
        (10, 8, None, 4, "stop"),
    ]


@pytest.mark.parametrize(
    ("model", "response_model", "deployment"),
    [
        ("arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0", "amazon.nova-lite-v1:0", False),
        ("arn:aws-us-gov:bedrock:us-gov-west-1:1:inference-profile/us-gov.x.y", "us-gov.x.y", False),
        ("arn:aws:bedrock:us-east-1:1:application-inference-profile/abc", "claude-3", True),
        ("arn:aws:bedrock:us-east-1:1:provisioned-model/abc", "claude-3", True),
        ("eu.anthropic.claude-3", "eu.anthropic.claude-3", False),
    ],
)
def test_an_arn_names_a_model_or_a_deployment(model: str, response_model: str, deployment: bool) -> None:
    row = attempt(record(modelId=model, output=answer({"model": "claude-3", "id": "msg_1"})))

    assert columns(row, "request_model", "response_model", "deployment_id") == (
        model,
        response_model,
        model if deployment else None,
    )


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("ThrottlingException", ("error", None, "rate_limit", "provider")),
        ("ServiceQuotaExceededException", ("error", None, "rate_limit", "provider")),
        ("ModelTimeoutException", ("error", None, "timeout", "provider")),
        ("AccessDeniedException", ("error", None, "auth", "client")),
        ("ValidationException", ("error", None, "invalid_request", "client")),
        ("ModelStreamErrorException", ("error", None, "server", "provider")),
        ("503", ("error", 503, "server", "provider")),
        ("SomethingNewException", ("error", None, "other", "provider")),
    ],
)
def test_an_error_code_is_a_failed_call_without_tokens(error: str, expected: tuple[Any, ...]) -> None:
    row = attempt(record(errorCode=error, input={"inputTokenCount": 0}, output={"outputTokenCount": 0}))

    assert columns(row, "status", "http_status_code", "error_class", "error_origin") == expected
    assert columns(row, "error_type", *TOKENS) == (error, None, None, None, None)


def test_a_guardrail_blocks_when_it_says_so_or_nothing_came() -> None:
    acted = {"amazon-bedrock-guardrailAction": "INTERVENED"}
    masked = {**acted, "stopReason": "end_turn", "usage": {"inputTokens": 5, "outputTokens": 9}}
    stopped = {"stopReason": "guardrail_intervened", "usage": {"inputTokens": 5, "outputTokens": 9}}

    found = [attempt(record(output=answer(body))) for body in (acted, masked, stopped)]

    assert [row.status for row in found] == ["blocked", "ok", "blocked"]
    assert [row.error_class for row in found] == ["content_filter", None, "content_filter"]


def test_request_metadata_becomes_tags_ids_and_the_decision() -> None:
    told = {
        "decision_id": "d-1",
        "propensity": "0.25",
        "is_exploration": "true",
        "request_id": "r-1",
        "sessionId": "s-1",
        "user_id": "ada",
        "route": "maths",
        "prompt": "a secret",
    }

    row, features = bedrock.read(record(requestMetadata=told), CONTEXT)

    assert columns(row, "decision_id", "propensity", "is_exploration", "request_id", "conversation_id", "tags") == (
        "d-1",
        0.25,
        True,
        "r-1",
        "s-1",
        {"route": "maths"},
    )
    assert columns(row, "end_user_id", "source_record_id") == (CONTEXT.hashed("ada"), "req-1")
    assert columns(features, "request_id", "event_id") == ("r-1", row.event_id)  # type: ignore[attr-defined]


def test_a_body_may_be_text_of_json_or_cut_off_or_in_a_bucket() -> None:
    text = record(
        input={"inputBodyJson": '{"prompt": "hello"}', "inputTokenCount": 4},
        output=answer('{"stop_reason": "stop"}', outputTokenCount=2),
    )
    cut = record(input={"inputBodyJson": '{"prompt": "hel', "inputTokenCount": 4}, output={"outputTokenCount": 2})
    away = record(input={"inputBodyS3Path": "s3://logs/1.json", "inputTokenCount": 4}, output={"outputTokenCount": 2})

    names = ("input_chars", "input_tokens", "output_tokens", "finish_reason", "content_ref")
    assert [columns(attempt(given), *names) for given in (text, cut, away)] == [
        (5, 4, 2, "stop", None),
        (None, 4, 2, None, None),
        (None, 4, 2, None, "s3://logs/1.json"),
    ]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"requestId": None}, ("missing_field", "requestId")),
        ({"timestamp": None}, ("missing_field", "timestamp")),
        ({"timestamp": "soon"}, ("wrong_type", "timestamp: not a time")),
        ({"modelId": ""}, ("missing_field", "modelId")),
        ({"input": {"inputTokenCount": "many"}, "output": {}}, ("wrong_type", "inputTokenCount: expected a number")),
        ({"requestMetadata": {"propensity": "often"}}, ("wrong_type", "propensity: expected a number")),
    ],
)
def test_what_cannot_be_read_is_refused(changes: dict[str, Any], expected: tuple[str, str]) -> None:
    assert refusal(record(**changes)) == expected
