import numpy as np
import polars as pl
import pytest
from msgspec.structs import replace

from fairlead import evaluation
from fairlead.evaluation import valued
from fairlead.evaluation.callers import Clusters, grouped
from fairlead.evaluation.case import case_of
from fairlead.evaluation.slices import slices
from fairlead.evaluation.table import render


def test_with_repeating_callers_the_judges_intervals_cover_and_those_of_single_requests_do_not(asked_by):
    callers = np.repeat(np.arange(120), np.random.default_rng(0).integers(1, 30, 120))
    always_b = np.tile([0.0, 1.0], (len(callers), 1))
    held = {"callers": [], "requests": []}
    for seed in range(100):
        parts = asked_by(callers, [5, seed])
        for name, cluster in (("callers", callers), ("requests", None)):
            found = valued.value(case_of(*parts, cluster), "b", "candidate", always_b)
            made = found.dr("quality").estimate()
            held[name].append(made.low <= 0.6 <= made.high)

    assert 0.9 <= np.mean(held["callers"]) <= 0.99
    assert np.mean(held["requests"]) < 0.75


def test_a_change_against_the_log_is_paired_by_caller_and_keeps_its_value(asked_by):
    callers = np.repeat(np.arange(100), 10)
    parts, always_b = asked_by(callers, 1), np.tile([0.0, 1.0], (1000, 1))
    changes = []
    for cluster in (callers, None):
        case = case_of(*parts, cluster)
        changes.append(valued.judged(case, valued.value(case, "b", "baseline", always_b), None).quality_change)

    assert changes[0].value == pytest.approx(changes[1].value)
    # What callers like is in both sides of the pair: taking them together widens nothing here.
    assert changes[0].high - changes[0].low == pytest.approx(changes[1].high - changes[1].low, rel=0.35)


def columns(**named):
    n = len(next(iter(named.values())))
    none = pl.Series([None] * n, dtype=pl.String)
    known = dict.fromkeys(("user_id", "end_user_id", "conversation_id"), none)
    return pl.DataFrame({"request_id": [str(one) for one in range(n)]} | known | named)


def test_the_coarsest_name_with_enough_groups_is_taken_and_who_is_not_named_stands_for_himself():
    people = [f"p{one % 60}" for one in range(600)]
    talks = [f"t{one // 2}" for one in range(600)]
    service = ["robot"] * 590 + people[:10]
    half = [one if place < 300 else None for place, one in enumerate(people)]

    assert grouped(columns(user_id=people, conversation_id=talks))[0] == Clusters(by="user", groups=60)
    assert grouped(columns(user_id=service, end_user_id=people))[0] == Clusters(by="end user", groups=60)
    assert grouped(columns(user_id=service, conversation_id=talks))[0] == Clusters(by="conversation", groups=300)
    assert grouped(columns(end_user_id=half))[0] == Clusters(by="end user", groups=360)
    assert grouped(columns(end_user_id=half, conversation_id=talks))[0] == Clusters(by="end user", groups=210)
    assert grouped(columns(user_id=service)) == (None, None)
    assert grouped(columns(conversation_id=[f"t{one}" for one in range(600)])) == (None, None)


def test_equal_names_of_a_user_and_a_conversation_are_two():
    names = [f"x{one}" for one in range(100)]
    by, codes = grouped(columns(user_id=[*names, *[None] * 100], conversation_id=[*[None] * 100, *names]))

    assert (by, codes) == (None, None)  # 200 groups of one


def test_the_judge_takes_the_requests_of_one_caller_together(trained):
    here, _ = trained

    found = evaluation.judge(here)

    assert found.clusters.by == "end user"
    assert 50 < found.clusters.groups < found.requests
    assert f"the requests of one end user together: {found.clusters.groups:,} groups." in render(found)


def test_a_team_of_few_callers_shows_no_interval(asked_by):
    callers = np.repeat(np.arange(100), 10)
    log, *rest = asked_by(callers, 2)
    teams = np.where(callers < 10, "few", "many").astype(object)
    case = case_of(replace(log, batch=replace(log.batch, scalars={"team": teams})), *rest, callers)

    found = {one.name: one for one in slices(case, np.tile([0.5, 0.5], (1000, 1))) if one.kind == "team"}

    assert (found["few"].requests, found["few"].quality_change.low) == (100, None)
    assert found["many"].quality_change.low < found["many"].quality_change.value
