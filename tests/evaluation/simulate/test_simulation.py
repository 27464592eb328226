import csv
import json
import math
from collections import Counter, defaultdict
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from fairlead.errors import ReadError, UsageError
from fairlead.evaluation import simulate

REAL = Path(__file__).parents[3].parent / "shared" / "data" / "formats" / "litellm_standard_logging_payload.jsonl"


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> simulate.Simulation:
    return simulate.run(tmp_path_factory.mktemp("simulated"), requests=4_000, seed=3)


@pytest.fixture(scope="module")
def records(simulated: simulate.Simulation) -> list[dict[str, Any]]:
    return [json.loads(line) for line in simulated.log.read_bytes().splitlines()]


@pytest.fixture(scope="module")
def tries(records: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found = defaultdict(list)
    for record in records:
        found[record["trace_id"]].append(record)
    return found


VARYING = {"model_parameters", "spend_logs_metadata", "completion_tokens_details"}  # null or not, as the caller asked


def shape(value: Any, name: str = "") -> Any:
    if isinstance(value, dict) and name not in VARYING:
        return {key: shape(one, key) for key, one in value.items()}
    return None


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def decision(record: dict[str, Any]) -> dict[str, Any]:
    return record["metadata"]["spend_logs_metadata"]


def test_a_record_has_the_keys_of_a_real_one(records: list[dict[str, Any]]) -> None:
    if not REAL.exists():
        pytest.skip("../shared is absent: no real LiteLLM record to compare with")
    known = {
        (real["status"], bool(real["stream"])): real for real in map(json.loads, REAL.read_text("utf-8").splitlines())
    }

    for record in records[:300]:
        real = known.get((record["status"], bool(record["stream"])), known["failure", False])
        assert shape(record) == shape(real)
        assert list(record) == list(real)


def test_the_same_arguments_write_the_same_bytes(tmp_path: Path) -> None:
    first = simulate.run(tmp_path / "first", requests=150, seed=5)
    again = simulate.run(tmp_path / "again", requests=150, seed=5)
    other = simulate.run(tmp_path / "other", requests=150, seed=6)

    assert files(first.folder) == files(again.folder)
    assert files(first.folder) != files(other.folder)


def test_only_whole_files_are_left(simulated: simulate.Simulation) -> None:
    names = sorted(path.name for path in simulated.folder.iterdir())

    assert names == [
        "feedback.jsonl",
        "feedback.toml",
        "litellm.jsonl",
        "prices.csv",
        "simulation.json",
        "truth.parquet",
    ]


def test_a_failure_while_writing_leaves_no_half_file(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate.run(tmp_path, requests=600, progress=stop)

    assert list(tmp_path.iterdir()) == []


def test_progress_ends_at_the_number_of_attempts(tmp_path: Path) -> None:
    seen = []

    result = simulate.run(tmp_path, requests=1_200, progress=lambda done, total: seen.append((done, total)))

    assert seen[-1] == (result.attempts, result.attempts)
    assert seen == sorted(seen)


def test_candidates_sum_to_one_and_hold_the_propensity_of_the_first_try(tries: dict[str, list[dict[str, Any]]]) -> None:
    for attempts in tries.values():
        for record in attempts:
            chances = {one["arm"]: one["propensity"] for one in decision(record)["candidates"]}
            assert math.isclose(sum(chances.values()), 1, abs_tol=1e-12)
            assert decision(record)["propensity"] == chances[attempts[0]["model_id"]] > 0


def test_endpoints_are_chosen_as_often_as_their_propensities_say(tries: dict[str, list[dict[str, Any]]]) -> None:
    firsts = [attempts[0] for attempts in tries.values()]
    said = np.array([[one["propensity"] for one in decision(record)["candidates"]] for record in firsts])
    arms = [one["arm"] for one in decision(firsts[0])["candidates"]]

    chosen = Counter(record["model_id"] for record in firsts)

    spread = np.sqrt((said * (1 - said)).sum(axis=0))
    distance = (np.array([chosen[arm] for arm in arms]) - said.sum(axis=0)) / spread
    assert np.abs(distance).max() < 4


def test_tries_of_a_request_share_a_trace_and_only_the_last_answers(tries: dict[str, list[dict[str, Any]]]) -> None:
    repeated = [attempts for attempts in tries.values() if len(attempts) > 1]

    assert len(repeated) > 20
    for attempts in repeated:
        assert len({record["litellm_call_id"] for record in attempts}) == len(attempts)
        assert len({decision(record)["decision_id"] for record in attempts}) == 1
        assert [record["status"] for record in attempts[:-1]] == ["failure"] * (len(attempts) - 1)
        assert attempts[0]["model_id"] == attempts[1]["model_id"]
        assert all(one["endTime"] < after["startTime"] for one, after in pairwise(attempts))
        for record in attempts[:-1]:
            assert (record["total_tokens"], record["response_cost"], record["response"]) == (0, 0.0, {})
    fallback = next(attempts[2] for attempts in repeated if len(attempts) == 3)
    assert (fallback["model_group"], repeated[0][0]["model_group"]) == ("chat-fallback", "chat")


def test_costs_are_tokens_times_the_price_file(simulated: simulate.Simulation, records: list[dict[str, Any]]) -> None:
    with simulated.prices.open(encoding="utf-8") as lines:
        prices = {(row["provider_name"], row["model"]): row for row in csv.DictReader(lines)}

    for record in (record for record in records if record["status"] == "success"):
        row = prices[record["custom_llm_provider"], record["response"]["model"]]
        read, written = (
            record["prompt_tokens"] * float(row["input"]),
            record["completion_tokens"] * float(row["output"]),
        )
        assert record["response_cost"] == pytest.approx((read + written) / 1e6, abs=1e-12)
        parts = record["cost_breakdown"]
        assert parts["input_cost"] + parts["output_cost"] == pytest.approx(record["response_cost"], abs=1e-12)


def test_the_log_agrees_with_the_truth(simulated: simulate.Simulation, tries: dict[str, list[dict[str, Any]]]) -> None:
    answered = {name: attempts[-1] for name, attempts in tries.items() if attempts[-1]["status"] == "success"}
    scores = {
        line["request_id"]: line
        for line in map(json.loads, simulated.feedback.read_text(encoding="utf-8").splitlines())
    }

    truth = simulate.truth_arrays(simulated.truth, list(answered), simulated.endpoints)

    assert scores.keys() == answered.keys()
    for row, (name, record) in enumerate(answered.items()):
        place = simulated.endpoints.index(record["model_id"])
        assert scores[name]["score"] == truth.quality[row, place]
        assert record["response_cost"] == truth.cost_usd[row, place]
        assert record["endTime"] - record["startTime"] == pytest.approx(truth.duration_s[row, place], abs=2e-6)
        assert record["startTime"] <= record["completionStartTime"] <= record["endTime"]
        assert datetime.fromisoformat(scores[name]["scored_at"]) > datetime.fromtimestamp(record["endTime"] + 59, UTC)


def test_known_chances_match_what_happened(simulated: simulate.Simulation) -> None:
    truth = pl.read_parquet(simulated.truth)

    gap = truth.select((pl.col("quality") - pl.col("quality_expected")).mean()).item()

    assert truth.columns[:7] == [
        "request_id",
        "endpoint",
        "provider_name",
        "model",
        "quality",
        "cost_usd",
        "duration_s",
    ]
    assert truth.height == simulated.requests * len(simulated.endpoints)
    assert abs(gap) < 4 * 0.5 / math.sqrt(truth.height)


def test_the_summary_holds_the_true_value_of_each_policy(simulated: simulate.Simulation) -> None:
    summary = json.loads((simulated.folder / "simulation.json").read_text(encoding="utf-8"))
    truth = pl.read_parquet(simulated.truth)

    means = truth.group_by("endpoint").agg(pl.col("quality", "cost_usd", "duration_s").mean())

    stated = {one["endpoint"]: one for one in summary["endpoints"]}
    for endpoint, quality, cost_usd, duration_s in means.iter_rows():
        assert stated[endpoint]["quality"] == pytest.approx(quality)
        assert stated[endpoint]["cost_usd"] == pytest.approx(cost_usd)
        assert stated[endpoint]["duration_s"] == pytest.approx(duration_s)
    assert summary["logging_policy"]["quality"] == pytest.approx(summary["as_served"]["quality"], abs=0.03)
    assert summary["counts"]["attempts"] == simulated.attempts


def test_requests_come_from_working_hours_more_than_from_the_night(records: list[dict[str, Any]]) -> None:
    hours = Counter(datetime.fromtimestamp(record["startTime"], UTC).hour for record in records)

    assert sum(hours[hour] for hour in range(11, 18)) > 3 * sum(hours[hour] for hour in range(2, 9))
    assert len({decision(record)["decision_id"] for record in records}) == 4_000


def test_another_logging_policy_leaves_the_truth_as_it_is(tmp_path: Path) -> None:
    one = simulate.run(tmp_path / "one", requests=200, logging="uniform")
    two = simulate.run(tmp_path / "two", requests=200, logging="deterministic")

    outcomes = [pl.read_parquet(each.truth).drop("request_id") for each in (one, two)]

    assert outcomes[0].equals(outcomes[1])


def test_a_deterministic_router_logs_a_propensity_of_one(tmp_path: Path) -> None:
    result = simulate.run(tmp_path, requests=200, logging="deterministic")

    made = [decision(json.loads(line)) for line in result.log.read_bytes().splitlines()]

    assert {(one["propensity"], one["is_exploration"]) for one in made} == {(1.0, False)}


def test_truth_of_an_unknown_request_is_refused(simulated: simulate.Simulation) -> None:
    with pytest.raises(ReadError, match=r"truth\.parquet: no truth for request nobody at openai/gpt-4o-mini"):
        simulate.truth_arrays(simulated.truth, ["nobody"], ["openai/gpt-4o-mini"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"logging": "greedy"}, "no logging policy 'greedy'; choose from uniform, epsilon, boltzmann, deterministic"),
        ({"exploration": 1.5}, "exploration is 1.5; it is the share of requests that explore, from 0 to 1"),
        ({"days": 0}, "days is 0; the traffic must last more than 0 days"),
        ({"requests": 0}, "requests is 0; ask for one or more"),
        ({"endpoints": 1}, "the made-up world has 8 endpoints: choose from 2 to 8"),
        ({"endpoints": ["openai/gpt-4.1"]}, "one endpoint leaves nothing to choose between; name two or more"),
    ],
)
def test_what_cannot_be_simulated_is_refused(tmp_path: Path, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as refusal:
        simulate.run(tmp_path / "none", **arguments)

    assert str(refusal.value) == message
    assert not (tmp_path / "none").exists()
