import math
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.errors import EvidenceError
from fairlead.evaluation import estimators, intervals
from fairlead.evaluation.estimators import Logged
from fairlead.evaluation.intervals import mean


def skewed(n=500):
    rng = np.random.default_rng(3)
    return Logged(
        reward=(rng.random(n) < 0.7).astype(float),
        propensity=rng.uniform(0.1, 1, n),
        target=rng.uniform(0, 1, n),
    )


def test_the_normal_interval_is_the_textbook_one():
    low, high = intervals.normal(mean("x", np.array([0.0, 1.0, 2.0, 3.0])))

    half = 1.959964 * math.sqrt(5 / 3) / 2
    assert (low, high) == pytest.approx((1.5 - half, 1.5 + half))


@pytest.mark.parametrize("name", ["ips", "snips"])
def test_bootstrap_and_normal_agree_on_many_requests(name):
    statistic = estimators.ESTIMATORS[name](skewed(3000))

    assert intervals.bootstrap(statistic, seed=1) == pytest.approx(intervals.normal(statistic), abs=0.006)


def test_the_bootstrap_repeats_itself_and_follows_its_seed():
    statistic = estimators.snips(skewed())

    assert intervals.bootstrap(statistic, seed=4) == intervals.bootstrap(statistic, seed=4)
    assert intervals.bootstrap(statistic, seed=4) != intervals.bootstrap(statistic, seed=5)


def test_the_bootstrap_gives_the_same_kind_of_answer_in_small_blocks(monkeypatch):
    statistic = estimators.snips(skewed())
    whole = intervals.bootstrap(statistic, seed=4)

    monkeypatch.setattr(intervals, "_DRAWS_AT_ONCE", 1700)
    blocks = intervals.bootstrap(statistic, seed=4)

    assert blocks == whole


def test_the_bootstrap_says_so_when_hardly_any_request_counts():
    log = Logged(reward=np.ones(3), propensity=np.ones(3), target=np.array([0.0, 0.0, 1.0]))
    statistic = estimators.snips(log)

    assert intervals.bootstrap(statistic) == (1.0, 1.0)

    empty = Logged(reward=np.ones(200), propensity=np.ones(200), target=np.full(200, 1e-300))
    never = intervals.Statistic(
        name="never",
        columns=np.zeros((200, 3)),
        of_means=estimators.snips(empty).of_means,
        contributions=np.zeros(200),
        linear=False,
    )
    with pytest.raises(EvidenceError, match="hold no choice of this policy"):
        intervals.bootstrap(never)


def test_empirical_bernstein_is_the_published_bound():
    statistic = mean("x", np.array([0.0, 1.0] * 50))

    low, high = intervals.empirical_bernstein(statistic, 0.95)

    term = math.log(4 / 0.05)
    half = math.sqrt(2 * (25 / 99) * term / 100) + 7 * term / (3 * 99)
    assert (low, high) == pytest.approx((0.5 - half, 0.5 + half))


@given(st.lists(st.floats(0, 1), min_size=2, max_size=60))
def test_empirical_bernstein_is_wider_than_normal(values):
    statistic = mean("x", np.array(values))

    bernstein, plain = intervals.empirical_bernstein(statistic), intervals.normal(statistic)

    assert bernstein[0] < plain[0]
    assert plain[1] < bernstein[1]


def test_empirical_bernstein_refuses_a_broken_promise():
    with pytest.raises(EvidenceError, match="outside the promised 0 to 1"):
        intervals.empirical_bernstein(mean("x", np.array([0.0, 2.0])))


def test_empirical_bernstein_refuses_a_ratio():
    with pytest.raises(EvidenceError, match="snips is a ratio"):
        intervals.empirical_bernstein(estimators.snips(skewed()))


def test_an_estimate_says_what_it_is():
    values = np.array([0.0, 1.0] * 8)

    estimate = mean("quality", values).estimate(partial(intervals.empirical_bernstein, upper=1.0), level=0.9)

    assert (estimate.name, estimate.value, estimate.n, estimate.level) == ("quality", 0.5, 16, 0.9)
    assert estimate.method == "empirical_bernstein"
    assert str(mean("quality", values).estimate()) == "quality 0.5 [0.247, 0.753] (n = 16)"


def test_one_request_has_no_interval():
    with pytest.raises(EvidenceError, match="at least two"):
        mean("x", np.ones(1)).estimate()
