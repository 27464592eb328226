import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.errors import EvidenceError
from fairlead.evaluation import overlap
from fairlead.evaluation.overlap import Limits


@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=50))
def test_the_effective_sample_size_is_between_one_and_n(weights):
    weight = np.array(weights)

    ess = overlap.effective_sample_size(weight)

    assert 1 - 1e-9 <= ess <= len(weight) * (1 + 1e-9)
    assert overlap.max_weight_share(weight) >= 1 / len(weight) - 1e-9


def test_equal_weights_can_tell():
    verdict = overlap.verdict(np.ones(500))

    assert verdict.can_tell
    assert (verdict.ess, verdict.reasons, verdict.remedies, verdict.needed_requests) == (500, (), (), 500)
    assert str(verdict) == "Your logs can tell: 500 requests count for 500 of this policy's own."


def test_a_thin_log_says_how_many_requests_would_do():
    weight = np.zeros(1000)
    weight[::20] = 20.0

    verdict = overlap.verdict(weight)

    assert verdict.verdict == "cannot tell"
    assert verdict.reasons == ("the effective sample size is 50, below 100",)
    assert verdict.needed_requests == 2800
    assert str(verdict) == (
        "Your logs cannot tell: the effective sample size is 50, below 100. To change that: 2,800 requests in all at "
        "the present exploration; or 5% of traffic on this policy for 2,800 requests."
    )


def test_one_heavy_request_is_too_much():
    weight = np.ones(1000)
    weight[0] = 100.0

    verdict = overlap.verdict(weight)

    assert verdict.reasons == ("one request holds 9.1% of all weight, more than 5%",)
    assert verdict.needed_requests == 1820


def test_a_policy_without_weight_needs_exploration_not_more_of_the_same():
    verdict = overlap.verdict(np.zeros(1000))

    assert (verdict.ess, verdict.max_weight_share, verdict.needed_requests) == (0.0, 1.0, None)
    assert "100.0% of this policy's choices were never explored on such requests" in verdict.reasons


def test_an_empty_log_cannot_tell():
    verdict = overlap.verdict(np.empty(0), propensities_share=0.0)

    assert verdict.reasons == ("no request has both a known propensity and an outcome",)


def test_missing_propensities_cannot_be_made_up_for_by_more_requests():
    verdict = overlap.verdict(np.ones(500), propensities_share=0.5)

    assert verdict.reasons == ("the propensity is unknown for 50.0% of requests",)
    assert verdict.needed_requests is None


def test_choices_that_were_never_explored_are_counted():
    target = np.tile([0.2, 0.8], (1000, 1))
    logging = np.tile([1.0, 0.0], (1000, 1))

    unsupported = overlap.unsupported_share(target, logging)
    verdict = overlap.verdict(np.full(1000, 0.2), unsupported=unsupported)

    assert unsupported == pytest.approx(0.8)
    assert verdict.reasons == ("80.0% of this policy's choices were never explored on such requests",)


def test_weights_that_do_not_average_one_give_wrong_propensities_away():
    verdict = overlap.verdict(np.full(1000, 1.5))

    assert verdict.reasons == ("the weights average 1.50 where 1.00 is expected",)
    assert verdict.remedies == ("check that the logged propensities are those the choice was drawn with",)


def test_right_propensities_are_hardly_ever_doubted():
    doubted = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        propensity = rng.uniform(0.05, 0.95, 1500)
        chosen = rng.random(1500) < propensity
        weight = np.where(chosen, 0.5 / propensity, 0.5 / (1 - propensity))
        doubted += not overlap.verdict(weight).can_tell

    assert doubted <= 2


def test_limits_can_be_moved():
    assert overlap.verdict(np.ones(50), limits=Limits(least_ess=30.0)).can_tell


def test_a_share_is_a_share():
    with pytest.raises(EvidenceError, match="from 0 to 1"):
        overlap.verdict(np.ones(5), propensities_share=90)
