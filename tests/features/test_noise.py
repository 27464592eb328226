from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead import features, store
from fairlead.features.labels import make_views, rules_of
from fairlead.features.noise import Noise, _noise, noise_of
from fairlead.project import Project
from fairlead.training import logs

MODELS = ("plain", "kin")
TRUE = np.array([0.7, 0.6])  # how often each answers well


@pytest.fixture
def judged(project: Project, attempt: Callable[..., Any], score: Callable[..., Any], stored: Callable[..., Any]) -> Any:
    """A lake of answers that a judge scored, a quarter of them people too; the judge favours its own kin."""

    def load(n: int = 1200, *, human: float = 0.25, knows: float = 1.0, seed: int = 0) -> Project:
        rng = np.random.default_rng(seed)
        kin = rng.integers(0, 2, n)
        good = rng.random(n) < TRUE[kin]
        chance = np.where(good, 0.55 + 0.3 * knows, 0.55 - 0.15 * knows) + 0.15 * kin
        thought = rng.random(n) < chance
        asked = rng.random(n) < human
        attempts = [attempt(row, row, response_model=MODELS[kin[row]]) for row in range(n)]
        said = [
            score(row, f"request-{row}", float(thought[row]), evaluator_kind="llm", evaluator_model="judge-1")
            for row in range(n)
        ]
        said += [score(n + row, f"request-{row}", float(good[row])) for row in range(n) if asked[row]]
        stored(project, attempts, said)
        return project

    return load


def read(project: Project, sql: str) -> list[tuple[Any, ...]]:
    con = store.open_lake(project.lake).connect()
    try:
        make_views(con, rules_of(project))
        return con.sql(sql).fetchall()
    finally:
        con.close()


BY_MODEL = """
select avg({what}) from labels join attempts using (request_id)
where not trusted group by response_model order by response_model desc
"""


def test_a_judges_habits_and_its_kin_are_taken_out_of_the_means(judged: Any) -> None:
    project = judged(2400)

    measured = np.ravel(read(project, BY_MODEL.format(what="measured")))
    quality = np.ravel(read(project, BY_MODEL.format(what="quality")))
    said = "select avg(score) from evaluator_scores join attempts using (request_id) where not trusted"
    raw = np.ravel(read(project, f"{said} group by response_model order by response_model desc"))

    assert raw[1] > raw[0] + 0.05  # by its own word the kin would be the better one
    # Two standard errors of what 300 doubly scored requests an endpoint say of a judge whose slope is .45.
    assert np.abs(raw - TRUE).max() > 0.2
    assert np.abs(measured - TRUE).max() < 0.12
    assert np.abs(quality - TRUE).max() < 0.12
    assert measured[0] > measured[1]


def test_a_request_that_people_scored_weighs_more_than_one_that_a_judge_did(judged: Any) -> None:
    project = judged()

    weights = dict(read(project, "select trusted, avg(weight) from labels group by trusted"))

    assert weights[True] == 1.0
    assert 0.1 < weights[False] < 0.3  # the squared correlation of this judge with people is .2


def test_a_judge_that_knows_nothing_is_not_listened_to(judged: Any) -> None:
    project = judged(600, knows=0.0, seed=1)

    labelled = read(project, "select count(*), bool_and(trusted) from labels")
    scored = read(project, "select count(distinct request_id) from evaluator_scores where trusted")

    assert labelled == [(scored[0][0], True)]


def test_a_judge_whom_nobody_checked_counts_as_its_kind_does(judged: Any) -> None:
    project = judged(60, human=0.0)

    assert read(project, "select distinct quality in (0, 1), measured = quality, weight, trusted from labels") == [
        (True, True, 1 / 3, False)
    ]


def test_a_lake_without_judges_is_not_searched(project: Project, attempt: Any, score: Any, stored: Any) -> None:
    stored(project, [attempt(0)], [score(0, "request-0", 1.0)])
    con = store.open_lake(project.lake).connect()

    make_views(con, rules_of(project))

    assert noise_of(con, "select error('searched')") == []


def sums(judge: str, endpoint: str, score: Any, truth: Any) -> tuple[Any, ...]:
    n = len(score)
    return (judge, endpoint, 3.0, n, score.sum(), truth.sum(), score @ score, truth @ truth, score @ truth)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(200, 3000),
    slope=st.floats(0.4, 1.2),
    intercept=st.floats(-0.2, 0.4),
    noise=st.floats(0.0, 0.3),
)
def test_slope_intercept_and_agreement_are_found(seed: int, n: int, slope: float, intercept: float, noise: float):
    rng = np.random.default_rng(seed)
    truth = rng.random(n)
    score = intercept + slope * truth + rng.normal(0, noise, n)

    found = _noise("one", [sums("one", "a", score, truth)])

    error = 5 * (noise / np.sqrt(n / 12)) + 10 / n * (abs(1 - slope) + abs(intercept) + 0.1) + 1e-6
    assert abs(found.slope - slope) < error
    assert abs((found.intercept + found.slope * 0.5) - (intercept + slope * 0.5)) < error + 10 / n
    assert abs(found.agreement - np.corrcoef(score, truth)[0, 1] ** 2) < 1e-6
    assert found.useful


def test_too_few_and_constant_scores_say_nothing_of_a_judge() -> None:
    few, same = np.linspace(0, 1, 20), np.full(100, 0.8)

    assert _noise("few", [sums("few", "a", few, few)]) == Noise(judge="few", n=20, reliability=1 / 3)
    assert not _noise("same", [sums("same", "a", same, np.linspace(0, 1, 100))]).useful


def test_what_is_learned_from_knows_what_each_label_is_worth_and_whose_it_is(judged: Any) -> None:
    joined = features.join(judged())

    frame = logs.frame_of(joined)
    by_judge = frame.weight < 1
    assert frame.said == (f"judge llm thumb judge-1: {features.told(joined.judges[0])}",)
    assert 0.6 < by_judge.mean() < 0.85
    assert np.ptp(frame.weight[by_judge]) < 1e-9
    assert set(np.unique(frame.targets["quality"][~by_judge])) == {0.0, 1.0}
    assert frame.askable.sum() == len(frame) - (joined.rows["label_mature"] == False).sum()  # noqa: E712
