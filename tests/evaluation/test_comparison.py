import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.errors import EvidenceError
from fairlead.evaluation import comparison, estimators, intervals
from fairlead.evaluation.estimators import Logged
from fairlead.evaluation.intervals import mean


def test_savings_are_one_minus_the_ratio_of_means():
    new, old = mean("cost_usd", np.array([1.0, 2.0, 3.0])), mean("cost_usd", np.array([4.0, 4.0, 4.0]))

    assert comparison.savings_share(new, old).value == 0.5


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 5))
def test_a_constant_share_of_the_cost_is_saved_without_any_doubt(seed, share):
    cost = np.random.default_rng(seed).uniform(1, 9, 50)

    estimate = comparison.savings_share(mean("c", share * cost), mean("c", cost)).estimate()

    assert (estimate.low, estimate.value, estimate.high) == pytest.approx((1 - share,) * 3, abs=1e-9)


@given(st.integers(0, 2**32 - 1))
def test_a_policy_does_not_differ_from_itself(seed):
    rng = np.random.default_rng(seed)
    log = Logged(reward=rng.random(20), propensity=rng.uniform(0.1, 1, 20), target=rng.uniform(0.1, 1, 20))

    estimate = comparison.quality_change(estimators.snips(log), estimators.snips(log)).estimate(intervals.bootstrap)

    assert (estimate.low, estimate.value, estimate.high, estimate.standard_error) == (0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize("compare", [comparison.savings_share, comparison.quality_change, comparison.ratio])
def test_contributions_of_a_comparison_average_to_it_and_the_bootstrap_agrees(compare):
    rng = np.random.default_rng(11)
    n = 2000
    log = Logged(reward=rng.gamma(4, 1, n), propensity=rng.uniform(0.2, 1, n), target=rng.uniform(0, 1, n))

    statistic = compare(estimators.snips(log), mean("observed", log.reward))

    assert statistic.contributions.mean() == pytest.approx(statistic.value)
    assert intervals.bootstrap(statistic) == pytest.approx(intervals.normal(statistic), abs=0.01)


def test_pairing_is_narrower_than_two_separate_intervals():
    rng = np.random.default_rng(2)
    hard = rng.random(400)
    new, old = mean("q", hard + rng.normal(0, 0.05, 400)), mean("q", hard)

    paired = comparison.quality_change(new, old).standard_error

    assert paired < 0.2 * np.hypot(new.standard_error, old.standard_error)


def test_other_requests_cannot_be_paired():
    with pytest.raises(EvidenceError, match="got 2 and 3"):
        comparison.difference(mean("q", np.ones(2)), mean("q", np.ones(3)))


def test_nothing_is_divided_by_what_may_be_zero():
    with pytest.raises(EvidenceError, match="cannot be told from 0"):
        comparison.savings_share(mean("c", np.ones(4)), mean("c", np.array([-1.0, 1.0, -1.0, 1.5])))
