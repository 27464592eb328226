"""Which reader knows which file, and that it keeps the contract there. A new format is a line in FILES."""

import json
from pathlib import Path
from typing import Any

import pytest

from fairlead import ingest, store
from fairlead.ingest.readers import all_readers
from fairlead.project import Project
from fairlead.testing import check_reader
from fairlead.testing.shapes import SHAPES

FILES: dict[str, str | None] = {  # None: no reader may know it, since only a mapping says what it means
    "aws_bedrock_invocation.jsonl": "bedrock",
    "azure_openai_diagnostic.jsonl": "azure_openai",
    "bifrost_logs.jsonl": "bifrost",
    "cloudflare_ai_gateway_log.jsonl": "cloudflare",
    "cloudflare_logpush_ai_gateway_events.jsonl": "cloudflare_logpush",
    "databricks_ai_gateway_usage.jsonl": "databricks",
    "envoy_ai_gateway_access_log.jsonl": "envoy",
    "helicone_request_response_rmt.jsonl": "helicone",
    "home_made.csv": None,
    "kong_ai_proxy_log.jsonl": "kong",
    "langfuse_observations_export.jsonl": "langfuse",
    "langfuse_scores_export.jsonl": "langfuse",
    "litellm_spendlogs.jsonl": "litellm_spendlogs",
    "litellm_standard_logging_payload.jsonl": "litellm_payload",
    "mlflow_traces.jsonl": "mlflow_traces",
    "openai_costs.jsonl": "openai_usage",
    "openai_usage_completions.jsonl": "openai_usage",
    "openrouter_activity.jsonl": "openrouter",
    "openrouter_endpoint_stats.jsonl": "openrouter",
    "openrouter_feedback.jsonl": "openrouter",
    "openrouter_generation.jsonl": "openrouter",
    "otlp_genai_openai_v2.json": "otlp",
    "otlp_litellm_otel.json": "otlp",
    "otlp_openinference.json": "openinference",
    "portkey_feedback.jsonl": "portkey",
    "portkey_log_export.jsonl": "portkey",
    "portkey_log_object.jsonl": "portkey",
    "sglang_request_metrics.jsonl": "sglang",
    "tensorzero_chat_inference.jsonl": "tensorzero",
    "tensorzero_feedback.jsonl": "tensorzero",
    "tensorzero_model_inference.jsonl": "tensorzero",
    "vertex_request_response.jsonl": "vertex",
    "vllm_request.log": "vllm",
}
# Files whose records a reader knows, and rightly refuses as they are; with what they lack, where that is all.
REFUSED: dict[str, dict[str, Any] | None] = {
    "openrouter_endpoint_stats.jsonl": None,  # no log of calls
    "sglang_request_metrics.jsonl": {"request_received_ts": 1_770_000_000.5},
}
TABLES = ("attempts", "request_features", "feedback", "usage")


def known(name: str | None) -> str | None:
    if name is not None and name not in all_readers():
        pytest.skip(f"no reader {name!r} yet")
    return name


def documents(path: Path) -> list[dict[str, Any]]:
    """Give what stands in a file, read without the loader."""
    text = path.read_text()
    if path.suffix == ".log":
        parsers = [reader.parse_line for reader in all_readers().values() if hasattr(reader, "parse_line")]
        return [found for line in text.splitlines() for parse in parsers if (found := parse(line)) is not None]
    if path.suffix == ".json":
        whole = json.loads(text)
        return whole if isinstance(whole, list) else [whole]
    if path.suffix == ".csv":
        header, *lines = (line.split(",") for line in text.splitlines())
        return [dict(zip(header, line, strict=True)) for line in lines]
    return [json.loads(line) for line in text.splitlines()]


def test_the_table_names_every_file(formats: Path) -> None:
    files = {path.name for path in formats.iterdir() if path.suffix != ".md"}

    assert set(FILES) == files


@pytest.mark.parametrize("file", FILES)
def test_each_record_is_known_by_its_own_reader_and_no_other(formats: Path, file: str) -> None:
    expected = known(FILES[file])

    found = [
        [name for name, reader in all_readers().items() if reader.recognises(document)]
        for document in documents(formats / file)
    ]

    assert found
    assert found == [[] if expected is None else [expected]] * len(found)


@pytest.mark.parametrize("file", [file for file, name in FILES.items() if name is not None])
def test_a_load_finds_the_reader_by_itself(project: Project, formats: Path, file: str) -> None:
    expected = known(FILES[file])

    result = ingest.load(project, [formats / file])

    con = store.open_lake(project.lake).connect()
    reasons = set(store.query(con, "SELECT reason FROM quarantine")["reason"])
    sources = {source for table in TABLES for source in store.query(con, f"SELECT source FROM {table}")["source"]}
    con.close()
    assert result.read == result.stored + result.duplicates + result.quarantined > 0
    assert reasons.isdisjoint({"unknown_format", "not_json", "reader_fault"})
    assert sources <= {expected}


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_of_our_own_making_is_known_by_no_other_reader(name: str) -> None:
    found = {key for key, reader in all_readers().items() for shape in SHAPES[name] if reader.recognises(shape)}

    assert found <= {name}


@pytest.mark.parametrize("file", [file for file, name in FILES.items() if name and REFUSED.get(file, {}) is not None])
def test_a_reader_keeps_the_contract_that_it_holds_others_to(formats: Path, file: str) -> None:
    name = known(FILES[file])
    lacking = REFUSED.get(file) or {}

    check_reader(all_readers()[str(name)], [{**document, **lacking} for document in documents(formats / file)])
