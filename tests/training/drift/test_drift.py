from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.training.anomaly.hours import HOUR, Hours, Slice
from fairlead.training.drift import Check, errors, inputs, latency, should_retrain, worst
from fairlead.training.drift.check import cusum
from fairlead.training.fit import fit_head
from fairlead.training.frame import Frame
from fairlead.training.predictor import TrainedPredictor, collect
from fairlead.training.spec import Gate, HeadPlan, Params, Spec

HEADS = [HeadPlan(name="quality", target="quality"), HeadPlan(name="latency_p90_s", target="duration_s", alpha=0.9)]
SPEC = Spec(features=["request_shape.*"], heads=HEADS, gate=Gate(metric="brier"), params=Params(rounds=20), name="q")


@pytest.fixture(scope="module")
def predictor(make_frame: Callable[..., Frame]) -> TrainedPredictor:
    frame = make_frame(2000, 0, _outcome)
    return collect(frame, SPEC, [fit_head(frame, plan, SPEC.params) for plan in HEADS], None)


def _outcome(rng, words, route, endpoint):
    return rng.random(len(words)) < np.where(endpoint == 1, 0.85, 0.6)


def test_new_rows_of_the_same_world_are_ok(predictor, make_frame):
    checks = errors.checks(predictor, make_frame(1500, 7, _outcome, start=1e6))

    assert {(check.group, check.name, check.verdict) for check in checks} == {
        (group, plan.name, "ok") for plan in HEADS for group in ("errors", "calibration")
    }
    assert should_retrain(checks) is None


def test_an_endpoint_that_lost_its_skill_asks_for_training_and_says_since_when(predictor, make_frame):
    def worse(rng, words, route, endpoint):
        return rng.random(len(words)) < np.where(endpoint == 1, 0.35, 0.6)

    checks = errors.checks(predictor, make_frame(1500, 8, worse, start=1e6))
    found = {(check.group, check.name): check for check in checks}

    assert found["errors", "quality"].verdict in ("retrain", "alarm")
    assert found["calibration", "quality"].verdict == "alarm"
    assert "blocks of 50 requests" in found["errors", "quality"].reason
    assert found["errors", "latency_p90_s"].verdict == "ok"
    assert "errors, quality: Brier score" in (should_retrain(checks) or "")


def test_answers_that_take_twice_as_long_break_the_bound(predictor, make_frame):
    fresh = make_frame(1500, 9, _outcome, start=1e6)
    fresh.targets["duration_s"] *= 2

    found = {(check.group, check.name): check for check in errors.checks(predictor, fresh)}

    assert found["calibration", "latency_p90_s"].verdict == "alarm"
    assert found["calibration", "latency_p90_s"].value < 0.8
    assert found["errors", "latency_p90_s"].verdict == "alarm"


def test_a_handful_of_rows_is_not_a_pass(predictor, make_frame):
    checks = errors.checks(predictor, make_frame(60, 9, _outcome, start=1e6))

    assert {check.verdict for check in checks} == {"unknown"}
    assert worst(checks) == "ok"
    assert should_retrain(checks) is None


def test_requests_of_the_same_kind_are_ok_and_longer_ones_are_noticed(make_frame):
    learned, same, longer = make_frame(2000, 0), make_frame(1500, 5), make_frame(1500, 6)
    longer.batch.text[:, :] += 1.0

    quiet = inputs.checks(learned, same, 0.0, 0.0)
    moved = inputs.checks(learned, longer, 0.0, 0.0)

    assert [check.verdict for check in quiet] == ["ok", "ok"]
    assert moved[0].verdict == "alarm"
    assert "text_words_log" in moved[0].reason


def test_routes_that_were_not_learned_from_are_counted(make_frame):
    new = inputs.checks(make_frame(1000, 0), make_frame(1000, 5), 0.3, 0.01)[1]

    assert (new.verdict, new.value, new.reference) == ("retrain", 0.3, 0.01)
    assert "30.0% of requests" in new.reason


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(300, 3000))
def test_two_samples_of_one_distribution_stay_below_the_noise_of_the_index(seed, n):
    rng = np.random.default_rng(seed)

    index, noise = inputs.psi(rng.normal(size=2000), rng.normal(size=n), category=False)

    assert index < 2.5 * noise
    assert inputs.psi(rng.normal(size=2000), rng.normal(1, 1, n), category=False)[0] > 0.5


def test_a_lasting_rise_crosses_and_chance_does_not():
    rng = np.random.default_rng(0)
    quiet = rng.normal(size=(200, 100))

    assert [cusum(row).at for row in quiet].count(-1) >= 197  # one in 19,000 values crosses
    risen = cusum(np.concatenate([quiet[0], quiet[1] + 1.5]))
    assert 100 <= risen.began <= risen.at < 125


def test_an_endpoint_that_slowed_down_asks_for_training_and_the_other_does_not():
    hours = _hours(np.log(1.5))

    checks = latency.checks(hours, hours.start, hours.start + 240 * HOUR)

    assert [(check.name, check.verdict) for check in checks] == [("steady", "ok"), ("slower", "retrain")]
    assert checks[1].value == pytest.approx(1.5, rel=0.05)
    assert "1.00 s in the training window (x1.4" in checks[1].reason


def test_an_endpoint_that_takes_three_times_as_long_is_an_alarm_and_one_without_calls_is_unknown():
    hours = _hours(np.log(3))
    hours.sums["timed"][240:, 0] = 0

    checks = latency.checks(hours, hours.start, hours.start + 240 * HOUR)

    assert [check.verdict for check in checks] == ["unknown", "alarm"]


def test_the_gravest_verdict_counts():
    def check(verdict):
        return Check(name="x", group="inputs", verdict=verdict, reason="why")

    assert worst([check("ok"), check("retrain"), check("unknown")]) == "retrain"
    assert worst([check("alarm"), check("retrain")]) == "alarm"
    assert should_retrain([check("ok"), check("alarm")]) == "inputs, x: why"


def _hours(change: float) -> Hours:
    """Two endpoints over 15 days, the second slower by `change` (of the logarithm) in the last five."""
    rng = np.random.default_rng(1)
    timed = rng.poisson(20, (360, 2)).astype(np.float64) + 1
    shift = np.where((np.arange(360) >= 240)[:, None], np.array([0.0, change]), 0.0)
    mean = shift + rng.normal(0, 0.5, (360, 2)) / np.sqrt(timed)
    slices = (Slice("endpoint", "steady"), Slice("endpoint", "slower"))
    sums = {"attempts": timed, "timed": timed, "log_s": mean * timed, "log_s2": (mean**2 + 0.25) * timed}
    return Hours(datetime(2026, 10, 5, tzinfo=UTC), slices, sums)
