import datetime

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from fairlead import evaluation
from fairlead.errors import ReadError
from fairlead.evaluation import daily, valued
from fairlead.evaluation.case import case_of
from fairlead.evaluation.daily import Day, Kept, days_of, kept_with
from fairlead.evaluation.sequence import Sequence
from fairlead.evaluation.table import render
from fairlead.scoring.manifest import Manifest

MONDAY = datetime.date(2026, 11, 2)
MANIFEST = Manifest(
    format=1, version=7, created_at="2026-11-01T00:00:00Z", feature_version=1, columns=[], categories={},
    endpoints=[], heads=[],
)  # fmt: skip


def first_days(parts, requests):
    """The same log as it was when only so many requests had come."""
    log, predicted, truth, feedback, route = parts
    outcomes = {name: values[:requests] for name, values in log.outcomes.items()}
    cut = {name: getattr(log, name)[:requests] for name in ("endpoint", "propensity", "time", "group", "waited_s")}
    log = replace(log, request_ids=log.request_ids[:requests], batch=replace(log.batch, text=log.batch.text[:requests]),
                  outcomes=outcomes, **cut)  # fmt: skip
    names = ("quality", "quality_low", "cost_usd", "cost_p90_usd", "latency_s", "latency_p90_s", "eligible")
    predicted = replace(predicted, **{name: getattr(predicted, name)[:requests] for name in names})
    return log, predicted, truth, replace(feedback, old=feedback.old[:requests]), route[:requests]


def counted(folder, parts, manifest=MANIFEST):
    case = case_of(*parts)
    always_b = np.tile([0.0, 1.0], (len(case.log), 1))
    return daily.updated(folder, manifest, case, valued.value(case, "b", "candidate", always_b))


def test_days_that_are_judged_again_are_neither_doubled_nor_lost(tmp_path, asked_by):
    parts = asked_by(np.arange(4000), 3, days=10)

    at_once = counted(tmp_path / "once", parts)
    for requests in (700, 700, 1300, 2900, 4000, 4000, 2000):  # days in the middle of which the judge was asked, too
        day_by_day = counted(tmp_path / "daily", first_days(parts, requests))

    assert day_by_day == at_once
    assert (at_once.since, at_once.days) == (datetime.date(2026, 11, 1), 10)
    assert at_once.quality_change.low < 0.05 < at_once.quality_change.high
    files = [tmp_path / folder / "7.json" for folder in ("once", "daily")]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert [path.name for path in files[1].parent.iterdir()] == ["7.json"]


def test_another_snapshot_begins_anew_and_the_former_goes_on_where_it_was(tmp_path, asked_by):
    parts = asked_by(np.arange(1000), 4, days=4)
    first = counted(tmp_path, parts)

    second = counted(tmp_path, first_days(parts, 250), replace(MANIFEST, version=8))
    made_again = counted(tmp_path, first_days(parts, 250), replace(MANIFEST, created_at="2026-11-09T00:00:00Z"))

    assert (first.days, second.days, made_again.days) == (4, 1, 1)
    assert counted(tmp_path, parts, replace(MANIFEST, version=8)).days == 4


def test_what_is_no_state_is_refused_by_name(tmp_path, asked_by):
    (tmp_path / "7.json").write_text('{"days": 3}')

    with pytest.raises(ReadError, match=r"7\.json: not a sequence .*; remove it to begin anew"):
        counted(tmp_path, asked_by(np.arange(300), 5))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(1, 50)), max_size=20))
def test_a_day_is_kept_once_with_the_most_that_was_ever_seen_of_it(found):
    kept = []
    for place, n in found:
        kept = kept_with(kept, [Day(day=MONDAY + datetime.timedelta(days=place), n=n, mean=0.0, squares=1.0)])

    most = {place: max(n for other, n in found if other == place) for place, _ in found}
    assert {(one.day - MONDAY).days: one.n for one in kept} == most
    assert [one.day for one in kept] == sorted(one.day for one in kept)
    state = Kept(created_at="x", days={"quality_change": kept})
    assert msgspec.json.decode(msgspec.json.encode(state), type=Kept) == state


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 300))
def test_days_add_up_to_all_requests_at_once(seed, n):
    rng = np.random.default_rng(seed)
    values, time = rng.normal(3, 2, n), rng.uniform(0, 5 * 86_400, n)
    state = Sequence(expected=1000)
    for one in days_of(values, time):
        state = state.merge(one.n, one.mean, one.squares)

    at_once = Sequence(expected=1000).add(values)
    assert (state.n, state.mean, state.squares) == pytest.approx((at_once.n, at_once.mean, at_once.squares))
    single = days_of(values, time, np.arange(n))
    assert all(one.squares >= other.squares - 1e-9 for one, other in zip(single, days_of(values, time), strict=True))


def test_callers_who_ask_often_on_a_day_do_not_make_it_too_sure():
    missed = {"callers": 0, "requests": 0}
    for seed in range(200):
        rng = np.random.default_rng([6, seed])
        who = np.repeat(np.arange(600), 10)  # ten a day, each ten times
        values, time = rng.normal(0, 1, 600)[who] + rng.normal(0, 1, 6000), np.arange(6000) / 100 * 86_400
        for name, cluster in (("callers", who), ("requests", None)):
            state, wrong = Sequence(expected=6000), False
            for one in days_of(values, time, cluster):
                state = state.merge(one.n, one.mean, one.squares)
                low, high = state.interval()
                wrong |= not low <= 0 <= high
            missed[name] += wrong

    assert missed["callers"] <= 0.05 * 200
    assert missed["requests"] > 0.25 * 200


def test_the_judge_keeps_what_each_day_says(trained):
    here, _ = trained
    folder = here.var / "judgements" / "sequences"
    first = evaluation.judge(here)
    state = [path.read_bytes() for path in folder.iterdir()]

    middle = first.window.start + (first.window.end - first.window.start) / 2
    shorter = evaluation.judge(here, since=middle)

    assert len(state) == 1
    assert shorter.requests < first.requests
    assert (shorter.daily.since, shorter.daily.days) == (first.daily.since, first.daily.days)
    again = evaluation.judge(here)
    assert again.daily == first.daily
    assert [path.read_bytes() for path in folder.iterdir()] == state
    assert f"Kept from day to day, {first.daily.days} since {first.daily.since}" in render(first)
    low, value, high = (getattr(first.daily.quality_change, end) for end in ("low", "value", "high"))
    candidate = first.policy(first.candidate).quality_change
    assert value == pytest.approx(candidate.value)
    assert high - low > candidate.high - candidate.low
