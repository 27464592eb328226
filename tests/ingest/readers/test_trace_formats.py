"""Whatever becomes of a record of the trace formats on its way here, it is stored, a duplicate or set aside."""

import copy
import json
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead import ingest, store
from fairlead.ingest.readers import all_readers
from fairlead.project import open_project

NAMES = ("otlp", "openinference", "langfuse", "mlflow_traces", "tensorzero")
ODD = [
    None,
    "",
    "x",
    "\ud800",
    "NaN",
    "[",
    '{"a": 1}',
    0,
    -1,
    10**30,
    1.5,
    1e308,
    True,
    [],
    [1, "a", None],
    {},
    {"a": {"b": []}},
    "9" * 400,
    "x" * 3000,
]
TRACE, START = "0123456789abcdef0123456789abcdef", 1_767_225_600_250_000_000


def attribute(name: str, kind: str, value: Any) -> dict[str, Any]:
    return {"key": name, "value": {kind: value}}


def otlp(*more: dict[str, Any]) -> dict[str, Any]:
    called = [
        attribute("gen_ai.operation.name", "stringValue", "chat"),
        attribute("gen_ai.request.model", "stringValue", "openai/m"),
        attribute("gen_ai.usage.input_tokens", "intValue", "10"),
        attribute("gen_ai.usage.cache_read.input_tokens", "intValue", "4"),
        attribute("gen_ai.usage.cost", "doubleValue", 0.5),
        attribute("gen_ai.response.finish_reasons", "arrayValue", {"values": [{"stringValue": "stop"}]}),
        attribute("gen_ai.input.messages", "stringValue", '[{"role": "user", "parts": [{"content": "Hi"}]}]'),
        attribute("metadata.usage_object", "stringValue", "{'prompt_tokens': 1}"),
        attribute("metadata.spend_logs_metadata", "stringValue", "{'decision_id': 'd', 'propensity': 0.5}"),
        attribute("hidden_params", "stringValue", '{"response_cost": 0.1}'),
        *more,
    ]
    result = {
        "name": "gen_ai.evaluation.result",
        "timeUnixNano": str(START),
        "attributes": [
            attribute("gen_ai.evaluation.name", "stringValue", "n"),
            attribute("gen_ai.evaluation.score.value", "doubleValue", 1.0),
        ],
    }
    spans = [
        {
            "traceId": TRACE,
            "spanId": f"{number + 1:016x}",
            "parentSpanId": f"{number:016x}" if number else "",
            "name": "s",
            "startTimeUnixNano": str(START + number),
            "endTimeUnixNano": str(START + 10 - number),
            "attributes": called if number else [],
            "events": [result],
            "status": {"code": 2},
        }
        for number in range(3)
    ]
    return {"resourceSpans": [{"resource": {"attributes": []}, "scopeSpans": [{"scope": {}, "spans": spans}]}]}


def records() -> list[dict[str, Any]]:
    here = "2026-01-01T00:00:00Z"
    kind = attribute("openinference.span.kind", "stringValue", "LLM")
    parameters = attribute("llm.invocation_parameters", "stringValue", '{"model": "m", "temperature": 1}')
    noted = [
        attribute("annotations.0.annotation.name", "stringValue", "n"),
        attribute("annotations.0.annotation.score", "doubleValue", 1.0),
    ]
    span = {
        "span_id": "AAAAAAAAAAE=",
        "start_time_unix_nano": START,
        "end_time_unix_nano": START + 5,
        "events": [{"name": "mlflow.chunk.item.0", "time_unix_nano": START + 1, "attributes": {}}],
        "status": {"code": "STATUS_CODE_OK"},
        "attributes": {
            "mlflow.spanType": '"LLM"',
            "mlflow.spanInputs": '{"messages": [{"role": "user", "content": "Hi"}], "model": "m"}',
            "mlflow.spanOutputs": '{"choices": [{"finish_reason": "stop"}], "usage": {"prompt_tokens": 1}}',
            "mlflow.chat.tokenUsage": '{"input_tokens": 1}',
        },
    }
    said = {
        "assessment_id": "a",
        "assessment_name": "n",
        "source": {"source_type": "HUMAN", "source_id": "x"},
        "create_time": here,
        "feedback": {"value": True},
        "metadata": {"mlflow.assessment.judgeCost": 0.1},
    }
    info = {"trace_id": "t", "trace_metadata": {"mlflow.trace.user": "u"}, "tags": {"a": "b"}, "assessments": [said]}
    return [
        otlp(),
        otlp(kind, parameters, *noted),
        {"id": "1", "annotator_kind": "LLM", "span_id": "s", "name": "n", "created_at": here, "result": {"score": 1}},
        {"info": info, "data": {"spans": [span]}},
        {
            **{"id": "o", "type": "GENERATION", "parent_observation_id": None, "start_time": here, "end_time": here},
            **{"usage_details": {"input": 1}, "cost_details": {"total": 0.1}, "metadata": {"decision_id": "d"}},
            **{"model_parameters": '{"temperature": 1}', "input": '[{"content": "Hi"}]', "tags": ["a:b"]},
            **{"provided_model_name": "a/b", "total_cost": 0.1, "level": "DEFAULT", "tool_definitions": {"a": "b"}},
        },
        {
            **{"id": "s", "timestamp": here, "trace_id": "t", "observation_id": None, "name": "n", "value": 1},
            **{"data_type": "BOOLEAN", "string_value": "True", "source": "API"},
        },
        {
            **{"id": "019b76da-b0ca-7000-8000-000000000002", "inference_id": "i", "model_provider_name": "p"},
            **{"model_name": "m", "timestamp": here, "input_tokens": 5, "response_time_ms": 5, "cost": 0.1},
            **{"input_messages": '[{"role": "user", "content": "Hi"}]', "system": "s", "cached": False},
        },
        {
            **{"id": "i", "function_name": "f", "episode_id": "e", "processing_time_ms": 1, "timestamp": here},
            **{"input": '{"messages": []}', "dynamic_tools": ["{}"], "tags": {"a": "b"}},
        },
        {"id": "f", "target_id": "i", "metric_name": "n", "value": True, "timestamp": here, "tags": {"a": "b"}},
    ]


def places(part: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    inner = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    for key, value in inner:
        yield from places(value, (*path, key))


def mutated(record: dict[str, Any], seed: int) -> dict[str, Any]:
    chance = random.Random(seed)
    changed = copy.deepcopy(record)
    for _ in range(chance.randint(1, 3)):
        path = chance.choice(list(places(changed)))
        parent: Any = changed
        for key in path[:-1]:
            parent = parent[key]
        if chance.random() < 0.2:
            del parent[path[-1]]
        else:
            parent[path[-1]] = copy.deepcopy(chance.choice(ODD))
        if not changed:
            break
    return changed


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**9))
def test_any_mutation_of_a_record_is_stored_or_set_aside_for_a_reason(seed: int) -> None:
    made = [mutated(record, seed + number) for number in range(8) for record in records()]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "pyproject.toml").write_text("[tool.fairlead.ingest]\nmax_quarantined_share = 1.0\n")
        (root / "log.jsonl").write_text("".join(json.dumps(record) + "\n" for record in made))
        (root / "again.jsonl").write_text("\n" + "".join(json.dumps(record) + "\n" for record in made))
        project = open_project(root)

        first = ingest.load(project, [root / "log.jsonl"])
        again = ingest.load(project, [root / "again.jsonl"])

        con = store.open_lake(project.lake).connect()
        faults = store.query(con, "SELECT detail FROM quarantine WHERE reason = 'reader_fault'").to_dicts()
        aside = store.query(con, "SELECT count(*) FROM quarantine").item()
        con.close()
    assert faults == []
    assert first.read == first.stored + first.duplicates + first.quarantined >= len(made)
    assert (again.read, again.stored, again.quarantined) == (first.read, 0, first.quarantined)
    assert aside == 2 * first.quarantined


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**9), odd=st.dictionaries(st.text(max_size=4), st.sampled_from(ODD), max_size=3))
def test_a_reader_never_raises_over_what_it_is_asked_to_recognise(name: str, seed: int, odd: dict[str, Any]) -> None:
    reader = all_readers()[name]

    answers = [reader.recognises(one) for one in (odd, *(mutated(record, seed) for record in records()))]

    assert {type(answer) for answer in answers} == {bool}


def test_each_record_is_known_to_exactly_one_reader() -> None:
    readers = [reader for key, reader in all_readers().items() if key != "generic"]
    known = [[reader.NAME for reader in readers if reader.recognises(record)] for record in records()]

    assert known == [
        ["otlp"],
        ["openinference"],
        ["openinference"],
        ["mlflow_traces"],
        ["langfuse"],
        ["langfuse"],
        ["tensorzero"],
        ["tensorzero"],
        ["tensorzero"],
    ]
