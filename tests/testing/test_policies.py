import time

import numpy as np
import pytest

from fairlead import Weighted
from fairlead.errors import FairleadError
from fairlead.testing import ContractError, candidates, check_policy, view


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


class Judging(Weighted):
    """Breaks one promise that only shows with live state, over many decisions, or while learning."""

    name = "judging"

    def __init__(self, how):
        super().__init__()
        self.how, self.asked, self.kept, self.told = how, 0, [], 0

    def probabilities(self, candidates):
        return getattr(self, f"_{self.how}")(super().probabilities(candidates), candidates)

    def learn(self, reward):
        self.told += 1
        if self.how == "hoarding":
            self.kept.append(reward.quality)
        if self.how == "racing":  # half a reward is visible for a moment
            self.asked = 1
            time.sleep(0.0005)
            self.asked = 0

    def _hoarding(self, shares, candidates):
        return shares

    def _nan_latency(self, shares, candidates):
        return shares if candidates.view is None else shares * (candidates.view.latency_s > -1)

    def _spoils_the_view(self, shares, candidates):
        if candidates.view is not None:
            candidates.view.in_flight[...] += 1
        return shares

    def _view_by_place(self, shares, candidates):
        if candidates.view is None:
            return shares
        weighed = candidates.eligible * (1.0 + np.arange(len(candidates.endpoints)) * candidates.view.in_flight.max())
        return weighed / weighed.sum(axis=-1, keepdims=True)

    def _draws(self, shares, candidates):  # chooses by lot itself, and calls that certain
        if len(shares) > 1:
            return shares
        self.asked += 1
        at = np.random.default_rng(self.asked // 40).choice(shares.shape[1], p=shares[0])
        return np.eye(shares.shape[1])[[at]]

    def _racing(self, shares, candidates):
        return shares * (1.0 + self.asked)

    def _ejected_only(self, shares, candidates):
        if candidates.view is None:
            return shares
        weighed = shares * ~candidates.view.available
        return weighed / np.maximum(weighed.sum(axis=-1, keepdims=True), 1e-300)


@pytest.mark.parametrize(
    ("how", "promise"),
    [
        ("nan_latency", "sums to one"),
        ("spoils_the_view", "leaves its input unchanged"),
        ("view_by_place", "does not depend on the order of endpoints"),
        ("ejected_only", "sums to one"),
        ("draws", "gives one request what a batch gives it|is as likely as it says"),
        ("hoarding", "needs no more memory the more it learns"),
        ("racing", "holds when several threads ask and teach at once"),
    ],
)
def test_what_only_shows_with_live_state_or_over_time_is_caught(how, promise):
    with pytest.raises(ContractError, match=f"policy judging: a policy's answer ({promise})"):
        check_policy(Judging(how), rewards_learned=100 if how == "racing" else 2000)


class Rotating(Weighted):
    """Counts its own turns, so that asking changes the answer: what a log would call its propensity is made up."""

    name = "rotating"
    turn = 0

    def probabilities(self, candidates):
        shares = super().probabilities(candidates)
        if shares.shape != (1, 5):
            return shares
        self.turn += 1
        return shares if self.turn < 3 else np.eye(5)[[int(np.flatnonzero(candidates.eligible[0])[0])]]


def test_an_answer_that_changes_with_being_asked_is_not_a_propensity():
    with pytest.raises(
        ContractError, match=r"is as likely as it says; this one's does not \(provider/model-\d: chosen"
    ):
        check_policy(Rotating())


def test_live_state_is_drawn_of_any_kind():
    seen = [view(np.random.default_rng(seed), 6) for seed in range(50)]

    assert not all(one.available.all() for one in seen)
    assert any(np.isnan(one.latency_s).any() for one in seen)
    assert any((one.headroom == 0).any() for one in seen)
    assert any((one.admitted < 1).any() for one in seen)
    assert {one.pace == 1.0 for one in seen} == {True, False}
