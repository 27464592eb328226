import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.errors import EvidenceError
from fairlead.evaluation.bounds import lower, tail_quantile, upper, upper_share
from fairlead.evaluation.intervals import mean


def test_a_one_sided_bound_is_broken_as_rarely_as_it_says():
    rng = np.random.default_rng(0)

    wrong = [lower(mean("x", rng.normal(0, 1, 200))) > 0 for _ in range(2000)]

    assert 0.04 < np.mean(wrong) < 0.062


def test_a_bound_of_what_comes_holds_for_the_next_sample_too():
    rng = np.random.default_rng(1)
    draws = rng.normal(0, 1, (2000, 2, 200))

    wrong = [lower(mean("x", first), ahead=1.0) > second.mean() for first, second in draws]
    naive = [lower(mean("x", first)) > second.mean() for first, second in draws]

    assert 0.04 < np.mean(wrong) < 0.062
    assert np.mean(naive) > 0.1


def test_an_upper_bound_mirrors_the_lower_one():
    values = np.random.default_rng(2).random(50)

    assert upper(mean("x", values)) == pytest.approx(-lower(mean("x", -values)))


@settings(max_examples=20, deadline=None)
@given(share=st.floats(0.01, 0.2), n=st.integers(20, 400))
def test_an_exact_bound_of_a_share_never_covers_too_rarely(share, n):
    from scipy.stats import binom

    bounds = np.array([upper_share(np.arange(n) < hits) for hits in range(n + 1)])

    assert (binom.pmf(np.arange(n + 1), n, share) * (bounds >= share)).sum() >= 0.95 - 1e-9


def test_a_share_of_stand_ins_is_bounded_like_a_mean():
    values = np.array([-0.5, 2.0, 0.0, 0.0] * 50)

    assert upper_share(values) == upper(mean("share", values))


def test_a_quantile_of_time_is_covered_by_its_interval():
    rng = np.random.default_rng(3)
    limits = np.geomspace(0.5, 60, 30)
    true = float(np.exp(0.8 * 1.6449))

    found = []
    for _ in range(300):
        times = np.exp(rng.normal(0, 0.8, 800))
        found.append(tail_quantile(limits.tolist(), [(times > limit).astype(float) for limit in limits]))

    assert np.mean([one.low <= true <= one.high for one in found]) > 0.92
    assert np.median([one.value for one in found]) == pytest.approx(true, rel=0.03)


def test_a_quantile_that_no_limit_reaches_is_infinite():
    found = tail_quantile([1.0, 2.0], [np.ones(50), np.ones(50)])

    assert (found.value, found.high) == (np.inf, np.inf)


def test_a_quantile_needs_limits():
    with pytest.raises(EvidenceError, match="two limits or more"):
        tail_quantile([1.0], [np.ones(3)])
