"""What holds for the readers of all gateways: whatever a record holds, it is stored or set aside with a reason."""

import copy
import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fairlead import ingest, store
from fairlead.ingest import gateways, hosts
from fairlead.ingest.context import Context
from fairlead.ingest.quarantine import REASONS, explain
from fairlead.ingest.readers import all_readers
from fairlead.project import open_project

BODY = {
    "model": "m-1",
    "messages": [{"role": "user", "content": "Secret?"}],
    "max_tokens": 9,
    "temperature": 0.5,
    "tools": [{}],
    "stream": True,
}
ANSWER = {
    "id": "chatcmpl-1",
    "usage": {
        "prompt_tokens": 30,
        "completion_tokens": 9,
        "prompt_tokens_details": {"cached_tokens": 10, "audio_tokens": 2},
        "completion_tokens_details": {"reasoning_tokens": 4},
    },
}
META = {"team": "blue", "user": "u-1", "decision_id": "d-1", "propensity": 0.5, "candidates": [{"arm": "a"}]}
RECORDS: dict[str, list[dict[str, Any]]] = {
    "helicone": [
        {
            "request_id": "h-1",
            "request_created_at": "2026-01-01 00:00:00.000",
            "updated_at": "2026-01-02 00:00:00.000",
            "latency": 1000,
            "time_to_first_token": 100,
            "status": 200,
            "provider": "OPENAI",
            "model": "m-1",
            "prompt_tokens": 10,
            "prompt_cache_read_tokens": 5,
            "prompt_audio_tokens": 1,
            "completion_tokens": 4,
            "cost": 1000,
            "properties": META,
            "scores": {"quality": 7, "fine-hcone-bool": 1},
            "request_body": json.dumps(BODY),
            "response_body": json.dumps(ANSWER),
        }
    ],
    "portkey": [
        {
            "id": "p-1",
            "trace_id": "t-1",
            "created_at": "2026-01-01T00:00:00.000Z",
            "ai_org": "openai",
            "ai_model": "m-1",
            "is_success": True,
            "req_units": 10,
            "res_units": 4,
            "cost": 0.1,
            "cost_currency": "USD",
            "response_time": 900,
            "response_status_code": 200,
            "retry_success_count": 1,
            "last_used_option_index": 1,
            "mode": "fallback",
            "metadata": META,
            "request": {"body": BODY, "portkeyHeaders": {"x-portkey-metadata": "{}"}},
            "response": {"body": ANSWER},
        },
        {"trace_id": "t-1", "value": 10, "weight": 0.5, "metadata": {"source": "thumbs"}},
    ],
    "openrouter": [
        {
            "id": "gen-1",
            "created_at": "2026-01-01T00:00:00Z",
            "model": "a/m-1",
            "total_cost": 0.01,
            "upstream_inference_cost": 0.02,
            "is_byok": True,
            "latency": 900,
            "generation_time": 700,
            "native_tokens_prompt": 10,
            "native_tokens_completion": 4,
            "native_tokens_cached": 3,
            "native_tokens_completion_images": 2,
            "provider_responses": [
                {"provider_name": "Azure", "status": 500, "latency": 100, "endpoint_id": "e-1"},
                {"provider_name": "OpenAI", "status": 200, "latency": 700, "endpoint_id": "e-2"},
            ],
            "trace": META,
        },
        {"date": "2026-01-01", "model_permaslug": "a/m-1", "provider_name": "OpenAI", "usage": 1.5, "requests": 3}
        | {"byok_usage_inference": 0.5, "prompt_tokens": 10, "completion_tokens": 5, "reasoning_tokens": 1},
        {"generation_id": "gen-1", "category": "latency", "comment": "It is slow."},
        {"uptime_last_30m": 99.5, "latency_last_30m": {"p50": 0.25}},
    ],
    "bifrost": [
        {
            "id": "b-1",
            "timestamp": "2026-01-01T00:00:00.123456789Z",
            "object": "chat_completion",
            "provider": "openai",
            "model": "m-1",
            "number_of_retries": 1,
            "fallback_index": 0,
            "status": "success",
            "latency": 50.5,
            "cost": 0.001,
            "token_usage": {"prompt_tokens": 10, "completion_tokens": 4},
            "cache_debug": {"cache_hit": False},
            "attempt_trail": [{"attempt": 0, "key_id": "k", "fail_reason": "rate_limit_error"}, {"attempt": 1}],
            "metadata": META,
            "params": {"temperature": 0.5},
            "input_history": BODY["messages"],
            "error_details": {"status_code": 500, "error": {"type": "server_error"}},
        }
    ],
    "kong": [
        {
            "started_at": 1_767_225_600_000,
            "request": {"id": "k-1", "headers": {"x-fairlead-decision-id": "d-1"}},
            "response": {"status": 200},
            "latencies": {"request": 900, "proxy": 800, "kong": 9},
            "tries": [{"balancer_start": 1_767_225_600_001, "code": 502}, {"balancer_start": 1_767_225_600_101}],
            "route": {"name": "maths"},
            "ai": {
                "payload": {"request": json.dumps(BODY)},
                "proxy": {
                    "meta": {"provider_name": "openai", "request_model": "m-1", "llm_latency": 700},
                    "usage": {"prompt_tokens": 10, "completion_tokens": 4, "cost": 0.01, "time_to_first_token": 50},
                    "tried_targets": [{"provider": "cohere", "model": "m-2"}, {"provider": "openai", "model": "m-1"}],
                    "cache": {"cache_status": "Miss"},
                },
                "ai-llm-as-judge": {"meta": {"response_model": "j-1"}, "usage": {"llm_accuracy": 88}},
            },
        }
    ],
    "envoy": [
        {
            ":authority": "api.openai.com",
            "start_time": "2026-01-01T00:00:00.000Z",
            "duration": 900,
            "response_code": 200,
            "response_flags": "-",
            "gen_ai.request.model": "m-1",
            "gen_ai.provider.name": "default/openai/route/r/rule/0/ref/0",
            "gen_ai.usage.input_tokens": "10",
            "gen_ai.usage.output_tokens": 4,
            "x-request-id": "e-1",
            "route_name": "r",
            "session.id": "s-1",
        }
    ],
    "cloudflare": [
        {
            "id": "c-1",
            "created_at": "2026-01-01T00:00:00Z",
            "provider": "openai",
            "model": "m-1",
            "cached": False,
            "cost": 0.01,
            "duration": 900,
            "status_code": 200,
            "success": True,
            "step": 1,
            "tokens_in": 10,
            "tokens_out": 4,
            "metadata": json.dumps(META),
            "feedback": 1,
            "score": 70,
            "request_head": json.dumps(BODY),
            "request_head_complete": True,
        }
    ],
    "cloudflare_logpush": [
        {
            "Datetime": "2026-01-01T00:00:00Z",
            "Gateway": "g",
            "Provider": "openai",
            "Model": "m-1",
            "Endpoint": "chat/completions",
            "StatusCode": 200,
            "Cached": False,
            "RateLimited": False,
            "Metadata": META,
            "RequestBody": BODY,
            "ResponseBody": ANSWER,
        }
    ],
}
CASES = [(name, number) for name, records in RECORDS.items() for number in range(len(records))]
ODD = st.sampled_from(
    [
        None,
        "",
        "x",
        "-1",
        "null",
        "1e999",
        "{",
        "[1]",
        '{"a": 1}',
        "\x00",
        0,
        -1,
        1,
        10**30,
        -(10**400),
        2**63,
        1.5,
        1e308,
        True,
        False,
        [],
        [[]],
        [None],
        [{}],
        ["x", 1],
        {},
        {"a": {"b": []}},
        "x" * 5000,
        {"type": "encrypted"},
    ]
)
THOROUGH = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
LOADED = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, inner in pairs for found in [(*path, key), *places(inner, (*path, key))]]


def changed(record: Any, path: tuple[Any, ...], value: Any) -> Any:
    made = copy.deepcopy(record)
    inner = made
    for key in path[:-1]:
        inner = inner[key]
    if value == "dropped":
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return made


@st.composite
def mutants(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    name, number = draw(st.sampled_from(CASES))
    record = RECORDS[name][number]
    for _ in range(draw(st.integers(1, 2))):
        if found := places(record):
            record = changed(record, draw(st.sampled_from(found)), draw(ODD | st.just("dropped")))
    return name, record


def refused(reader: Any, record: dict[str, Any], context: Context) -> str | None:
    try:
        return None if list(reader.read(record, context)) else "reader_fault"
    except Exception as fault:
        return explain(fault).reason


@THOROUGH
@given(mutant=mutants())
def test_no_mutation_of_a_record_is_more_than_a_reason(mutant: tuple[str, dict[str, Any]]) -> None:
    name, record = mutant
    reader = all_readers()[name]
    context = Context(ingested_at=datetime.now(UTC), hash_key=b"k" * 32)
    for other in RECORDS:
        assert isinstance(all_readers()[other].recognises(record), bool)
    assert refused(reader, record, context) in {None, *REASONS} - {"reader_fault"}


@LOADED
@given(drawn=st.lists(mutants(), min_size=1, max_size=40))
@example(drawn=[(name, record) for name, records in RECORDS.items() for record in records])
def test_any_mix_of_gateways_conserves_the_sum(drawn: list[tuple[str, dict[str, Any]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "pyproject.toml").write_text("[tool.fairlead.ingest]\nmax_quarantined_share = 1.0\n")
        lines = [json.dumps(record) for _, record in drawn]
        for name in ("one", "two"):  # the second has one line more, so that it is not the same file
            (root / f"{name}.jsonl").write_text("\n".join(lines) + ("\n{}\n" if name == "two" else "\n"))
        project = open_project(root)

        first = ingest.load(project, [root / "one.jsonl"])
        again = ingest.load(project, [root / "two.jsonl"])

        con = store.open_lake(project.lake).connect()
        found = store.query(con, "SELECT detail FROM quarantine WHERE reason = 'reader_fault'").to_dicts()
        con.close()
    assert first.read == first.stored + first.duplicates + first.quarantined == len(lines)
    assert (again.stored, again.quarantined) == (0, first.quarantined + 1)
    assert found == []


@pytest.mark.parametrize(("name", "number"), CASES)
def test_a_record_is_known_by_its_own_reader_only(name: str, number: int) -> None:
    knowing = [other for other, reader in all_readers().items() if reader.recognises(RECORDS[name][number])]

    assert knowing == [name]


def test_published_records_are_known_by_their_own_reader_only(formats: Path) -> None:
    for path in sorted(formats.glob("*.jsonl")):
        own = [name for name in sorted(RECORDS, key=len) if path.stem.startswith(name)][-1:]
        for line in path.read_text().splitlines():
            record = json.loads(line)
            assert [name for name in RECORDS if all_readers()[name].recognises(record)] == own, path.name


def test_nothing_that_was_said_is_kept(tmp_path: Path) -> None:
    context = Context(ingested_at=datetime.now(UTC), hash_key=b"k" * 32)
    for name, records in RECORDS.items():
        for record in records[:1]:
            for row in all_readers()[name].read(record, context):
                assert "Secret" not in repr(row), name
                assert "u-1" not in repr(row), name


def test_bodies_are_read_as_objects_or_as_text() -> None:
    for body in (BODY, json.dumps(BODY)):
        said = gateways.asked(body)
        assert said.prompt is not None
        assert (said.prompt.text, said.offer.tools) == ("Secret?", 1)
        assert said.columns == {"request_stream": True, "request_max_tokens": 9, "request_temperature": 0.5}
    for body in ("{not json", "Secret", None, 5, {"max_tokens": "9", "temperature": "hot", "stream": "yes"}):
        assert gateways.asked(body).prompt is None
        assert set(gateways.asked(body).columns.values()) == {None}


@pytest.mark.parametrize(
    ("body", "counts"),
    [
        ({"usage": {"input_tokens": 3, "cache_read_input_tokens": 7, "output_tokens": 5}}, (10, 7, 5)),
        ({"usage": {"prompt_tokens": 10, "completion_tokens": 5}}, (10, None, 5)),
        ({"usage": {"inputTokens": 3, "cacheReadInputTokens": 7, "outputTokens": 5}}, (10, 7, 5)),
        (
            {"usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 2, "thoughtsTokenCount": 3}},
            (10, None, 5),
        ),
        ({"usage": {}}, (None, None, None)),
        ("no body", (None, None, None)),
    ],
)
def test_the_counts_of_an_answer_are_read_in_its_dialect(body: Any, counts: tuple[int | None, ...]) -> None:
    found = gateways.usage_of(body)

    assert (found.get("input_tokens"), found.get("cache_read_input_tokens"), found.get("output_tokens")) == counts


def test_who_asked_is_found_under_the_names_that_are_used() -> None:
    found = gateways.caller({"_user": "u", "team": "t", "env": "live", "session_id": "s", "depth": 3, "beta": True})

    assert found == {
        "user_id": "u",
        "team_id": "t",
        "environment": "live",
        "conversation_id": "s",
        "tags": {"team": "t", "env": "live", "session_id": "s", "depth": "3", "beta": "true"},
    }


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("api.anthropic.com", ("anthropic", None)),
        ("us-central1-aiplatform.googleapis.com", ("gcp.vertex_ai", "us-central1")),
        ("aiplatform.googleapis.com", ("gcp.vertex_ai", None)),
        ("mine.openai.azure.com", ("azure.ai.openai", None)),
        ("api.openai.com.example.org", None),
    ],
)
def test_a_host_tells_the_provider(host: str, found: tuple[str, str | None] | None) -> None:
    assert hosts.provider_and_region(host) == found
