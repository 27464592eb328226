import itertools
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.errors import EvidenceError
from fairlead.evaluation import estimators
from fairlead.evaluation.estimators import ESTIMATORS, Logged

QUALITY = np.array([[0.9, 0.4, 0.1], [0.2, 0.8, 0.5]])
LOGGING = np.array([[0.5, 0.3, 0.2], [0.1, 0.6, 0.3]])
TARGET = np.array([[0.0, 0.25, 0.75], [1.0, 0.0, 0.0]])
WRONG_MODEL = np.array([[0.3, 0.3, 0.9], [0.6, 0.1, 0.0]])


def log_of(actions, *, model=WRONG_MODEL, logging=LOGGING, quality=QUALITY):
    rows = np.arange(len(actions))
    return Logged(
        reward=quality[rows, actions],
        propensity=logging[rows, actions],
        target=TARGET[rows, actions],
        predicted_logged=model[rows, actions],
        predicted_target=(TARGET * model).sum(axis=1),
    )


def every_draw():
    for actions in itertools.product(range(3), repeat=2):
        yield np.array(actions), LOGGING[[0, 1], actions].prod()


@st.composite
def logs(draw):
    n = draw(st.integers(2, 30))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return Logged(
        reward=rng.uniform(-1, 3, n),
        propensity=rng.uniform(0.01, 1, n),
        target=np.maximum(rng.uniform(-0.3, 1, n), 0) + 1e-6,
        predicted_logged=rng.normal(size=n),
        predicted_target=rng.normal(size=n),
    )


@pytest.mark.parametrize("name", ["ips", "doubly_robust"])
def test_the_mean_over_every_possible_draw_is_the_truth(name):
    truth = (TARGET * QUALITY).sum(axis=1).mean()

    expected = sum(chance * ESTIMATORS[name](log_of(actions)).value for actions, chance in every_draw())

    assert expected == pytest.approx(truth, abs=1e-12)


def test_a_wrong_propensity_moves_ips_but_not_a_perfect_model():
    truth = (TARGET * QUALITY).sum(axis=1).mean()
    wrong = np.full((2, 3), 1 / 3)

    ips = sum(p * estimators.ips(log_of(a, logging=wrong)).value for a, p in every_draw())
    robust = sum(p * estimators.doubly_robust(log_of(a, logging=wrong, model=QUALITY)).value for a, p in every_draw())

    assert abs(ips - truth) > 0.05
    assert robust == pytest.approx(truth, abs=1e-12)


@pytest.mark.parametrize("name", ["doubly_robust", "switch_dr"])
def test_a_perfect_model_leaves_no_variance_beyond_the_requests(name):
    truth = (TARGET * QUALITY).sum(axis=1).mean()

    values = [ESTIMATORS[name](log_of(actions, model=QUALITY)).value for actions, _ in every_draw()]

    assert values == pytest.approx([truth] * 9, abs=1e-12)


def test_direct_believes_the_model():
    assert estimators.direct(log_of(np.array([0, 1]))).value == pytest.approx((0.75 + 0.6) / 2)


def test_switch_dr_without_a_limit_is_doubly_robust_and_with_none_allowed_is_direct():
    log = log_of(np.array([2, 0]))

    assert estimators.switch_dr(log, tau=np.inf).value == estimators.doubly_robust(log).value
    assert estimators.switch_dr(log, tau=0.0).value == estimators.direct(log).value


@given(logs())
def test_contributions_average_to_the_value(log):
    for name, estimator in ESTIMATORS.items():
        assert estimators.contributions(name, log).mean() == pytest.approx(estimator(log).value, rel=1e-9, abs=1e-9)


@given(logs(), st.floats(-5, 5))
def test_shifting_the_reward_shifts_snips_and_leaves_its_spread(log, shift):
    moved = Logged(reward=log.reward + shift, propensity=log.propensity, target=log.target)

    gained = estimators.snips(moved).value - estimators.snips(log).value

    assert gained == pytest.approx(shift, abs=1e-9)
    assert np.std(estimators.contributions("snips", moved)) == pytest.approx(
        np.std(estimators.contributions("snips", log)), rel=1e-6, abs=1e-8
    )


@given(logs())
def test_snips_stays_within_what_was_seen(log):
    value = estimators.snips(log).value

    assert log.reward.min() - 1e-9 <= value <= log.reward.max() + 1e-9


@given(logs())
def test_judging_the_logging_policy_itself_gives_the_observed_mean(log):
    same = Logged(reward=log.reward, propensity=log.propensity, target=log.propensity)

    assert estimators.ips(same).value == pytest.approx(log.reward.mean())
    assert estimators.snips(same).value == pytest.approx(log.reward.mean())


@pytest.mark.parametrize("name", ["snips", "self_normalised_dr"])
def test_the_delta_method_agrees_with_the_jackknife(name):
    rng = np.random.default_rng(5)
    n = 400
    fields = {
        "reward": rng.uniform(size=n),
        "propensity": rng.uniform(0.1, 1, n),
        "target": rng.uniform(0, 1, n),
        "predicted_logged": rng.uniform(size=n),
        "predicted_target": rng.uniform(size=n),
    }
    without = [Logged(**{key: np.delete(values, row) for key, values in fields.items()}) for row in range(n)]
    left_out = np.array([ESTIMATORS[name](log).value for log in without])

    jackknife = np.sqrt((n - 1) * np.var(left_out))

    assert ESTIMATORS[name](Logged(**fields)).standard_error == pytest.approx(jackknife, rel=0.01)


def test_pseudo_outcomes_average_to_the_truth_of_every_endpoint():
    rows = np.arange(2)

    expected = sum(
        chance * estimators.pseudo_outcomes(QUALITY[rows, actions], actions, LOGGING[rows, actions], WRONG_MODEL)
        for actions, chance in every_draw()
    )

    assert np.allclose(expected, QUALITY)


def test_a_policy_over_pseudo_outcomes_is_its_doubly_robust_value():
    actions = np.array([1, 0])
    log = log_of(actions)

    outcomes = estimators.pseudo_outcomes(log.reward, actions, log.propensity, WRONG_MODEL)

    assert (TARGET * outcomes).sum(axis=1).mean() == pytest.approx(estimators.doubly_robust(log).value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"reward": np.ones(3)}, "one number a request"),
        ({"reward": np.ones((2, 1))}, "one number a request"),
        ({"propensity": np.array([0.5, 0.0])}, "propensities must lie in (0, 1]"),
        ({"propensity": np.array([0.5, 1.1])}, "propensities must lie in (0, 1]"),
        ({"propensity": np.array([0.5, np.nan])}, "propensity is missing or infinite for 1 requests"),
        ({"reward": np.array([np.nan, np.nan])}, "reward is missing or infinite for 2 requests"),
        ({"target": np.array([0.5, 1.5])}, "probabilities must lie in [0, 1]"),
        ({"predicted_target": np.array([0.5, np.inf])}, "predicted_target is missing or infinite"),
    ],
)
def test_what_cannot_be_is_refused(fields, message):
    good = {"reward": np.ones(2), "propensity": np.ones(2), "target": np.ones(2)}

    with pytest.raises(EvidenceError, match=re.escape(message)):
        Logged(**(good | fields))


def test_no_requests_are_refused():
    with pytest.raises(EvidenceError, match="at least one"):
        Logged(reward=np.empty(0), propensity=np.empty(0), target=np.empty(0))


def test_a_model_free_log_has_no_doubly_robust_value():
    log = Logged(reward=np.ones(2), propensity=np.ones(2), target=np.ones(2))

    with pytest.raises(EvidenceError, match="doubly_robust needs predictions"):
        estimators.doubly_robust(log)


def test_a_policy_that_was_never_seen_has_no_weighted_mean():
    log = Logged(reward=np.ones(2), propensity=np.ones(2), target=np.zeros(2))

    with pytest.raises(EvidenceError, match="never chooses what was logged"):
        estimators.snips(log)


def test_an_unknown_estimator_is_refused_with_the_known_ones():
    with pytest.raises(EvidenceError, match="there are replay, ips, clipped_ips, snips"):
        estimators.contributions("magic", log_of(np.array([0, 0])))


def test_actions_outside_the_predictions_are_refused():
    with pytest.raises(EvidenceError, match="0 to 2"):
        estimators.pseudo_outcomes(np.ones(2), np.array([0, 3]), np.ones(2), WRONG_MODEL)
