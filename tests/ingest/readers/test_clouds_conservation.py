"""Whatever happens to a record of a cloud: it is stored, a duplicate or quarantined, and nothing is raised."""

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairlead import ingest, store
from fairlead.ingest.readers import all_readers
from fairlead.project import open_project
from fairlead.testing import check_reader
from fairlead.testing.damage import marked, variants

SLOW = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
TIME = "2026-03-01T10:00:00Z"
ASKED = {"messages": [{"role": "user", "content": "What is it?"}], "max_tokens": 9, "temperature": 0.5}
RECORDS: dict[str, dict[str, Any]] = {
    "azure_openai": {
        "time": TIME,
        "category": "RequestResponse",
        "resourceId": "/S/PROVIDERS/MICROSOFT.COGNITIVESERVICES/ACCOUNTS/A",
        "operationName": "ChatCompletions_Create",
        "correlationId": "c-1",
        "durationMs": 100,
        "resultSignature": "200",
        "properties": {
            "requestTime": 638_900_000_000_000_000,
            "responseTime": 638_900_000_001_000_000,
            "modelName": "gpt-4o",
            "requestBody": json.dumps(ASKED),
            "responseBody": json.dumps({"id": "1", "usage": {"prompt_tokens": 10, "completion_tokens": 5}}),
        },
    },
    "bedrock": {
        "schemaType": "ModelInvocationLog",
        "timestamp": TIME,
        "region": "us-east-1",
        "requestId": "r-1",
        "operation": "InvokeModelWithResponseStream",
        "modelId": "anthropic.claude-3",
        "identity": {"arn": "arn:aws:iam::1:user/ada"},
        "requestMetadata": {"team": "search", "decision_id": "d-1", "propensity": "0.5"},
        "input": {"inputBodyJson": ASKED, "inputTokenCount": 9, "cacheReadInputTokenCount": 3},
        "output": {
            "outputBodyJson": [
                {"type": "message_start", "message": {"id": "m", "model": "x", "usage": {"input_tokens": 9}}},
                {
                    "delta": {"stop_reason": "end_turn"},
                    "usage": {"output_tokens": 4, "cache_creation": {"ephemeral_1h_input_tokens": 2}},
                },
                {"amazon-bedrock-invocationMetrics": {"invocationLatency": 900, "firstByteLatency": 90}},
            ],
            "outputTokenCount": 4,
        },
    },
    "databricks": {
        "event_time": TIME,
        "request_id": "r-1",
        "endpoint_name": "chat",
        "requester": "ada",
        "destination_model": "gpt-4o",
        "status_code": 200,
        "input_tokens": 10,
        "output_tokens": 4,
        "token_details": {"cache_read_input_tokens": 4},
        "latency_ms": 900,
        "request_tags": '{"team": "search"}',
        "routing_information": {"attempts": [{"action": "INITIAL_ATTEMPT", "status_code": 429}, {"status_code": 200}]},
    },
    "openai_usage": {
        "object": "page",
        "data": [
            {
                "object": "bucket",
                "start_time": 1_767_225_600,
                "end_time": 1_767_312_000,
                "results": [
                    {"object": "organization.usage.completions.result", "input_tokens": 5, "num_model_requests": 2},
                    {
                        "object": "organization.costs.result",
                        "amount": {"value": 1.5, "currency": "usd"},
                        "line_item": "gpt-4o, input",
                    },
                ],
            }
        ],
    },
    "sglang": {
        "request_parameters": json.dumps(
            {"text": "What is it?", "stream": True, "sampling_params": {"temperature": 0}}
        ),
        "id": "r-1",
        "finish_reason": {"type": "abort", "status_code": 503},
        "prompt_tokens": 12,
        "completion_tokens": 8,
        "cached_tokens": 10,
        "e2e_latency": 1.5,
        "request_received_ts": 1_770_000_000.5,
        "prefill_finished_ts": 1_770_000_001.5,
    },
    "vertex": {
        "logging_time": TIME,
        "request_id": "1",
        "api_method": "GenerateContent",
        "model": "publishers/google/models/gemini-3",
        "metadata": {"request_latency": 500.0},
        "full_request": {"contents": [{"role": "user", "parts": [{"text": "What is it?"}]}], "labels": {"team": "a"}},
        "full_response": json.dumps(
            {
                "candidates": [{"finish_reason": "STOP"}],
                "usage_metadata": {"prompt_token_count": 3, "candidates_token_count": 4, "thoughts_token_count": 5},
            }
        ),
    },
    "vllm": {
        "vllm_line": "generated",
        "time": "02-13 11:33:35",
        "id": "chatcmpl-1",
        "reason": "stop",
        "tokens": "4",
        "prompt": "'What is it?'",
    },
}


@pytest.mark.parametrize("name", RECORDS)
def test_the_reader_keeps_the_contract(name: str) -> None:
    check_reader(all_readers()[name], [RECORDS[name]])


@pytest.mark.parametrize("name", RECORDS)
@SLOW
@given(data=st.data())
def test_any_damage_conserves_the_sum(data: st.DataObject, name: str) -> None:
    whole = marked(RECORDS[name])
    once = data.draw(st.sampled_from(list(variants(whole, 3))))
    twice = data.draw(st.sampled_from(list(variants(once, 2)) or [once]))
    lines = [whole, once, twice, whole]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "pyproject.toml").write_text("[tool.fairlead.ingest]\nmax_quarantined_share = 1.0\n")
        (root / "log.jsonl").write_text("".join(json.dumps(line, default=str) + "\n" for line in lines))
        project = open_project(root)

        first = ingest.load(project, [root / "log.jsonl"])
        again = ingest.load(project, [root / "log.jsonl"])

        con = store.open_lake(project.lake).connect()
        reasons = store.query(con, "SELECT reason FROM quarantine")["reason"].to_list()
        con.close()
    assert first.read == first.stored + first.duplicates + first.quarantined >= len(lines)
    assert (again.read, again.stored, again.quarantined) == (first.read, 0, first.quarantined)
    assert first.stored >= 1
    assert first.duplicates >= 1
    assert "reader_fault" not in reasons
