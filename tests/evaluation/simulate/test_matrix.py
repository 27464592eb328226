import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.errors import ReadError, UsageError
from fairlead.evaluation import simulate
from fairlead.evaluation.simulate import prices
from fairlead.evaluation.simulate.world import Endpoint

SHARED = Path(__file__).parents[3].parent / "shared" / "data" / "routing"
# model, quality, USD per million input and output tokens
MODELS = (
    ("gpt-4o-mini", 0.6, 0.15, 0.6),
    ("claude-3-opus", 0.7, 15.0, 75.0),
    ("gpt-4o", 0.9, 2.5, 10.0),
    ("llama-3-70b@groq", 0.65, 0.59, 0.79),
    ("yi-34b", 0.5, 0.8, 0.8),
)


def matrix(prompts: int = 40, **changed: Any) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    rows = [
        {
            "dataset": f"task-{number % 3}",
            "prompt_id": f"p{number}",
            "prompt": f"What is {number} plus {number}?",
            "model": model,
            "quality": float(rng.random() < quality),
            "cost_usd": (tokens_in * read + tokens_out * written) / 1e6,
            "tokens_in": tokens_in,
            "tokens_out": tokens_out,
            "latency_s": float(rng.gamma(3.0)),
            **changed,
        }
        for number in range(prompts)
        for model, quality, read, written in MODELS
        for tokens_in, tokens_out in [(int(rng.integers(10, 900)), int(rng.integers(1, 500)))]
    ]
    return pl.DataFrame(rows, infer_schema_length=None)


def written(folder: Path, frame: pl.DataFrame) -> Path:
    path = folder / "matrix.parquet"
    frame.write_parquet(path)
    return path


def test_single_endpoints_are_worth_their_mean_in_the_matrix(tmp_path: Path) -> None:
    frame = matrix()

    result = simulate.run(tmp_path / "out", matrix=written(tmp_path, frame), endpoints=5, logging="uniform")

    stated = {
        one["matrix_model"]: (one["quality"], one["cost_usd"], one["duration_s"]) for one in result.summary["endpoints"]
    }
    for model, *means in frame.group_by("model").agg(pl.col("quality", "cost_usd", "latency_s").mean()).iter_rows():
        assert stated[model] == pytest.approx(tuple(means), rel=1e-6)


def test_each_prompt_is_asked_once_with_its_route_and_tokens(tmp_path: Path) -> None:
    frame = matrix()

    result = simulate.run(tmp_path / "out", matrix=written(tmp_path, frame), endpoints=3)

    asked = {}
    for record in map(json.loads, result.log.read_bytes().splitlines()):
        text = record["messages"][0]["content"]
        assert asked.setdefault(text, record["trace_id"]) == record["trace_id"]
        if record["status"] == "success":
            own = frame.filter(pl.col("prompt") == text, pl.col("model") == record["response"]["model"]).row(
                0, named=True
            )
            assert record["request_tags"] == ["prod", f"route:{own['dataset']}"]
            assert (record["prompt_tokens"], record["completion_tokens"]) == (own["tokens_in"], own["tokens_out"])
            assert record["response_cost"] == pytest.approx(own["cost_usd"], abs=1e-12)
    assert len(asked) == 40


def test_endpoints_span_the_costs_with_the_cheapest_and_the_best(tmp_path: Path) -> None:
    result = simulate.run(tmp_path / "out", matrix=written(tmp_path, matrix(200)), endpoints=3)

    assert result.endpoints == ("openai/gpt-4o-mini", "openai/gpt-4o", "anthropic/claude-3-opus")


def test_endpoints_may_be_named_as_the_matrix_or_as_the_log_names_them(tmp_path: Path) -> None:
    path = written(tmp_path, matrix())

    result = simulate.run(tmp_path / "out", matrix=path, endpoints=["yi-34b", "groq/llama-3-70b"])

    assert result.endpoints == ("self_hosted/yi-34b", "groq/llama-3-70b")


def test_a_matrix_without_costs_gives_no_price_and_reports_zero(tmp_path: Path) -> None:
    path = written(tmp_path, matrix().drop("cost_usd", "latency_s"))

    result = simulate.run(tmp_path / "out", matrix=path, endpoints=2)

    record = json.loads(result.log.read_bytes().splitlines()[0])
    assert result.prices.read_text(encoding="utf-8").count("\n") == 1
    assert record["response_cost"] == 0.0
    truth = pl.read_parquet(result.truth)
    assert truth["cost_usd"].null_count() == truth.height
    assert truth["duration_s"].min() > 0


def test_prompts_that_repeat_or_lack_an_outcome_are_left_out(tmp_path: Path) -> None:
    frame = matrix(20)
    again = frame.filter(pl.col("prompt_id") == "p0").with_columns(prompt_id=pl.lit("p0 again"))
    lacking = pl.col("prompt_id").eq("p1") & pl.col("model").eq("gpt-4o")
    path = written(tmp_path, pl.concat([frame.filter(~lacking), again]))

    result = simulate.run(tmp_path / "out", matrix=path, endpoints=["gpt-4o", "gpt-4o-mini"])

    counts = {name: count for name, count in result.summary["counts"].items() if name.startswith("prompts_")}
    assert result.requests == 19
    assert counts == {"prompts_in_matrix": 21, "prompts_incomplete": 1, "prompts_repeated": 1}


def test_more_requests_than_prompts_are_refused_with_a_way_out(tmp_path: Path) -> None:
    path = written(tmp_path, matrix(20))

    with pytest.raises(UsageError, match=r"holds 20 different prompts .* 21 requests .* Ask for fewer requests"):
        simulate.run(tmp_path / "out", matrix=path, endpoints=2, requests=21)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (matrix(3).drop("quality"), "no column 'quality'"),
        (matrix(3, quality=7.5), "quality runs from 7.5 to 7.5; scale it to 0..1"),
        (matrix(3, quality=None), "no row has a quality"),
        (matrix(4, prompt_id="same"), "several rows for"),
    ],
)
def test_a_matrix_that_cannot_be_meant_is_refused(tmp_path: Path, frame: pl.DataFrame, message: str) -> None:
    path = written(tmp_path, frame)

    with pytest.raises(ReadError, match=message):
        simulate.run(tmp_path / "out", matrix=path)


def test_a_missing_matrix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=r"absent\.parquet: not readable as Parquet"):
        simulate.run(tmp_path / "out", matrix=tmp_path / "absent.parquet")


@given(
    read=st.integers(1, 150_000).map(lambda units: units / 1000),
    made=st.integers(1, 750_000).map(lambda units: units / 1000),
    seed=st.integers(0, 2**32),
)
def test_prices_are_found_again_from_costs(read: float, made: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    tokens_in, tokens_out = rng.integers(1, 5000, 60), rng.integers(1, 3000, 60)

    found = prices.infer((tokens_in * read + tokens_out * made) / 1e6, tokens_in, tokens_out)

    assert found == pytest.approx((read, made), abs=1e-4)


def test_prices_survive_a_few_wrong_costs_and_flat_fees_are_no_price() -> None:
    rng = np.random.default_rng(2)
    tokens_in, tokens_out = rng.integers(10, 5000, 200), rng.integers(10, 3000, 200)
    cost = (tokens_in * 3.0 + tokens_out * 15.0) / 1e6
    wrong = np.where(rng.random(200) < 0.1, cost * 2, cost)

    assert prices.infer(wrong, tokens_in, tokens_out) == (3.0, 15.0)
    assert prices.infer(np.full(200, 0.01), tokens_in, tokens_out) is None


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("gpt-4o-2024-08-06", "openai/gpt-4o-2024-08-06"),
        ("Llama-3.1-405B-Inst@hyperbolic", "hyperbolic/Llama-3.1-405B-Inst"),
        ("Qwen1.5-72B-Chat", "dashscope/Qwen1.5-72B-Chat"),
        ("c4ai-command-r-v01", "cohere/c4ai-command-r-v01"),
        ("mistralai/Mixtral-8x7B", "mistral/mistralai/Mixtral-8x7B"),
        ("Yi-6b-Chat", "self_hosted/Yi-6b-Chat"),
    ],
)
def test_providers_are_guessed_from_model_names(model: str, name: str) -> None:
    assert Endpoint.of(model).name == name


def test_a_matrix_keeps_its_own_lengths(tmp_path: Path) -> None:
    path = written(tmp_path, matrix(40))

    with pytest.raises(UsageError, match="lengths mooncake: a matrix has lengths of its own"):
        simulate.run(tmp_path / "out", matrix=path, endpoints=2, lengths="mooncake")


@pytest.mark.parametrize("name", ["zeroeval", "bfcl_2024_07"])
def test_public_matrices_replay_with_prices_that_explain_their_costs(tmp_path: Path, name: str) -> None:
    path = SHARED / name / "outcomes.parquet"
    if not path.exists():
        pytest.skip("../shared is absent: no public routing matrix to replay")

    result = simulate.run(tmp_path, matrix=path, requests=500)

    assert all(one["input_usd_per_million"] > 0 for one in result.summary["endpoints"])
    truth = pl.read_parquet(result.truth)
    outcomes = truth.drop("quality_expected", "in_flight")  # nobody knows the one, and nobody asked for a load
    assert outcomes.null_count().row(0) == (0,) * outcomes.width
