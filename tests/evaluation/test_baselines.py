import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.errors import EvidenceError
from fairlead.evaluation import baselines

NAN = np.nan


def test_the_status_quo_is_the_shares_that_were_chosen():
    assert baselines.status_quo(np.array([0, 2, 2, 2]), 3).tolist() == [[0.25, 0.0, 0.75]] * 4


def test_the_status_quo_is_the_logged_probabilities_where_there_are_any():
    logging = np.array([[0.1, 0.9], [0.8, 0.2]])

    assert baselines.status_quo(np.array([1, 0]), 2, logging).tolist() == logging.tolist()
    with pytest.raises(EvidenceError, match="must be"):
        baselines.status_quo(np.array([1, 0]), 3, logging)


def test_a_single_endpoint_takes_everything():
    assert baselines.single(2, 3, 1).tolist() == [[0, 1, 0], [0, 1, 0]]


def test_the_best_single_is_the_cheaper_of_equals_and_has_a_price():
    quality = np.array([[1.0, 0.8, 0.8, NAN], [1.0, NAN, 0.8, NAN]])
    cost = np.array([[NAN, 3.0, 2.0, 1.0], [NAN, 3.0, 2.0, 1.0]])

    assert baselines.best_single(quality, cost) == 2
    assert baselines.cheapest(cost) == 3


def test_nothing_known_has_no_best_and_no_cheapest():
    nothing = np.full((2, 2), NAN)

    with pytest.raises(EvidenceError, match="bring feedback and prices"):
        baselines.best_single(nothing, nothing)
    with pytest.raises(EvidenceError, match="no endpoint has a known cost"):
        baselines.cheapest(nothing)


def test_the_category_table_shrinks_each_route_to_the_overall_mean():
    route = np.array([0, 0, 1, 1])
    outcomes = np.array([[1.0, 0.0], [1.0, NAN], [0.0, 1.0], [0.0, NAN]])

    table = baselines.category_table(route, outcomes, routes=3, strength=2.0)

    assert table.values.tolist() == [[0.75, 1 / 3], [0.25, 2 / 3], [0.5, 0.5], [0.5, 0.5]]
    assert table.lookup(np.array([0.0, 7.0])).tolist() == [[0.75, 1 / 3], [0.5, 0.5]]


@given(st.floats(0, 20))
def test_cost_matched_random_costs_what_was_asked_within_what_is_possible(target):
    cost, quality = np.array([2.0, 10.0, 6.0]), np.array([0.5, 0.9, 0.95])

    mixed = baselines.cost_matched_random(3, cost, quality, target)

    assert np.allclose(mixed.sum(axis=1), 1)
    assert np.allclose(mixed @ cost, min(6.0, max(2.0, target)))


def test_cost_matched_random_of_one_endpoint_is_that_endpoint():
    assert baselines.cost_matched_random(1, np.array([2.0, 3.0]), np.array([0.9, 0.5]), 2.5).tolist() == [[1.0, 0.0]]


def test_greedy_passes_over_what_has_no_prediction():
    quality = np.array([[0.9, NAN], [NAN, NAN], [0.9, 0.8]])
    cost = np.array([[1.0, 0.1], [1.0, 0.1], [1.0, 0.1]])

    assert baselines.greedy(quality, cost, 0.5, otherwise=1).tolist() == [[1, 0], [0, 1], [0, 1]]


@given(st.integers(0, 2**32 - 1), st.floats(0, 100), st.floats(0, 100))
def test_a_higher_price_never_chooses_a_dearer_prediction(seed, one, other):
    rng = np.random.default_rng(seed)
    quality, cost = rng.random((8, 4)), rng.random((8, 4))

    spent = [(baselines.greedy(quality, cost, price) * cost).sum(axis=1) for price in sorted((one, other))]

    assert (spent[1] <= spent[0] + 1e-12).all()
