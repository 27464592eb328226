import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.training import tables

S = tables.STRENGTH


def test_a_cell_without_rows_falls_back_on_its_endpoint_and_route() -> None:
    value = np.array([1.0] * 50 + [0.0] * 50)
    route = np.array([0.0] * 100)
    endpoint = np.array([0] * 50 + [1] * 50)

    table = tables.fit(value, route, endpoint, (3, 2))

    by_endpoint = 0.5 * 50 / (50 + S)
    np.testing.assert_allclose(table[1:], np.tile([0.5 + by_endpoint, 0.5 - by_endpoint], (2, 1)))


def test_one_row_moves_its_cell_less_than_many_do() -> None:
    few = tables.fit(np.array([0.0] * 60 + [1.0]), np.array([0.0] * 60 + [1.0]), np.zeros(61, dtype=int), (3, 1))
    many = tables.fit(np.array([0.0] * 60 + [1.0] * 60), np.repeat([0.0, 1.0], 60), np.zeros(120, dtype=int), (3, 1))

    assert 0 < few[1, 0] < 0.35
    assert 0.9 < many[1, 0] < 1


def test_values_nobody_saw_are_left_out_and_unknown_routes_count_for_the_endpoint() -> None:
    table = tables.fit(np.array([1.0, np.nan, 1.0]), np.array([0.0, 0.0, np.nan]), np.zeros(3, dtype=int), (2, 1))

    np.testing.assert_allclose(table, [[1.0], [1.0]])


def test_nothing_seen_gives_zeros() -> None:
    table = tables.fit(np.zeros(0), np.zeros(0), np.zeros(0, dtype=int), (3, 2))

    np.testing.assert_array_equal(table, np.zeros((3, 2)))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 39), st.floats(-100, 100))
def test_no_row_is_predicted_from_its_own_fold(seed: int, row: int, other: float) -> None:
    rng = np.random.default_rng(seed)
    value, route = rng.normal(size=40), rng.integers(0, 3, 40).astype(float)
    endpoint, fold = rng.integers(0, 2, 40), rng.integers(0, 4, 40)
    changed = value.copy()
    changed[row] = other

    before = tables.crossfit(value, route, endpoint, (4, 2), fold)
    after = tables.crossfit(changed, route, endpoint, (4, 2), fold)

    same = fold == fold[row]
    np.testing.assert_array_equal(before[same], after[same])


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60))
def test_shares_stay_near_shares(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    value = (rng.random(n) < 0.5).astype(float)

    table = tables.fit(value, rng.integers(0, 3, n).astype(float), rng.integers(0, 2, n), (4, 2))

    assert np.isfinite(table).all()
    assert ((table > -1) & (table < 2)).all()
