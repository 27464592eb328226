import json
import os
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fairlead import ingest, store
from fairlead.ingest.context import Context
from fairlead.ingest.quarantine import BadRecordError
from fairlead.ingest.readers import sglang
from fairlead.project import Project
from fairlead.schema import Attempt

CONTEXT = Context(ingested_at=datetime(2026, 9, 1, tzinfo=UTC), hash_key=b"key")
START = 1_770_000_000.25


def record(asked: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    parameters = {
        "rid": "r1",
        "text": "What is it?",
        "stream": True,
        "sampling_params": {"temperature": 0.2, "max_new_tokens": 128, "stop": ["a secret"]},
        "lora_path": "adapter-1",
        **(asked or {}),
    }
    made = {
        "request_parameters": json.dumps(parameters),
        "id": "r1",
        "finish_reason": {"type": "stop", "matched": 151645},
        "prompt_tokens": 1200,
        "completion_tokens": 80,
        "reasoning_tokens": 60,
        "cached_tokens": 1024,
        "e2e_latency": 1.25,
        "request_received_ts": START,
        "prefill_finished_ts": START + 0.5,
        "weight_version": "default",
        "queue_time": 0.125,
    }
    return {**made, **changes}


def attempt(given: dict[str, Any]) -> Attempt:
    found, *_ = sglang.read(given, CONTEXT)
    assert isinstance(found, Attempt)
    return found


def columns(row: Any, *names: str) -> tuple[Any, ...]:
    return tuple(getattr(row, name) for name in names)


def test_a_record_becomes_an_attempt_and_its_features() -> None:
    row, features = sglang.read(record(), CONTEXT)

    assert columns(row, "input_tokens", "cache_read_input_tokens", "output_tokens", "reasoning_output_tokens") == (
        1200,
        1024,
        80,
        60,
    )
    assert columns(row, "source_record_id", "provider_name", "status", "finish_reason", "request_stream") == (
        "r1",
        "sglang",
        "ok",
        "stop",
        True,
    )
    assert columns(row, "start_time", "duration_s", "time_to_first_chunk_s") == (
        datetime(2026, 2, 2, 2, 40, 0, 250_000, tzinfo=UTC),
        1.25,
        0.5,
    )
    assert columns(row, "request_max_tokens", "request_temperature", "input_chars") == (128, 0.2, len("What is it?"))
    assert json.loads(row.attributes or "") == {  # type: ignore[attr-defined]
        "weight_version": "default",
        "queue_time": 0.125,
        "prefill_finished_ts": START + 0.5,
        "settings": {"lora_path": "adapter-1", "sampling_params": {"temperature": 0.2, "max_new_tokens": 128}},
    }
    assert columns(features, "event_id", "turn") == (row.event_id, 1)  # type: ignore[attr-defined]


def test_without_a_start_it_is_the_end_less_the_latency() -> None:
    row = attempt(record(request_received_ts=None, prefill_finished_ts=None, response_sent_to_client_ts=START + 1.25))

    assert columns(row, "start_time", "duration_s", "time_to_first_chunk_s") == (
        datetime(2026, 2, 2, 2, 40, 0, 250_000, tzinfo=UTC),
        1.25,
        None,
    )


def test_a_record_without_any_moment_is_refused_with_the_way_out(formats: Path) -> None:
    example = json.loads((formats / "sglang_request_metrics.jsonl").read_text())

    with pytest.raises(BadRecordError, match="request_received_ts: no moment in the record") as caught:
        list(sglang.read(example, CONTEXT))

    assert caught.value.reason == "missing_field"
    assert columns(attempt({**example, "request_received_ts": START}), "input_tokens", "request_max_tokens") == (
        1200,
        128,
    )


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ({"type": "length", "length": 128}, ("ok", "length", None, None, None, 80)),
        ("stop", ("ok", "stop", None, None, None, 80)),
        ({"type": "abort", "message": "a secret"}, ("cancelled", "abort", "cancelled", "client", None, 80)),
        (
            {"type": "abort", "status_code": 503, "err_type": "ServiceUnavailable"},
            ("error", "abort", "server", "provider", 503, 80),
        ),
        ({"type": "abort", "status_code": 400}, ("error", "abort", "invalid_request", "client", 400, 80)),
    ],
)
def test_the_finish_reason_says_how_it_ended(reason: Any, expected: tuple[Any, ...]) -> None:
    row = attempt(record(finish_reason=reason))

    names = ("status", "finish_reason", "error_class", "error_origin", "http_status_code", "output_tokens")
    assert columns(row, *names) == expected


def test_the_zeros_of_an_abort_are_not_counts() -> None:
    row = attempt(record(finish_reason={"type": "abort"}, completion_tokens=0))

    assert columns(row, "input_tokens", "output_tokens") == (None, None)


def test_labels_become_tags_and_the_decision() -> None:
    row = attempt(record(asked={"custom_labels": {"team": "search", "decision_id": "d-1", "propensity": 0.5}}))

    assert columns(row, "tags", "decision_id", "propensity") == ({"team": "search"}, "d-1", 0.5)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"id": None}, "missing_field: id"),
        ({"request_parameters": "{"}, "wrong_type: request_parameters: expected JSON in text"),
        ({"e2e_latency": -2}, "out_of_range: e2e_latency: not between 0 and a day"),
        ({"prompt_tokens": "many"}, "wrong_type: prompt_tokens: expected a number"),
        ({"request_received_ts": 1}, "out_of_range: request_received_ts: not in this century"),
    ],
)
def test_what_cannot_be_read_is_refused(changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(BadRecordError) as caught:
        list(sglang.read(record(**changes), CONTEXT))

    assert str(caught.value) == expected


def test_records_without_a_moment_are_given_the_hour_of_their_file_once(project: Project, tmp_path: Path) -> None:
    lines = "".join(
        json.dumps(record({"rid": name}, id=name, request_received_ts=None, prefill_finished_ts=None)) + "\n"
        for name in ("r1", "r2")
    )
    named, copy = tmp_path / "sglang-request-metrics-20261004_17.log", tmp_path / "copy.jsonl"
    named.write_text(lines)
    copy.write_text(lines + "\n")
    os.utime(copy, (START, START))

    first, again = ingest.load(project, [named]), ingest.load(project, [copy])

    assert (first.stored, again.stored, again.duplicates) == (2, 0, 2)
    with closing(store.open_lake(project.lake).connect()) as con:
        rows = store.query(con, "SELECT start_time, attributes FROM attempts")
    assert rows["start_time"].to_list() == [datetime(2026, 10, 4, 17, tzinfo=UTC)] * 2
    assert {json.loads(text)["start_time_from"] for text in rows["attributes"]} == {"file"}
