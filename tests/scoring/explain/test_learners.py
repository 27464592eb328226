"""Shares of what is joined at the end add up, by group, whatever is joined."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.scoring.explain import learners


def game(weights, pair):
    """A value (2,) that is additive but for the first two groups, which add `pair` together."""

    def value(held):
        own = sum(weights[group] for group in held)
        return np.array([own + pair * ({"a", "b"} <= held), -own])

    return value


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=6), st.floats(-5, 5))
def test_groups_that_act_together_share_evenly_and_the_others_have_their_own(weights, pair):
    names = list("abcdef")[: len(weights)]
    value = game(dict(zip(names, weights, strict=True)), pair)

    exact, drawn = learners._exact(names, value), learners._drawn(names, value)

    for place, name in enumerate(names):
        expected = [weights[place] + (pair / 2 if name in "ab" else 0), -weights[place]]
        assert exact[name] == pytest.approx(expected, abs=1e-9)
        assert drawn[name] == pytest.approx(expected, abs=1e-9)  # read both ways, a pair is shared evenly


def test_drawn_orders_add_up_to_the_whole_difference_with_many_groups():
    names = [f"g{place:02d}" for place in range(14)]
    rng = np.random.default_rng(3)
    weights = dict(zip(names, rng.normal(size=14), strict=True))

    def value(held):
        return np.array([np.tanh(sum(weights[name] for name in held)) * (1 + len(held))])

    shares = learners._drawn(names, value)

    whole = value(frozenset(names)) - value(frozenset())
    assert sum(shares.values()) == pytest.approx(whole, abs=1e-9)
