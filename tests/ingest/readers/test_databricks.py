import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fairlead import ingest, store
from fairlead.ingest import quarantine
from fairlead.ingest.context import Context
from fairlead.ingest.readers import databricks
from fairlead.project import Project
from fairlead.schema import Attempt

CONTEXT = Context(ingested_at=datetime(2026, 9, 1, tzinfo=UTC), hash_key=b"key")
TOKENS = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")


def record(**changes: Any) -> dict[str, Any]:
    made = {
        "account_id": "account",
        "workspace_id": "42",
        "event_time": "2026-03-01T10:00:00Z",
        "request_id": "r-1",
        "invocation_id": "i-1",
        "endpoint_name": "chat",
        "requester": "ada@example.com",
        "destination_type": "EXTERNAL_MODEL",
        "destination_name": "openai-prod",
        "destination_model": "gpt-4o-mini",
        "status_code": 200,
        "input_tokens": 10,
        "output_tokens": 20,
        "total_tokens": 30,
        "token_details": {"cache_read_input_tokens": 4, "output_reasoning_tokens": 15},
        "latency_ms": 900,
        "time_to_first_byte_ms": 300,
        "request_tags": {"project": "search", "decision_id": "d-1"},
        "user_agent": "curl",
        "api_type": "mlflow/v1/chat/completions",
    }
    return {**made, **changes}


def attempts(given: dict[str, Any]) -> list[Attempt]:
    return [row for row in databricks.read(given, CONTEXT) if isinstance(row, Attempt)]


def columns(row: Any, *names: str) -> tuple[Any, ...]:
    return tuple(getattr(row, name) for name in names)


def test_the_example_becomes_an_attempt(formats: Path) -> None:
    (row,) = attempts(json.loads((formats / "databricks_ai_gateway_usage.jsonl").read_text()))

    assert columns(row, "source_record_id", "request_model", "response_model", "tags", *TOKENS, "duration_s") == (
        "r1",
        "chat",
        "gpt-4o-mini",
        {"project": "search"},
        10,
        None,
        None,
        20,
        None,
    )


def test_a_row_becomes_an_attempt() -> None:
    (row,) = databricks.read(record(), CONTEXT)

    assert columns(row, *TOKENS, "reasoning_output_tokens") == (10, 4, None, 20, 15)
    assert columns(row, "source_record_id", "request_id", "deployment_id", "duration_s", "time_to_first_chunk_s") == (
        "i-1",
        "r-1",
        "openai-prod",
        0.9,
        0.3,
    )
    assert columns(row, "user_id", "decision_id", "operation_name") == (
        CONTEXT.hashed("ada@example.com"),
        "d-1",
        "chat",
    )
    assert json.loads(row.attributes or "") == {"destination_type": "EXTERNAL_MODEL"}  # type: ignore[attr-defined]


def test_counts_below_their_own_parts_leave_them_out() -> None:
    (row,) = attempts(record(token_details={"cache_read_input_tokens": 30, "cache_creation_input_tokens": 5}))

    assert columns(row, *TOKENS) == (45, 30, 5, 20)


def test_failed_tries_before_the_last_are_attempts_of_their_own() -> None:
    tries = [
        {"action": "INITIAL_ATTEMPT", "destination": "a", "status_code": 429, "error_code": "RATE", "latency_ms": 50},
        {"action": "FALLBACK", "destination": "b", "status_code": 503},
        {"action": "FALLBACK", "destination": "c", "status_code": 200},
    ]

    found = attempts(record(routing_information={"attempts": tries}))

    names = ("attempt_index", "attempt_kind", "deployment_id", "status", "error_class", "is_final", "input_tokens")
    assert [columns(row, *names) for row in found] == [
        (0, "first", "a", "error", "rate_limit", False, None),
        (1, "fallback", "b", "error", "server", False, None),
        (2, "fallback", "c", "ok", None, True, 10),
    ]
    assert {row.request_id for row in found} == {"r-1"}
    assert len({row.event_id for row in found}) == 3


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"status_code": 429}, ("error", "rate_limit", "provider", None)),
        ({"status_code": 403, "input_tokens": 0, "output_tokens": 0}, ("error", "auth", "client", None)),
        ({"status_code": 500, "input_tokens": 10}, ("error", "server", "provider", 10)),
    ],
)
def test_the_zeros_of_a_failure_are_not_counts(changes: dict[str, Any], expected: tuple[Any, ...]) -> None:
    (row,) = attempts({**record(input_tokens=0, output_tokens=0, token_details=None), **changes})

    assert columns(row, "status", "error_class", "error_origin", "input_tokens") == expected


def test_an_answer_that_is_not_streamed_has_no_first_chunk_and_a_0_is_no_latency() -> None:
    rows = [attempts(record(**changes))[0] for changes in ({"time_to_first_byte_ms": 900}, {"latency_ms": 0})]

    assert [columns(row, "duration_s", "time_to_first_chunk_s") for row in rows] == [(0.9, None), (None, None)]


def test_a_csv_export_with_json_in_text_is_read(project: Project, tmp_path: Path) -> None:
    path = tmp_path / "usage.csv"
    path.write_text(
        "event_time,request_id,endpoint_name,requester,destination_model,status_code,input_tokens,token_details\n"
        '2026-03-01 10:00:00,r-1,chat,ada,gpt-4o,200,12,"{""cache_read_input_tokens"":5}"\n'
    )

    result = ingest.load(project, [path])

    con = store.open_lake(project.lake).connect()
    found = store.query(con, "SELECT input_tokens, cache_read_input_tokens, http_status_code FROM attempts").rows()
    con.close()
    assert (result.stored, found) == (1, [(12, 5, 200)])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"request_id": None}, "missing_field"),
        ({"event_time": None}, "missing_field"),
        ({"status_code": None}, "missing_field"),
        ({"status_code": 0}, "missing_field"),
        ({"input_tokens": -3}, "out_of_range"),
        ({"latency_ms": -3}, "out_of_range"),
        ({"output_tokens": []}, "wrong_type"),
    ],
)
def test_what_cannot_be_read_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises((quarantine.BadRecordError, msgspec.ValidationError)) as caught:
        list(databricks.read(record(**changes), CONTEXT))

    assert quarantine.explain(caught.value).reason == reason
