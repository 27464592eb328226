import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fairlead import ingest, store
from fairlead.ingest.context import Context
from fairlead.ingest.quarantine import BadRecordError
from fairlead.ingest.readers import azure_openai
from fairlead.project import Project
from fairlead.schema import Attempt

CONTEXT = Context(ingested_at=datetime(2026, 9, 1, tzinfo=UTC), hash_key=b"key")
RESOURCE = "/SUBSCRIPTIONS/S/RESOURCEGROUPS/G/PROVIDERS/MICROSOFT.COGNITIVESERVICES/ACCOUNTS/MINE"
TICKS = 638_900_000_000_000_000


def record(number: int = 0, *, told: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    properties = {
        "apiName": "Azure OpenAI API version 2024-10-21",
        "requestTime": TICKS,
        "responseTime": TICKS + 15_000_000,
        "requestLength": 200,
        "responseLength": 900,
        "objectId": "person-1",
        "streamType": "Non-Streaming",
        "modelDeploymentName": "chat-prod",
        "modelName": "gpt-4o",
        "modelVersion": "2024-08-06",
        **(told or {}),
    }
    made = {
        "time": "2025-08-05T14:13:25Z",
        "resourceId": RESOURCE,
        "category": "RequestResponse",
        "operationName": "ChatCompletions_Create",
        "correlationId": f"call-{number}",
        "durationMs": 1400,
        "resultSignature": "200",
        "callerIpAddress": "10.0.0.***",
        "location": "swedencentral",
        "properties": json.dumps(properties),
    }
    return {**made, **changes}


def attempt(given: dict[str, Any]) -> Attempt:
    found, *_ = azure_openai.read(given, CONTEXT)
    assert isinstance(found, Attempt)
    return found


def columns(row: Any, *names: str) -> tuple[Any, ...]:
    return tuple(getattr(row, name) for name in names)


def test_real_records_become_attempts(formats: Path) -> None:
    lines = (formats / "azure_openai_diagnostic.jsonl").read_text().splitlines()
    first, second = (attempt(json.loads(line)) for line in lines)

    assert first.start_time == datetime(2024, 4, 8, 12, 22, 59, 485461, tzinfo=UTC)
    assert columns(first, "duration_s", "operation_name", "region", "input_tokens", "output_tokens", "status") == (
        0.102333,
        "Create_Thread",
        "eastus",
        None,
        None,
        "ok",
    )
    assert columns(second, "deployment_id", "response_model", "duration_s", "input_tokens", "output_tokens") == (
        "gpt-4o-deploy",
        "gpt-4o",
        0.42,
        10,
        5,
    )


def test_a_row_says_who_called_what_and_not_how_many_tokens() -> None:
    (row,) = azure_openai.read(record(), CONTEXT)

    assert columns(row, "source_record_id", "provider_name", "region", "deployment_id", "response_model") == (
        "call-0",
        "azure.ai.openai",
        "swedencentral",
        "chat-prod",
        "gpt-4o-2024-08-06",
    )
    assert columns(row, "input_tokens", "output_tokens", "duration_s", "request_stream") == (None, None, 1.5, False)
    assert row.start_time == datetime(2025, 8, 5, 14, 13, 20, tzinfo=UTC)
    assert row.user_id == CONTEXT.hashed("person-1")
    assert json.loads(row.attributes or "") == {"requestLength": 200, "responseLength": 900, "resourceId": RESOURCE}


def test_a_body_that_was_logged_tells_of_the_request() -> None:
    body = {
        "messages": [{"role": "user", "content": "What is it?"}],
        "tools": [{}],
        "max_tokens": 50,
        "temperature": 0.5,
    }

    row, features = azure_openai.read(record(told={"requestBody": json.dumps(body)}), CONTEXT)

    assert columns(row, "input_chars", "request_max_tokens", "request_temperature") == (len("What is it?"), 50, 0.5)
    assert columns(features, "tools", "turn", "event_id") == (1, 1, row.event_id)  # type: ignore[attr-defined]


def test_moments_are_ticks_or_texts_and_the_row_is_written_later() -> None:
    found = [
        attempt(record(told={"requestTime": str(TICKS)})),
        attempt(record(told={"requestTime": "2025-08-05T14:13:20Z", "responseTime": None})),
        attempt(record(told={"requestTime": None})),
        attempt(record(told={"requestTime": None, "responseTime": None}, durationMs=0)),
    ]

    assert [(row.start_time.isoformat(), row.duration_s) for row in found] == [
        ("2025-08-05T14:13:20+00:00", 1.5),
        ("2025-08-05T14:13:20+00:00", 1.4),
        ("2025-08-05T14:13:25+00:00", 1.4),
        ("2025-08-05T14:13:25+00:00", None),
    ]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"resultSignature": "429"}, ("error", 429, "rate_limit", "provider")),
        ({"resultSignature": 400}, ("error", 400, "invalid_request", "client")),
        ({"resultSignature": "499"}, ("cancelled", 499, "cancelled", "client")),
        ({"resultSignature": None, "resultType": "Success"}, ("ok", None, None, None)),
        ({"resultSignature": None, "resultType": "Failure"}, ("error", None, "other", None)),
    ],
)
def test_the_result_says_how_it_ended(changes: dict[str, Any], expected: tuple[Any, ...]) -> None:
    row = attempt(record(**changes))

    assert columns(row, "status", "http_status_code", "error_class", "error_origin") == expected


def test_a_row_without_a_correlation_id_is_known_by_its_content() -> None:
    found = [attempt(record(correlationId=None, durationMs=ms)).event_id for ms in (1, 2, 1)]

    assert found[0] == found[2] != found[1]


def test_a_body_that_is_cut_off_says_nothing_and_harms_nothing() -> None:
    row = attempt(record(told={"requestBody": '{"messages": [{"ro', "responseBody": "data: {}"}))

    assert columns(row, "input_chars", "input_tokens", "status") == (None, None, "ok")


def test_the_records_of_an_envelope_are_counted_one_by_one(project: Project, write: Any) -> None:
    envelope = {"records": [record(1), record(2), "no record", record(3, time=None, told={"requestTime": None})]}

    result = ingest.load(project, [write([envelope, record(2)])])

    con = store.open_lake(project.lake).connect()
    reasons = sorted(store.query(con, "SELECT reason FROM quarantine")["reason"])
    con.close()
    assert (result.read, result.stored, result.duplicates, result.quarantined) == (5, 2, 1, 2)
    assert reasons == ["missing_field", "missing_field"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"properties": "{not json"}, "wrong_type"),
        ({"resultSignature": None}, "missing_field"),
        ({"resultSignature": "odd"}, "missing_field"),
        ({"durationMs": "long", "properties": "{}"}, "wrong_type"),
    ],
)
def test_what_cannot_be_read_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadRecordError) as caught:
        list(azure_openai.read(record(**changes), CONTEXT))

    assert caught.value.reason == reason


def test_other_rows_of_the_same_make_are_left_to_others() -> None:
    others = [
        record(category="Audit"),
        record(resourceId="/PROVIDERS/MICROSOFT.KEYVAULT"),
        {"records": []},
        {"records": [1]},
    ]

    assert [azure_openai.recognises(other) for other in others] == [False] * 4
    assert azure_openai.recognises({"records": [record()]})
