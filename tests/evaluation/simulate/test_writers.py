import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from fairlead import ingest, store
from fairlead import project as projects
from fairlead.errors import UsageError
from fairlead.evaluation import simulate
from fairlead.evaluation.simulate import writers
from fairlead.ingest import aliases
from fairlead.ingest.readers import all_readers

OPTIONS: dict[str, Any] = {
    "requests": 300,
    "endpoints": 4,
    "days": 2,
    "exploration": 0.5,
    "seed": 4,
    "events": (simulate.parse("outage share=0.5 from=6h for=1d"), simulate.parse("price factor=0.5 from=1d")),
}
COLUMNS = (
    "request_id, provider_name, response_model, status, http_status_code, input_tokens, output_tokens,"
    " reported_cost_usd, decision_id, propensity, duration_s"
)


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What happened, by LiteLLM's records, whose writer has tests of its own."""
    log = simulate.run(tmp_path_factory.mktemp("known"), **OPTIONS).log
    records = [json.loads(line) for line in log.read_bytes().splitlines()]
    lasts = {one["trace_id"]: one["litellm_call_id"] for one in records}
    return [{**one, "last": lasts[one["trace_id"]] == one["litellm_call_id"]} for one in records]


def expected(known: list[dict[str, Any]], tries: str) -> list[dict[str, Any]]:
    if tries == "answered":
        return [record for record in known if record["status"] == "success"]
    if tries == "last":
        return list({record["trace_id"]: record for record in known}.values())
    return known


def named(record: dict[str, Any], carries: writers.Carries) -> str:
    own = not carries.grouped and record["status"] == "failure" and record["last"] is not True
    return record["litellm_call_id"] if own else record["trace_id"]


@pytest.mark.parametrize("name", writers.all_writers())
def test_what_is_written_is_what_ingest_reads(name: str, known: list[dict[str, Any]], tmp_path: Path) -> None:
    project = projects.init(tmp_path / "project")
    carries = writers.of(name).CARRIES

    made = simulate.run(tmp_path / "log", **OPTIONS, log_format=name)
    loaded = ingest.load(project, [made.log])
    con = store.open_lake(project.lake).connect()
    try:
        read = store.query(con, f"SELECT {COLUMNS} FROM attempts").to_dicts()
        features = store.query(con, "SELECT count(DISTINCT request_id) FROM request_features").item()
    finally:
        con.close()

    records = expected(known, carries.tries)
    assert (loaded.quarantined, loaded.duplicates) == (0, 0)
    assert Counter((one["request_id"], one["status"]) for one in read) == Counter(
        (carries.named + named(one, carries), "ok" if one["status"] == "success" else "error") for one in records
    )
    answered = [one for one in records if one["status"] == "success"]
    for column, field in (("input_tokens", "prompt_tokens"), ("output_tokens", "completion_tokens")):
        total = sum(one[field] for one in answered) if getattr(carries, column) else 0
        assert sum(one[column] or 0 for one in read) == total
    if carries.endpoint:
        assert by_endpoint(read) == Counter(
            (aliases.provider(one["custom_llm_provider"]), one["model"].rsplit("/", 1)[-1]) for one in answered
        )
    cost = sum(one["response_cost"] for one in answered) if carries.cost else 0
    assert float(sum(one["reported_cost_usd"] or 0 for one in read)) == pytest.approx(cost, abs=1e-9 * len(read))
    assert features == (len({named(one, carries) for one in records}) if carries.prompt else 0)


def by_endpoint(read: list[dict[str, Any]]) -> Counter[tuple[str, str]]:
    return Counter(
        (aliases.provider(one["provider_name"]), str(one["response_model"]).rsplit("/", 1)[-1])
        for one in read
        if one["status"] == "ok"
    )


@pytest.mark.parametrize("name", writers.all_writers())
def test_decisions_come_back_where_a_format_can_hold_them(
    name: str, known: list[dict[str, Any]], tmp_path: Path
) -> None:
    project = projects.init(tmp_path / "project")
    carries = writers.of(name).CARRIES

    made = simulate.run(tmp_path / "log", **OPTIONS, log_format=name)
    ingest.load(project, [made.log])
    con = store.open_lake(project.lake).connect()
    try:
        read = store.query(con, "SELECT request_id, decision_id, propensity FROM attempts").rows()
    finally:
        con.close()

    records = expected(known, carries.tries)
    told = {carries.named + named(one, carries): one["metadata"]["spend_logs_metadata"] for one in records}
    wanted = {
        (own, said["decision_id"], said["propensity"]) if carries.decision else (own, None, None)
        for own, said in told.items()
    }
    assert set(read) == wanted
    summary = json.loads((made.folder / "simulation.json").read_text(encoding="utf-8"))
    assert (summary["log"]["format"], summary["log"]["decision"]) == (name, carries.decision)


def test_feedback_and_truth_name_requests_as_the_log_does(tmp_path: Path) -> None:
    for name in ("langfuse", "vllm", "kong"):
        project = projects.init(tmp_path / name / "project")
        made = simulate.run(tmp_path / name / "log", **OPTIONS, log_format=name)

        ingest.load(project, [made.log, made.feedback])
        con = store.open_lake(project.lake).connect()
        try:
            joined = store.query(
                con,
                "SELECT count(DISTINCT target_id) FROM feedback f JOIN attempts a ON f.target_id = a.request_id"
                " WHERE a.status = 'ok'",
            ).item()
            said = store.query(con, "SELECT count(*) FROM feedback").item()
        finally:
            con.close()

        assert joined == said == made.summary["counts"]["feedback"]


def test_times_are_those_of_the_calls(known: list[dict[str, Any]], tmp_path: Path) -> None:
    # OpenRouter tells the whole of a request and no pause between its tries: only first tries are compared.
    firsts = Counter(one["trace_id"] for one in known)
    took = {
        one["trace_id"]: one["endTime"] - one["startTime"]
        for one in known
        if one["status"] == "success" and firsts[one["trace_id"]] == 1
    }

    for name in ("portkey", "helicone", "otlp", "openrouter", "kong", "cloudflare"):
        project = projects.init(tmp_path / name / "project")
        ingest.load(project, [simulate.run(tmp_path / name / "log", **OPTIONS, log_format=name).log])
        con = store.open_lake(project.lake).connect()
        try:
            read = dict(store.query(con, "SELECT request_id, duration_s FROM attempts WHERE status = 'ok'").rows())
        finally:
            con.close()

        assert max(math.fabs(read[one] - took[one]) for one in took) < 0.003


def test_the_writers_are_of_formats_that_are_read() -> None:
    readers = {"litellm_payload" if name == "litellm" else name for name in writers.all_writers()}

    assert readers <= set(all_readers())


def test_a_format_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no log format 'smoke' to write; choose from .*litellm.*vllm"):
        simulate.run(tmp_path / "none", requests=10, log_format="smoke")

    assert not (tmp_path / "none").exists()
