from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.errors import EvidenceError, ModelError
from fairlead.training.anomaly import model
from fairlead.training.anomaly.detect import Anomaly, detect, significant
from fairlead.training.anomaly.hours import HOUR, Hours, Slice
from fairlead.training.anomaly.plan import Plan
from fairlead.training.anomaly.trace import trace

START = datetime(2026, 9, 7, tzinfo=UTC)  # a Monday
PLAN = Plan(method="baseline", name="anomaly")
ENDPOINTS = ("a", "b", "c")
TEAMS = ("search", "support")
DAYS = 21


def _calls(seed: int = 0, days: int = DAYS) -> dict[str, np.ndarray]:
    """Single calls: two teams, three endpoints, 60 an hour by the hour of day; c is slow, search is dear."""
    rng = np.random.default_rng(seed)
    hourly = rng.poisson(60 * (1 + 0.6 * np.sin((np.arange(24 * days) % 24 - 6) / 24 * 2 * np.pi)))
    n = int(hourly.sum())
    endpoint, team = rng.choice(3, n, p=[0.5, 0.3, 0.2]), rng.choice(2, n, p=[0.7, 0.3])
    return {
        "hour": np.repeat(np.arange(24 * days), hourly),
        "endpoint": endpoint,
        "team": team,
        "usd": rng.lognormal(-6, 0.8, n) * np.array([2.0, 1.0])[team],
        "log_s": rng.normal(0, 0.5, n) + np.array([0.0, 0.3, 1.2])[endpoint],
        "error": (rng.random(n) < 0.01).astype(np.float64),
        "quality": (rng.random(n) < 0.85).astype(np.float64),
        "log_tokens": rng.normal(5, 0.6, n),
    }


def _hours(calls: dict[str, np.ndarray], days: int = DAYS) -> Hours:
    slices = (
        Slice("total", "total"),
        *(Slice("team", one) for one in TEAMS),
        *(Slice("endpoint", e) for e in ENDPOINTS),
    )
    own = [np.ones(len(calls["hour"]), dtype=bool)]
    own += [calls["team"] == at for at in range(2)] + [calls["endpoint"] == at for at in range(3)]
    one = np.ones(len(calls["hour"]))
    per_call = {
        "attempts": one, "usd": calls["usd"], "usd2": calls["usd"] ** 2, "errors": calls["error"], "timed": one,
        "log_s": calls["log_s"], "log_s2": calls["log_s"] ** 2, "worded": one, "log_tokens": calls["log_tokens"],
        "log_tokens2": calls["log_tokens"] ** 2, "labels": one, "quality": calls["quality"],
        "quality2": calls["quality"] ** 2,
    }  # fmt: skip
    sums = {
        name: np.stack([np.bincount(calls["hour"][m], values[m], minlength=24 * days) for m in own], axis=1)
        for name, values in per_call.items()
    }
    return Hours(START, slices, sums)


def _found(change: Callable[[dict[str, np.ndarray], np.ndarray], None], after_h: int) -> list[Anomaly]:
    """Change the calls of the last day but one on, and look `after_h` hours later."""
    calls, begin = _calls(), 24 * (DAYS - 2)
    usual = model.fit(_hours(calls).until(START + (begin + 1) * HOUR), PLAN)
    change(calls, calls["hour"] >= begin)
    return detect(usual.baselines, _hours(calls).until(START + (begin + after_h) * HOUR))


def test_a_team_that_spends_three_times_as_much_is_named_within_six_hours():
    def thrice(calls, late):
        calls["usd"][late & (calls["team"] == 1)] *= 3

    (anomaly,) = _found(thrice, after_h=6)

    assert (anomaly.measure, anomaly.slice) == ("spend", Slice("team", "support"))
    assert anomaly.change == pytest.approx(2, abs=0.6)
    assert anomaly.explains == pytest.approx(1, abs=0.35)
    assert "spend of team 'support' over 6 h" in anomaly.words or "over 1 h" in anomaly.words


def test_an_endpoint_that_takes_twice_as_long_is_named_and_taken_for_a_change_in_place():
    def slow(calls, late):
        calls["log_s"][late & (calls["endpoint"] == 1)] += np.log(2)

    (anomaly,) = _found(slow, after_h=6)

    assert (anomaly.measure, anomaly.slice, anomaly.in_place) == ("latency", Slice("endpoint", "b"), True)
    assert anomaly.value / anomaly.expected == pytest.approx(2, rel=0.2)


def test_all_endpoints_slower_at_once_is_no_change_in_place():
    def slow(calls, late):
        calls["log_s"][late] += np.log(2)

    (anomaly,) = _found(slow, after_h=6)

    assert (anomaly.measure, anomaly.in_place) == ("latency", False)


def test_a_fifth_of_an_endpoints_calls_failing_is_named():
    def fail(calls, late):
        mine = np.flatnonzero(late & (calls["endpoint"] == 2))
        calls["error"][mine[::5]] = 1

    (anomaly,) = _found(fail, after_h=24)

    assert (anomaly.measure, anomaly.slice) == ("errors", Slice("endpoint", "c"))
    assert anomaly.value == pytest.approx(0.2, abs=0.05)


def test_a_silent_loss_of_ten_points_of_quality_at_one_endpoint_is_noticed_within_a_day():
    def worse(calls, late):
        mine = np.flatnonzero(late & (calls["endpoint"] == 0) & (calls["quality"] == 1))
        calls["quality"][mine[::8]] = 0  # an eighth of 0.85

    (anomaly,) = _found(worse, after_h=24)

    assert (anomaly.measure, anomaly.slice, anomaly.in_place) == ("quality", Slice("endpoint", "a"), True)
    assert anomaly.change == pytest.approx(-0.11, abs=0.04)


def test_traffic_that_moves_to_another_team_is_named():
    def move(calls, late):
        mine = np.flatnonzero(late & (calls["team"] == 0))
        calls["team"][mine[::2]] = 1

    found = _found(move, after_h=6)

    assert {"traffic share"} <= {anomaly.measure for anomaly in found}
    share = next(anomaly for anomaly in found if anomaly.measure == "traffic share")
    assert share.slice.kind == "team"
    assert abs(share.change) == pytest.approx(0.35, abs=0.05)


@pytest.mark.parametrize("seed", [11, 12])
def test_quiet_weeks_stay_quiet_though_they_are_looked_at_each_hour(seed):
    hours = _hours(_calls(seed))
    episodes = 0
    for day in range(14, DAYS):
        usual = model.fit(hours.until(START + 24 * day * HOUR), PLAN)
        looks = [detect(usual.baselines, hours.until(START + (24 * day + at) * HOUR)) for at in range(1, 25)]
        episodes += any(looks)

    assert episodes == 0


def test_a_spike_in_history_does_not_hide_the_next_one():
    def twice(calls, late):
        earlier = (calls["hour"] >= 200) & (calls["hour"] < 230)
        calls["usd"][(late | earlier) & (calls["team"] == 1)] *= 4

    found = _found(twice, after_h=6)

    assert [anomaly.slice for anomaly in found] == [Slice("team", "support")]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.floats(0.001, 0.3))
def test_discoveries_are_the_smallest_chances_and_never_more_than_bonferroni_is_missing(chances, level):
    values = np.array(chances)

    found = significant(values, level)

    assert not found.any() or values[found].max() <= min(level, values[~found].min(initial=1.0))
    assert (found >= (values <= level / len(values))).all()


def test_a_predictor_is_read_as_it_was_written_and_draws_the_days_around(tmp_path):
    hours = _hours(_calls())
    usual = model.fit(hours, PLAN)

    model.write(usual, tmp_path)
    again = model.read(tmp_path)
    anomaly = Anomaly(
        measure="latency", slice=Slice("endpoint", "c"), since=START, until=START + 6 * HOUR, value=1, expected=1,
        change=0, explains=0, chance=1, in_place=False, others=[],
    )  # fmt: skip
    points = trace(again, hours, anomaly)

    assert again.slices == usual.slices
    np.testing.assert_array_equal(again.baselines["errors"].expected, usual.baselines["errors"].expected)
    assert len(points) == 24 * DAYS // 3
    assert np.mean([point.usual for point in points]) == pytest.approx(np.exp(1.2), rel=0.05)
    assert np.median([point.value for point in points]) == pytest.approx(np.exp(1.2), rel=0.05)


def test_too_little_traffic_is_said_and_damage_is_found(tmp_path):
    with pytest.raises(EvidenceError, match="four days are enough"):
        model.fit(_hours(_calls()).until(START + 90 * HOUR), PLAN)
    model.write(model.fit(_hours(_calls()), PLAN), tmp_path)
    (tmp_path / "arrays.safetensors").unlink()
    with pytest.raises(ModelError, match="train again"):
        model.read(tmp_path)


def test_a_measure_that_there_is_not_is_refused_with_those_that_there_are(tmp_path):
    with pytest.raises(ModelError, match="known are spend, latency"):
        Plan(method="baseline", measures=("fun",)).check(tmp_path)
