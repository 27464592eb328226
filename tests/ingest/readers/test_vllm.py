from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fairlead import ingest, store
from fairlead.ingest.context import Context
from fairlead.ingest.quarantine import BadRecordError
from fairlead.ingest.readers import vllm
from fairlead.project import Project
from fairlead.schema import Attempt, RequestFeatures
from fairlead.scoring.request import text_features

CONTEXT = Context(ingested_at=datetime(2026, 9, 1, tzinfo=UTC), hash_key=b"key")
PARAMS = "SamplingParams(n=1, temperature=0.2, stop=['), '], max_tokens=128)"
NEW = (
    "(APIServer pid=9) INFO 02-13 11:33:33 [logger.py:49] Received request chatcmpl-1: "
    f"params: {PARAMS}, lora_request: None."
)
OLD = (
    "INFO 02-13 11:33:33 logger.py:36] Received request chatcmpl-1: prompt: 'It\\'s, params: x\\n\\u00e9\\x41', "
    f"params: {PARAMS}, prompt_token_ids: None, lora_request: LoRARequest(lora_name='maths/v2', lora_int_id=1)."
)
DONE = (
    "INFO 02-13 11:33:35 [logger.py:80] Generated response chatcmpl-1: output: 'x, finish_reason: y', "
    "output_token_ids: [1, 2], finish_reason: stop"
)
NOISE = 'INFO:     10.0.0.1:51408 - "POST /v1/chat/completions HTTP/1.1" 200 OK'


def rows(line: str, context: Context = CONTEXT) -> list[Any]:
    record = vllm.parse_line(line)
    assert record is not None
    return list(vllm.read(record, context))


def done(**changes: str) -> str:
    line = DONE
    for old, new in changes.items():
        line = line.replace(
            {
                "kind": "chatcmpl-1:",
                "ending": "reason: stop",
                "output": "output: 'x, finish_reason: y', output_token_ids: [1, 2]",
            }[old],
            new,
        )
    return line


def test_the_example_gives_what_was_known_before_the_call(formats: Path, project: Project) -> None:
    result = ingest.load(project, [formats / "vllm_request.log"])

    con = store.open_lake(project.lake).connect()
    counts = store.query(con, "SELECT (SELECT count(*) FROM attempts), (SELECT count(*) FROM request_features)").row(0)
    con.close()
    assert (result.read, result.stored, result.quarantined) == (1, 1, 0)
    assert counts == (0, 1)


def test_an_answer_is_an_attempt_without_model_and_tokens() -> None:
    (row,) = rows(DONE)

    assert isinstance(row, Attempt)
    assert (row.source_record_id, row.response_id, row.status, row.finish_reason) == (
        "chatcmpl-1",
        "chatcmpl-1",
        "ok",
        "stop",
    )
    assert (row.start_time, row.duration_s) == (datetime(2026, 2, 13, 11, 33, 35, tzinfo=UTC), None)
    assert (row.provider_name, row.response_model, row.input_tokens, row.output_tokens) == ("vllm", None, None, None)


def test_a_request_with_its_prompt_is_named_as_the_attempt_of_its_answer() -> None:
    (features,) = rows(OLD)
    (answer,) = rows(DONE)

    assert isinstance(features, RequestFeatures)
    assert (features.event_id, features.request_id) == (answer.event_id, answer.request_id)
    assert (features.route, features.prompt_sha256) == ("maths/v2", CONTEXT.prompt_hash("It's, params: x\néA"))
    assert features.text == text_features("It's, params: x\néA").tolist()


def test_a_request_without_its_prompt_is_no_attempt_and_says_what_to_do() -> None:
    with pytest.raises(BadRecordError, match="status: a request line does not tell how") as caught:
        rows(NEW)

    assert caught.value.reason == "missing_field"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (done(ending="reason: length"), ("ok", "length", None, None, None)),
        (done(ending="reason: abort"), ("cancelled", "abort", "cancelled", None, None)),
        (done(ending="reason: error"), ("error", "error", "server", None, None)),
        (done(ending="reason: None"), ("ok", None, None, None, None)),
        (
            done(kind="chatcmpl-1 (streaming complete):", ending="reason: streaming_complete"),
            ("ok", None, None, True, None),
        ),
        (done(output="output_len: 9, output_token_count: 4"), ("ok", "stop", None, None, 4)),
        (done(output="output: 'x'"), ("ok", "stop", None, None, None)),
    ],
)
def test_the_finish_reason_says_how_it_ended(line: str, expected: tuple[Any, ...]) -> None:
    (row,) = rows(line)

    assert (row.status, row.finish_reason, row.error_class, row.request_stream, row.output_tokens) == expected


def test_the_parts_of_a_stream_are_no_attempts() -> None:
    with pytest.raises(BadRecordError, match="a part of a stream"):
        rows(done(kind="chatcmpl-1 (streaming delta):", ending="reason: None"))


@pytest.mark.parametrize(
    ("loaded", "line", "year"),
    [
        (datetime(2026, 9, 1, tzinfo=UTC), DONE, 2026),
        (datetime(2026, 2, 13, 11, 0, tzinfo=UTC), DONE, 2026),  # a clock of another zone
        (datetime(2026, 2, 10, tzinfo=UTC), DONE, 2025),
        (datetime(2026, 1, 2, tzinfo=UTC), DONE.replace("02-13", "12-31"), 2025),
        (datetime(2026, 9, 1, tzinfo=UTC), DONE.replace("02-13", "02-29"), 2024),
    ],
)
def test_the_year_is_that_of_the_last_such_day(loaded: datetime, line: str, year: int) -> None:
    (row,) = rows(line, Context(ingested_at=loaded, hash_key=b"key"))

    assert row.start_time.year == year


def test_a_day_that_never_was_is_refused() -> None:
    with pytest.raises(BadRecordError, match="out_of_range: time"):
        rows(DONE.replace("02-13", "02-31"))


@pytest.mark.parametrize(
    "line", [NOISE, "", "{", NEW.replace("Received", "Added"), NEW.replace("INFO", "DEBUG"), DONE[:-30]]
)
def test_other_lines_are_not_of_this_log(line: str) -> None:
    assert vllm.parse_line(line) is None


def test_lines_of_text_and_of_json_stand_side_by_side(project: Project, write: Any, payload: Any) -> None:
    log = write([NOISE, OLD, DONE, payload(1), NEW, DONE, "[1"], "server.log")

    result = ingest.load(project, [log])

    con = store.open_lake(project.lake).connect()
    reasons = store.query(con, "SELECT line, reason, detail FROM quarantine ORDER BY line").rows()
    sources = store.query(con, "SELECT source, count(*) FROM attempts GROUP BY source ORDER BY source").rows()
    con.close()
    assert (result.read, result.stored, result.duplicates, result.quarantined) == (7, 3, 1, 3)
    assert sources == [("litellm_payload", 1), ("vllm", 1)]
    assert [(line, reason) for line, reason, _ in reasons] == [(1, "not_json"), (5, "missing_field"), (7, "not_json")]
    assert not any("secret" in detail or "10.0.0.1" in detail for *_, detail in reasons)


def test_a_line_of_text_that_ends_the_file_without_a_newline_is_read(project: Project, tmp_path: Path) -> None:
    path = tmp_path / "server.log"
    path.write_text(f"{OLD}\n{DONE}")

    result = ingest.load(project, [path])

    assert (result.read, result.stored) == (2, 2)


def test_a_reader_that_is_named_reads_text_as_well(project: Project, write: Any) -> None:
    result = ingest.load(project, [write([DONE], "a.log")], reader="vllm")

    assert (result.read, result.stored) == (1, 1)
