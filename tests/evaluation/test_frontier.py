import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.errors import EvidenceError
from fairlead.evaluation import frontier
from fairlead.evaluation.frontier import Frontier

points = st.lists(st.tuples(st.floats(0.001, 100), st.floats(0, 1)), min_size=1, max_size=30)


@given(points)
def test_the_frontier_is_above_every_point_and_never_falls(drawn):
    cost, quality = np.array(drawn).T

    hull = Frontier.of(cost, quality)

    assert (hull.quality_at(cost) >= quality - 1e-9).all()
    assert (np.diff(hull.cost) > 0).all()
    assert (np.diff(hull.quality) > 0).all()


@given(points)
def test_each_dollar_buys_less_than_the_one_before(drawn):
    hull = Frontier.of(*np.array(drawn).T)

    slopes = np.diff(hull.quality) / np.diff(hull.cost)

    assert (np.diff(slopes) <= 1e-9 * np.abs(slopes[1:])).all()


@given(points, st.randoms(use_true_random=False))
def test_the_order_of_points_does_not_matter(drawn, random):
    shuffled = list(drawn)
    random.shuffle(shuffled)

    one, other = Frontier.of(*np.array(drawn).T), Frontier.of(*np.array(shuffled).T)

    assert one.cost.tolist() == other.cost.tolist()


def test_mean_height_is_the_area_over_the_range():
    hull = Frontier.of(np.array([1.0, 2.0, 4.0]), np.array([0.4, 0.8, 0.9]))

    assert hull.mean_height(1.0, 2.0) == pytest.approx(0.6)
    assert hull.mean_height(1.0, 6.0) == pytest.approx((0.6 + 2 * 0.85 + 2 * 0.9) / 5)
    assert hull.mean_height(2.0, 2.0) == pytest.approx(0.8)


def test_nothing_is_cheaper_than_the_cheapest_and_nothing_better_than_the_best():
    hull = Frontier.of(np.array([1.0, 2.0]), np.array([0.4, 0.8]))

    assert np.isnan(hull.quality_at(np.array([0.5])))
    assert np.isnan(hull.cost_of(0.81))
    assert hull.cost_of(0.6) == pytest.approx(1.5)
    assert hull.cost_of(0.1) == 1.0


def test_areas_read_a_router_beside_the_zero_router():
    single_cost, single_quality = np.array([1.0, 3.0, 5.0]), np.array([0.5, 0.9, 0.7])

    areas = frontier.areas(np.array([2.0]), np.array([0.9]), single_cost, single_quality)

    assert areas.best_single == 1
    assert (areas.zero_aiq_b, areas.aiq_b) == pytest.approx((0.7, (0.7 + 0.9) / 2))
    assert (areas.zero_aiq, areas.aiq) == pytest.approx(((0.7 + 0.9) / 2, (0.7 + 3 * 0.9) / 4))
    assert areas.saving_at == pytest.approx({"95%": 1 - 1.8875 / 3, "99%": 1 - 1.9775 / 3, "100%": 1 - 2 / 3})


def test_a_router_that_knows_nothing_reads_as_the_zero_router():
    single_cost, single_quality = np.array([1.0, 2.0, 5.0]), np.array([0.5, 0.6, 0.9])

    areas = frontier.areas(single_cost, single_quality, single_cost, single_quality)

    assert (areas.aiq, areas.aiq_b) == (areas.zero_aiq, areas.zero_aiq_b)
    assert areas.saving_at["100%"] == 0.0


def test_a_quality_never_reached_saves_nothing_one_could_name():
    areas = frontier.areas(np.array([1.0]), np.array([0.5]), np.array([1.0, 2.0]), np.array([0.5, 0.9]))

    assert areas.saving_at == {"95%": None, "99%": None, "100%": None}


def test_the_cheaper_of_two_equally_good_singles_is_the_best():
    assert frontier.areas(np.array([]), np.array([]), np.array([3.0, 2.0]), np.array([0.9, 0.9])).best_single == 1


@pytest.mark.parametrize(
    ("cost", "quality", "message"),
    [([1.0], [0.5, 0.6], "a cost and a quality a point"), ([], [], "a point"), ([np.nan], [0.5], "without a price")],
)
def test_unknown_points_are_refused(cost, quality, message):
    with pytest.raises(EvidenceError, match=message):
        Frontier.of(np.array(cost), np.array(quality))
