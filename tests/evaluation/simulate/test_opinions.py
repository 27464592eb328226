import json
import math
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from fairlead import ingest, store
from fairlead import project as projects
from fairlead.errors import UsageError
from fairlead.evaluation import simulate
from fairlead.evaluation.simulate import Opinions


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> simulate.Simulation:
    said = Opinions(share=0.3, delay_h=5, bias=2, judge_noise=0.25, judge_share=0.4, votes=0.2)
    return simulate.run(tmp_path_factory.mktemp("said"), requests=8_000, endpoints=3, seed=2, opinions=said)


@pytest.fixture(scope="module")
def answers(made: simulate.Simulation) -> pl.DataFrame:
    """The endpoint that answered each request, and the truth of it."""
    served = {
        one["trace_id"]: (one["model_id"], one["endTime"])
        for one in map(json.loads, made.log.read_bytes().splitlines())
        if one["status"] == "success"
    }
    frame = pl.DataFrame(
        [(name, *one) for name, one in served.items()], ["request_id", "endpoint", "end"], orient="row"
    )
    return frame.join(pl.read_parquet(made.truth), on=["request_id", "endpoint"])


def test_bad_answers_are_scored_as_much_oftener_as_the_bias_says(
    made: simulate.Simulation, answers: pl.DataFrame
) -> None:
    scored = {one["request_id"]: one["score"] for one in rows(made.feedback)}
    told = answers.with_columns(pl.col("request_id").is_in(list(scored)).alias("scored"))

    for quality in (0.0, 1.0):
        part = told.filter(pl.col("quality") == quality)
        chance = float(1 / (1 + np.exp(-(math.log(0.3 / 0.7) + 2 * (0.5 - quality)))))
        assert part["feedback_share"].unique().to_list() == pytest.approx([chance])
        assert abs(part["scored"].mean() - chance) < 4 * math.sqrt(chance * (1 - chance) / part.height)
    truth = dict(answers.select("request_id", "quality").iter_rows())
    assert all(truth[name] == score for name, score in scored.items())


def test_scores_come_after_hours_that_are_log_normal(made: simulate.Simulation, answers: pl.DataFrame) -> None:
    ends = dict(answers.select("request_id", "end").iter_rows())

    hours = np.log(
        [
            (datetime.fromisoformat(one["scored_at"]).timestamp() - ends[one["request_id"]]) / 3600
            for one in rows(made.feedback)
        ]
    )

    error = 1.5 / math.sqrt(len(hours))
    assert abs(np.median(hours) - math.log(5)) < 4 * 1.2533 * error
    assert abs(np.std(hours) - 1.5) < 4 * error


def test_a_judge_errs_as_much_as_it_is_told_to(made: simulate.Simulation, answers: pl.DataFrame) -> None:
    truth = dict(answers.select("request_id", "quality").iter_rows())
    said = rows(made.opinions["judge"])

    errors = np.array([one["score"] - truth[one["request_id"]] for one in said])

    # Of an error around a true 0 or 1 the half that points outward is cut off.
    assert len(said) == pytest.approx(0.4 * len(truth), rel=0.1)
    assert (np.abs(errors) == 0).mean() == pytest.approx(0.5, abs=0.04)
    assert np.sqrt((errors[errors != 0] ** 2).mean()) == pytest.approx(0.25, abs=0.02)


def test_the_better_answer_wins_most_votes_and_equals_tie(made: simulate.Simulation) -> None:
    truth = {
        (name, one): value
        for name, one, value in pl.read_parquet(made.truth)["request_id", "endpoint", "quality"].iter_rows()
    }
    seen: dict[float, list[str]] = {-1: [], 0: [], 1: []}

    for one in rows(made.opinions["votes"]):
        name = one["request_id"]
        seen[truth[name, one["endpoint"]] - truth[name, one["other_endpoint"]]].append(one["outcome"])

    assert set(seen[0]) == {"tie"}
    for margin, right in ((1, "win"), (-1, "loss")):
        share = np.mean([one == right for one in seen[margin]])
        assert abs(share - 0.9) < 4 * math.sqrt(0.09 / len(seen[margin]))


def test_all_that_is_said_is_read_by_the_mappings_beside_it(made: simulate.Simulation, tmp_path: Path) -> None:
    project = projects.init(tmp_path / "project")

    loaded = ingest.load(project, [made.log, *made.opinions.values()])
    con = store.open_lake(project.lake).connect()
    try:
        read = store.query(
            con, "SELECT name, value_type, evaluator_kind, count(*) FROM feedback GROUP BY ALL ORDER BY ALL"
        ).rows()
        votes = store.query(con, "SELECT avg(score_normalized) FROM feedback WHERE value_type = 'preference'").item()
    finally:
        con.close()

    counts = made.summary["counts"]
    assert loaded.quarantined == 0
    assert read == [
        ("quality", "numeric", "code", counts["feedback"]),
        ("quality", "numeric", "llm", counts["judge"]),
        ("vote", "preference", "human", counts["votes"]),
    ]
    assert 0.4 < votes < 0.7


def test_no_feedback_leaves_no_feedback_file(tmp_path: Path) -> None:
    simulate.run(tmp_path, requests=50, opinions=Opinions(votes=0.5, judge_noise=0.1))

    made = simulate.run(tmp_path, requests=50, opinions=Opinions(share=0))

    assert made.opinions == {}
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "litellm.jsonl",
        "prices.csv",
        "simulation.json",
        "truth.parquet",
    ]


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        (Opinions(share=1.2), "feedback share is 1.2; it is a share, from 0 to 1"),
        (Opinions(votes=-0.1), "votes is -0.1; it is a share, from 0 to 1"),
        (Opinions(delay_h=-1), "feedback: delay_h is -1; give a number of 0 or more"),
        (Opinions(bias=float("inf")), "feedback: bias is inf; give a number"),
        (Opinions(judge_noise=float("nan")), "feedback: judge_noise is nan; give a number of 0 or more"),
    ],
)
def test_opinions_that_cannot_be_are_refused(said: Opinions, fault: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refusal:
        simulate.run(tmp_path / "none", requests=10, opinions=said)

    assert str(refusal.value) == fault
