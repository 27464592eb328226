"""Events against the truth they leave: the means of large simulated logs agree with it within their own error."""

import csv
import json
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fairlead import ingest, store
from fairlead import project as projects
from fairlead.evaluation import simulate

EVENTS = (
    "price model=gpt-4o-mini factor=2 from=3d",
    "price model=gpt-4o-mini factor=0.5 from=6d",
    "drift model=gemini-2.5-flash quality=-0.3 from=4d",
    "drift model=claude-haiku-4-5 route=code quality=0.1 from=4d for=3d",
    "longer model=claude-sonnet-4-5 factor=1.5 from=2d",
    "slow provider=anthropic factor=3 from=5d for=2d",
    "outage provider=gemini share=0.7 from=2d for=1d",
    "arrives model=claude-haiku-4-5 from=1d",
    "mix route=maths factor=4 from=5d",
)
DAY_US = 86_400_000_000


@dataclass
class Big:
    made: simulate.Simulation
    truth: pl.DataFrame
    firsts: pl.DataFrame  # the first try of each request, with the truth of its endpoint beside it


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Big:
    made = simulate.run(
        tmp_path_factory.mktemp("big"),
        requests=16_000,
        endpoints=4,
        days=8,
        logging="epsilon",
        exploration=0.6,
        seed=11,
        events=[simulate.parse(one) for one in EVENTS],
        load=simulate.Load(in_flight=4, slots=8),
    )
    day = (pl.col("start_time").cast(pl.Int64) - int(datetime(2026, 10, 5, tzinfo=UTC).timestamp() * 1e6)) / DAY_US
    truth = pl.read_parquet(made.truth).with_columns(day.alias("day"))
    firsts = {}
    for record in map(json.loads, made.log.read_bytes().splitlines()):
        firsts.setdefault(record["trace_id"], record)
    scores = {one["request_id"]: one["score"] for one in map(json.loads, made.feedback.read_bytes().splitlines())}
    rows = [
        {
            "request_id": name,
            "endpoint": one["model_id"],
            "answered": one["status"] == "success",
            "seen_cost": one["response_cost"],
            "seen_s": one["endTime"] - one["startTime"],
            "score": scores.get(name),
            "propensity": one["metadata"]["spend_logs_metadata"]["propensity"],
            "arms": len(one["metadata"]["spend_logs_metadata"]["candidates"]),
        }
        for name, one in firsts.items()
    ]
    return Big(made, truth, pl.DataFrame(rows).join(truth, on=["request_id", "endpoint"]))


def mean(truth: pl.DataFrame, endpoint: str, column: str, low: float, high: float) -> float:
    chosen = truth.filter(pl.col("endpoint").str.ends_with(endpoint), pl.col("day").is_between(low, high))
    return float(chosen[column].mean())


def test_answers_in_the_log_are_the_truth_of_their_moment(big: Big) -> None:
    answered = big.firsts.filter("answered")

    assert answered.select((pl.col("seen_cost") - pl.col("cost_usd")).abs().max()).item() < 1e-12
    assert answered.select((pl.col("seen_s") - pl.col("duration_s")).abs().max()).item() < 3e-6
    assert answered.select((pl.col("score") == pl.col("quality")).all()).item()


def test_a_policys_value_is_found_again_in_the_log_by_weighting(big: Big) -> None:
    rng = np.random.default_rng(0)
    rows = big.truth["request_id"].unique(maintain_order=True).to_list()
    truth = simulate.truth_arrays(big.made.truth, rows, big.made.endpoints)
    policy = rng.dirichlet(np.ones(4), len(rows)) * (truth.available_share > 0)
    policy /= policy.sum(axis=1, keepdims=True)
    value = simulate.true_value(truth, policy)
    place = {name: at for at, name in enumerate(big.made.endpoints)}
    at = {name: row for row, name in enumerate(rows)}

    index = [(at[row], place[name]) for row, name in big.firsts.select("request_id", "endpoint").iter_rows()]
    wanted = np.array([policy[one] for one in index]) / big.firsts["propensity"].to_numpy()
    answered = big.firsts["answered"].to_numpy()
    able = big.firsts["available_share"].to_numpy()

    for seen, true in (("quality", value.quality), ("cost_usd", value.cost_usd), ("duration_s", value.duration_s)):
        terms = wanted * answered / able * big.firsts[seen].to_numpy()
        assert abs(terms.mean() - true) < 4 * terms.std() / np.sqrt(len(terms))
    terms = wanted * answered
    assert abs(terms.mean() - value.answered_share) < 4 * terms.std() / np.sqrt(len(terms))


@pytest.mark.parametrize("endpoint", range(4))
def test_first_tries_fail_as_often_as_the_truth_says(big: Big, endpoint: int) -> None:
    name = big.made.endpoints[endpoint]
    for low, high in ((0, 2), (2, 3), (3, 8)):
        chosen = big.firsts.filter(pl.col("endpoint") == name, pl.col("day").is_between(low, high))
        if chosen.is_empty():
            continue
        share = chosen["available_share"]
        spread = np.sqrt(float((share * (1 - share)).sum()))
        assert abs(float(chosen["answered"].sum()) - float(share.sum())) < 4 * spread + 1


def test_prices_change_in_the_truth_and_in_the_price_file(big: Big) -> None:
    prices = big.truth.filter(pl.col("endpoint") == "openai/gpt-4o-mini").select("day", "input_usd_per_million")

    for low, high, price in ((0, 3, 0.15), (3, 6, 0.3), (6, 8, 0.15)):
        held = prices.filter(pl.col("day").is_between(low, high, closed="left"))["input_usd_per_million"]
        assert held.n_unique() == 1
        assert held[0] == pytest.approx(price, rel=1e-9)
    with big.made.prices.open(encoding="utf-8") as lines:
        rows = [one for one in csv.DictReader(lines) if one["model"] == "gpt-4o-mini"]
    assert [(one["valid_from"], float(one["input"])) for one in rows] == [
        ("2024-01-01", 0.15),
        ("2026-10-08", 0.3),
        ("2026-10-11", 0.15),
    ]


def test_a_price_that_changes_for_a_while_is_the_old_one_again(tmp_path: Path) -> None:
    event = simulate.parse("price model=gpt-4o-mini factor=3 from=1d for=1d")

    made = simulate.run(tmp_path, requests=300, endpoints=2, days=4, events=[event])

    truth = pl.read_parquet(made.truth).filter(pl.col("model") == "gpt-4o-mini")
    day = truth.group_by(pl.col("start_time").dt.date().alias("day")).agg(pl.col("input_usd_per_million").unique())
    prices = [price for (price,) in day.sort("day")["input_usd_per_million"]]
    assert prices == pytest.approx([0.15, 0.45, 0.15, 0.15])


def test_ingest_prices_each_call_by_the_price_of_its_moment(tmp_path: Path) -> None:
    project = projects.init(tmp_path / "project")
    events = ("price provider=anthropic factor=3 from=1d for=1d", "price model=gpt-4o-mini factor=0.2 from=2d")
    made = simulate.run(tmp_path / "log", requests=600, days=4, events=[simulate.parse(one) for one in events])
    shutil.copy(made.prices, project.contract)

    ingest.load(project, [made.log])
    con = store.open_lake(project.lake).connect()
    try:
        costs = store.query(
            con,
            "SELECT list_cost_usd::DOUBLE AS list, reported_cost_usd::DOUBLE AS reported FROM attempts"
            " WHERE status = 'ok' AND attempt_index < 2",
        )
    finally:
        con.close()

    assert costs.height > 590
    assert costs.null_count().row(0) == (0, 0)
    assert (costs["list"] - costs["reported"]).abs().max() < 2e-12


def test_quality_moves_by_as_much_as_was_asked_for(big: Big) -> None:
    plain = simulate.run(big.made.folder / "plain", requests=16_000, endpoints=4, days=8, seed=11)
    before = pl.read_parquet(plain.truth).select("endpoint", "quality", "quality_expected")
    flash = big.truth.filter(pl.col("endpoint") == "gemini/gemini-2.5-flash")
    usual = before.filter(pl.col("endpoint") == "gemini/gemini-2.5-flash")["quality_expected"].mean()

    after = flash.filter(pl.col("day") >= 4)

    # Harder routes come more often after the fifth day, so the known chance is compared where the mix is the usual one.
    mild = flash.filter(pl.col("day").is_between(4, 5))
    assert mild["quality_expected"].mean() == pytest.approx(usual - 0.3, abs=0.03)
    gap = after["quality"] - after["quality_expected"]
    assert abs(gap.mean()) < 4 * gap.std() / np.sqrt(len(gap))


def test_answers_get_longer_and_slower_when_they_are_told_to(big: Big) -> None:
    sonnet = [mean(big.truth, "claude-sonnet-4-5", "cost_usd", *span) for span in ((0, 2), (2, 5))]
    mini = [mean(big.truth, "gpt-4o-mini", "duration_s", *span) for span in ((3, 5), (5, 7))]
    haiku = [mean(big.truth, "claude-haiku-4-5", "duration_s", *span) for span in ((3, 5), (5, 7))]

    assert sonnet[1] / sonnet[0] == pytest.approx(1.45, abs=0.12)
    assert haiku[1] / haiku[0] == pytest.approx(3 * mini[1] / mini[0], rel=0.15)


def test_an_endpoint_that_has_not_arrived_is_neither_chosen_nor_a_candidate(big: Big) -> None:
    early = big.firsts.filter(pl.col("day") < 1)

    assert "anthropic/claude-haiku-4-5" not in set(early["endpoint"])
    assert set(early["arms"]) == {3}
    assert set(big.firsts.filter(pl.col("day") >= 1)["arms"]) == {4}
    absent = big.truth.filter(pl.col("endpoint").str.ends_with("haiku-4-5"), pl.col("day") < 1)
    assert set(absent["available_share"]) == {0.0}


def test_the_mix_of_routes_moves_its_odds_and_keeps_the_requests(big: Big) -> None:
    routes = {}
    for record in map(json.loads, big.made.log.read_bytes().splitlines()):
        routes[record["trace_id"]] = record["request_tags"][1]
    each = big.truth.filter(pl.col("endpoint") == big.made.endpoints[0])
    maths = np.array([routes[one] == "route:maths" for one in each["request_id"]])
    late = (each["day"] >= 5).to_numpy()

    odds = [maths[part].mean() / (1 - maths[part].mean()) for part in (late, ~late)]

    assert odds[0] / odds[1] == pytest.approx(4, rel=0.2)
    assert maths.mean() == pytest.approx(0.08, abs=0.01)


def test_quality_of_measured_outcomes_drifts_too(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [
        {"dataset": "d", "prompt_id": f"{at}", "prompt": f"question {at}", "model": model, "quality": quality}
        for at in range(4_000)
        for model, quality in (("gpt-4o", float(rng.random() < 0.8)), ("gpt-4o-mini", float(rng.choice([0.2, 0.6]))))
    ]
    pl.DataFrame(rows).write_parquet(tmp_path / "matrix.parquet")
    events = [
        simulate.parse("drift model=gpt-4o quality=-0.2 from=7d"),
        simulate.parse("drift model=gpt-4o-mini quality=0.3 from=7d"),
    ]

    made = simulate.run(tmp_path / "out", matrix=tmp_path / "matrix.parquet", endpoints=2, events=events)

    truth = pl.read_parquet(made.truth).with_columns(
        (pl.col("start_time") >= datetime(2026, 10, 12, tzinfo=UTC)).alias("late")
    )
    means = {
        (name, late): value
        for name, late, value in truth.group_by("endpoint", "late").agg(pl.col("quality").mean()).iter_rows()
    }
    assert means["openai/gpt-4o", True] - means["openai/gpt-4o", False] == pytest.approx(-0.2, abs=0.06)
    assert means["openai/gpt-4o-mini", True] - means["openai/gpt-4o-mini", False] == pytest.approx(0.3, abs=0.06)


def test_events_write_the_same_bytes_again(tmp_path: Path) -> None:
    options = {"requests": 300, "endpoints": 4, "days": 8, "events": [simulate.parse(one) for one in EVENTS]}
    options |= {
        "load": simulate.Load(in_flight=3),
        "opinions": simulate.Opinions(share=0.4, judge_noise=0.1, votes=0.3),
    }

    one, two = (simulate.run(tmp_path / name, **options) for name in ("one", "two"))

    names = sorted(path.name for path in one.folder.iterdir())
    assert names == sorted(path.name for path in two.folder.iterdir())
    assert all((one.folder / name).read_bytes() == (two.folder / name).read_bytes() for name in names)
