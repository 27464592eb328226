import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fairlead import ingest, store
from fairlead.project import Project


def rows(project: Project, sql: str) -> list[dict[str, Any]]:
    con = store.open_lake(project.lake).connect()
    try:
        return store.query(con, sql).to_dicts()
    finally:
        con.close()


def test_real_payloads_become_attempts(project: Project, formats: Path) -> None:
    result = ingest.load(project, [formats / "litellm_standard_logging_payload.jsonl"])

    attempts = rows(
        project,
        "SELECT status, provider_name, response_model, input_tokens, output_tokens, reported_cost_usd::DOUBLE AS usd,"
        " http_status_code AS code, error_class, attempt_kind, round(duration_s, 3) AS s,"
        " round(time_to_first_chunk_s, 3) AS first_s FROM attempts ORDER BY start_time",
    )
    names = ("status", "provider_name", "response_model", "input_tokens", "output_tokens", "usd", "code")
    assert (result.read, result.stored) == (7, 7)
    assert [tuple(row[name] for name in names) for row in attempts] == [
        ("ok", "openai", "gpt-4o-mini", 10, 20, 1.35e-05, None),
        ("ok", "anthropic", "claude-3-5-haiku-20241022", 21, 4, None, None),
        ("error", "openai", "gpt-4o", None, None, 0.0, 429),
        ("error", "openai", "gpt-4o", None, None, 0.0, 429),
        ("ok", "openai", "gpt-4o-mini", 10, 20, 1.35e-05, None),
        ("error", "groq", "llama-3.3-70b-versatile", None, None, 0.0, 500),
        ("error", "groq", "llama-3.3-70b-versatile", None, None, 0.0, 500),
    ]
    assert [row["error_class"] for row in attempts if row["error_class"]] == ["rate_limit"] * 2 + ["server"] * 2
    assert [(row["s"], row["first_s"]) for row in attempts[:2]] == [(0.304, None), (13.962, 0.513)]
    assert [row["attempt_kind"] for row in attempts] == ["first", None, None, None, "fallback", None, None]


def test_real_payloads_become_requests(project: Project, formats: Path) -> None:
    ingest.load(project, [formats / "litellm_standard_logging_payload.jsonl"])

    requests = rows(
        project,
        "SELECT request_id, attempts, status, first_endpoint, endpoint, request_model, round(duration_s, 2) AS s"
        " FROM requests ORDER BY start_time",
    )

    assert [tuple(row.values())[1:] for row in requests] == [
        (1, "ok", "dep-openai-1", "dep-openai-1", "chat", 0.3),
        (1, "ok", "dep-anthropic-1", "dep-anthropic-1", "chat", 13.96),
        (3, "ok", "dep-flaky", "dep-openai-1", "flaky", 2.4),
        (2, "error", "dep-500", "dep-500", "always-500", 0.73),
    ]
    assert requests[1]["request_id"].startswith("sess-1/")  # a session id stood where the trace id belongs


def test_real_spend_logs_become_attempts(project: Project, formats: Path) -> None:
    result = ingest.load(project, [formats / "litellm_spendlogs.jsonl"])

    attempts = rows(
        project,
        "SELECT status, provider_name, response_model, request_model, request_stream, reported_cost_usd::DOUBLE AS usd,"
        " gateway_cache_status AS cache, attempt_index, attempt_kind, conversation_id"
        " FROM attempts ORDER BY start_time",
    )
    assert (result.read, result.stored) == (3, 3)
    assert [tuple(row.values()) for row in attempts] == [
        ("ok", "openai", "gpt-4o-mini", "chat", None, 1.35e-05, None, 0, "first", None),
        ("ok", "anthropic", "claude-3-5-haiku-20241022", "chat", True, None, "miss", 0, "first", "sess-1"),
        ("ok", "openai", "gpt-4o-mini", "flaky", None, 1.35e-05, None, 1, "fallback", None),
    ]


def test_the_same_call_in_both_formats_is_two_attempts_of_different_sources(project: Project, formats: Path) -> None:
    ingest.load(project, [formats / "litellm_standard_logging_payload.jsonl", formats / "litellm_spendlogs.jsonl"])

    assert rows(project, "SELECT source, count(*) AS n FROM attempts GROUP BY source ORDER BY source") == [
        {"source": "litellm_payload", "n": 7},
        {"source": "litellm_spendlogs", "n": 3},
    ]
    assert rows(project, "SELECT count(*) AS n FROM requests") == [{"n": 7}]


def test_tags_and_prompt_become_features(project: Project, payload: Any, write: Any) -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {}}]},
        {"role": "assistant", "content": None},
        {"role": "user", "content": "And now?"},
    ]
    log = write(
        [
            payload(0, messages=messages, model_parameters={"tools": [{}, {}]}),
            payload(1, messages="redacted-by-litellm", request_tags=[]),
            payload(
                2, messages=[{"role": "user", "content": "redacted-by-litellm"}], request_tags=[], model_group=None
            ),
        ]
    )

    ingest.load(project, [log])

    found = rows(
        project,
        "SELECT a.route, f.tools, f.images, f.turn, f.prompt_sha256 IS NOT NULL AS hashed, a.input_chars, a.tags"
        " FROM attempts a LEFT JOIN request_features f USING (event_id) ORDER BY a.start_time",
    )
    assert [tuple(row.values())[:6] for row in found] == [
        ("maths", 2, 1, 2, True, len("Be brief.\nWhat is it?\nAnd now?")),
        ("chat", None, None, None, False, None),  # what is not known is not written down
        ("gpt-4o-mini", None, None, None, False, None),
    ]
    assert dict(found[0]["tags"]) == {"prod": "", "route": "maths"}


def test_features_in_the_lake_are_those_of_the_decision(project: Project, payload: Any, write: Any) -> None:
    from fairlead.scoring.request import text_features

    ingest.load(project, [write([payload(7)])])

    (row,) = rows(project, "SELECT text FROM request_features")
    assert list(row["text"]) == text_features("What is 7 plus one?").tolist()


def test_an_echoed_decision_is_taken_over(project: Project, payload: Any, write: Any) -> None:
    told = {
        "request_id": "r-1",
        "decision_id": "d-1",
        "propensity": 0.25,
        "policy_id": "intelligent",
        "policy_version": "3",
        "is_exploration": True,
        "candidates": [{"arm": "a", "propensity": 0.75}, {"arm": "b", "propensity": 0.25}],
    }
    log = write([payload(0, trace_id="session", metadata={"spend_logs_metadata": told})])

    ingest.load(project, [log])

    (row,) = rows(
        project,
        "SELECT request_id, decision_id, propensity, policy_id, policy_version, is_exploration,"
        " [c.arm for c in candidates] AS arms, conversation_id FROM attempts",
    )
    assert list(row.values()) == ["r-1", "d-1", 0.25, "intelligent", "3", True, ["a", "b"], None]


def test_attempts_of_one_request_in_a_session_stay_together_and_turns_apart(
    project: Project, payload: Any, write: Any
) -> None:
    first = [{"role": "user", "content": "one"}]
    second = [{"role": "user", "content": "two"}]
    failed = {"status": "failure", "prompt_tokens": 0, "completion_tokens": 0}
    log = write(
        [
            payload(0, trace_id="s", messages=first, **failed),
            payload(1, trace_id="s", messages=first),
            payload(2, trace_id="s", messages=second),
            payload(3, trace_id="s", messages=None),
        ]
    )

    ingest.load(project, [log])

    assert rows(project, "SELECT attempts, status, conversation_id FROM requests ORDER BY start_time") == [
        {"attempts": 2, "status": "ok", "conversation_id": "s"},
        {"attempts": 1, "status": "ok", "conversation_id": "s"},
        {"attempts": 1, "status": "ok", "conversation_id": "s"},
    ]


def test_zero_cost_is_free_only_from_the_cache(project: Project, payload: Any, write: Any) -> None:
    log = write(
        [
            payload(0, response_cost=0.0),
            payload(1, response_cost=0.0, cache_hit=True, saved_cache_cost=2e-5),
            payload(2, response_cost=None),
        ]
    )

    ingest.load(project, [log])

    assert rows(
        project,
        "SELECT reported_cost_usd::DOUBLE AS usd, cache_saved_cost_usd::DOUBLE AS saved, attempt_kind, cost_known"
        " FROM attempts ORDER BY start_time",
    ) == [
        {"usd": None, "saved": None, "attempt_kind": "first", "cost_known": False},
        {"usd": 0.0, "saved": 2e-5, "attempt_kind": "cache", "cost_known": True},
        {"usd": None, "saved": None, "attempt_kind": "first", "cost_known": False},
    ]


def test_token_classes_are_read_from_the_usage_object(project: Project, payload: Any, write: Any) -> None:
    usage = {
        "prompt_tokens_details": {"cached_tokens": 6, "audio_tokens": 2},
        "completion_tokens_details": {"reasoning_tokens": 5},
        "cache_creation_input_tokens": 3,
    }
    excluding = {"cache_read_input_tokens": 100, "cache_creation_input_tokens": 5}
    log = write([payload(0, metadata={"usage_object": usage}), payload(1, metadata={"usage_object": excluding})])

    ingest.load(project, [log])

    assert rows(
        project,
        "SELECT input_tokens AS i, cache_read_input_tokens AS r, cache_creation_input_tokens AS c, output_tokens AS o,"
        " reasoning_output_tokens AS t FROM attempts ORDER BY start_time",
    ) == [{"i": 10, "r": 6, "c": 3, "o": 20, "t": 5}, {"i": 115, "r": 100, "c": 5, "o": 20, "t": None}]


def test_a_spend_log_that_changed_is_shown_once_as_it_is_now(project: Project, write: Any) -> None:
    row = {
        "request_id": "chatcmpl-1",
        "startTime": "2026-01-24 09:20:46.847371",
        "endTime": "2026-01-24 09:20:48.847371",
        "spend": 0.1,
        "model": "gpt-4o",
        "custom_llm_provider": "openai",
        "metadata": "{}",
        "prompt_tokens": 1,
        "completion_tokens": 1,
        "updated_at": "2026-01-24T10:00:00Z",
    }
    newer = {**row, "spend": 0.2, "updated_at": "2026-01-24T11:00:00Z"}
    older = {**row, "spend": 0.3, "updated_at": "2026-01-24T09:30:00Z"}

    results = [ingest.load(project, [write([one], f"{n}.jsonl")]) for n, one in enumerate((row, newer, older))]

    assert [(result.stored, result.duplicates) for result in results] == [(1, 0), (1, 0), (0, 1)]
    assert rows(project, "SELECT reported_cost_usd::DOUBLE AS usd, start_time FROM attempts") == [
        {"usd": 0.2, "start_time": datetime(2026, 1, 24, 9, 20, 46, 847371, UTC)}
    ]


def test_spend_logs_are_read_from_csv(project: Project, tmp_path: Path) -> None:
    log = tmp_path / "spend.csv"
    metadata = json.dumps({"error_information": {"error_code": "504", "error_class": "Timeout", "llm_provider": "x"}})
    quoted = metadata.replace('"', '""')
    log.write_text(
        "request_id,startTime,endTime,spend,model,status,prompt_tokens,completion_tokens,cache_hit,metadata\r\n"
        "a,2026-01-01 00:00:00,2026-01-01 00:00:02+00:00,1.5e-05,openai/gpt-4o,success,10,20,True,{}\r\n"
        f'b,2026-01-01 00:00:00,2026-01-01 00:00:30,0.0,openai/gpt-4o,failure,0,0,None,"{quoted}"\r\n'
    )

    result = ingest.load(project, [log])

    assert (result.read, result.stored) == (2, 2)
    assert rows(
        project,
        "SELECT status, error_class, input_tokens AS i, gateway_cache_status AS c FROM attempts ORDER BY status",
    ) == [
        {"status": "error", "error_class": "timeout", "i": None, "c": None},
        {"status": "ok", "error_class": None, "i": 10, "c": "hit"},
    ]
