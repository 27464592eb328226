import numpy as np
import pytest

from fairlead import Weighted
from fairlead.errors import FairleadError
from fairlead.testing import ContractError, candidates, check_policy


def test_candidates_hold_what_a_policy_may_meet():
    drawn = candidates(np.random.default_rng(0), 500, 4)

    assert drawn.endpoints == ("provider/model-0", "provider/model-1", "provider/model-2", "provider/model-3")
    assert drawn.eligible.any(axis=1).all()
    assert not drawn.eligible.all()
    assert all(np.isnan(values).any() for values in (drawn.quality, drawn.cost_usd, drawn.latency_s))
    assert candidates(np.random.default_rng(0), 500, 4).cost_p90_usd.tobytes() == drawn.cost_p90_usd.tobytes()


class Odd(Weighted):
    name = "odd"
    shape = "right"

    def probabilities(self, candidates):
        return getattr(self, f"_{self.shape}")(super().probabilities(candidates), candidates)

    def _right(self, shares, candidates):
        return shares

    def _flat(self, shares, candidates):
        return shares[0]

    def _negative(self, shares, candidates):
        return shares * 2 - 1

    def _unknown(self, shares, candidates):
        return np.where(np.isnan(candidates.quality), np.nan, shares)

    def _of_the_batch(self, shares, candidates):
        weighed = np.where(candidates.eligible, 1 + np.nan_to_num(candidates.quality).mean(axis=0), 0)
        return weighed / weighed.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("shape", "promise"),
    [
        ("flat", "has the shape"),
        ("negative", "is a probability"),
        ("unknown", "is a probability"),
        ("of_the_batch", "gives one request what a batch gives it"),
    ],
)
def test_the_contract_says_which_promise_is_broken(shape, promise):
    policy = Odd()
    policy.shape = shape

    with pytest.raises(ContractError, match=f"policy odd: a policy's answer {promise}"):
        check_policy(policy)


class Silent(Weighted):
    def explain(self, candidates):
        return [""]


class Scoreless(Weighted):
    def probabilities(self, candidates):
        return candidates.eligible / candidates.eligible.sum(axis=-1, keepdims=True)

    def scores(self, candidates):
        return candidates.quality  # not a number, where it is unknown


@pytest.mark.parametrize(("policy", "promise"), [(Silent(), "says why"), (Scoreless(), "has a score")])
def test_reasons_and_scores_belong_to_the_contract(policy, promise):
    with pytest.raises(ContractError, match=promise):
        check_policy(policy)


def test_a_broken_contract_can_be_caught_like_any_refusal():
    assert issubclass(ContractError, FairleadError)
    check_policy(Odd(), seed=5)
