import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.errors import EvidenceError
from fairlead.evaluation import baselines, operating_point
from fairlead.evaluation.operating_point import Training

NAN = np.nan


def training(seed=0, n=1500, gap=0.1, noise=0.05):
    """Three endpoints at 1, 3 and 10 cents; half of the requests are easy, and the cheap one does those as well."""
    rng = np.random.default_rng(seed)
    easy = rng.random(n) < 0.5
    chance = np.column_stack([np.where(easy, 0.9, 0.9 - 4 * gap), np.where(easy, 0.9, 0.9 - gap), np.full(n, 0.9)])
    cost = np.tile([0.01, 0.03, 0.1], (n, 1))
    return Training(
        quality=chance + rng.normal(0, noise, (n, 3)),
        cost_usd=cost,
        outcome_quality=(rng.random((n, 3)) < chance).astype(float),
        outcome_cost_usd=cost * rng.uniform(0.5, 1.5, (n, 3)),
    )


def truth_of(point, sample, seed):
    fresh = training(seed)
    chosen = (
        baselines.single(len(fresh.quality), 3, point.best_single)
        if point.usd_price is None
        else baselines.greedy(fresh.quality, fresh.cost_usd, point.usd_price)
    )
    return (chosen * fresh.outcome_quality).sum(axis=1), (chosen * fresh.outcome_cost_usd).sum(axis=1).mean()


def test_a_floor_that_is_easy_to_keep_saves_most_of_the_cost():
    point = operating_point.at_floor(training(), floor=0.9)

    assert point.usd_price is not None
    assert point.quality > 0.9 * point.best_quality
    assert point.margin_low >= 0
    assert point.cost_usd < 0.5 * point.best_cost_usd


def test_lower_floors_never_cost_more():
    costs = [operating_point.at_floor(training(), floor=floor).cost_usd for floor in (1.0, 0.99, 0.95, 0.9)]

    assert costs == sorted(costs, reverse=True)


def test_testing_stops_at_the_first_failure():
    seen = []
    sample = training()

    def policy(price):
        seen.append(price)
        return baselines.single(1500, 3, 0 if price == 2.0 else 1)

    point = operating_point.at_floor(sample, floor=0.85, grid=np.array([3.0, 1.0, 2.0]), policy=policy)

    assert seen == [1.0, 2.0]
    assert (point.usd_price, point.tested) == (1.0, 2)


def test_where_no_price_will_do_the_best_single_is_the_answer():
    useless = training(noise=5.0)

    for point in (operating_point.at_floor(useless, floor=1.0), operating_point.no_worse(useless)):
        assert point.usd_price is None
        assert (point.quality, point.cost_usd) == (point.best_quality, point.best_cost_usd)
        assert point.reason == "no price keeps the quality asked for and costs less than the best single endpoint"


def test_the_floor_is_broken_in_at_most_its_share_of_samples():
    broken = 0
    for seed in range(120):
        sample = training(seed, n=600)
        point = operating_point.at_floor(
            sample, floor=0.98, grid=operating_point.price_grid(sample.quality, sample.cost_usd, 15)
        )
        quality, _ = truth_of(point, sample, seed + 10_000)
        broken += quality.mean() < 0.98 * 0.9 - 2 * quality.std() / np.sqrt(len(quality))

    assert broken <= 0.05 * 120


def test_no_worse_holds_the_quality_on_average_and_saves():
    change, cost = [], []
    for seed in range(40):
        point = operating_point.no_worse(training(seed, n=800))
        quality, spent = truth_of(point, None, seed + 10_000)
        change.append(quality.mean() - 0.9)
        cost.append(spent / 0.1)

    assert np.mean(change) > -0.005
    assert np.mean(cost) < 0.9


def test_more_confidence_never_chooses_a_higher_price():
    points = [operating_point.no_worse(training(3), confidence=share) for share in (0.5, 0.8, 0.95)]

    prices = [point.usd_price or 0.0 for point in points]
    assert prices == sorted(prices, reverse=True)


def test_a_margin_buys_savings():
    strict, lenient = (operating_point.no_worse(training(3), margin=margin) for margin in (0.0, 0.05))

    assert lenient.cost_usd < strict.cost_usd


def test_the_same_seed_gives_the_same_point():
    assert operating_point.no_worse(training(1), seed=7) == operating_point.no_worse(training(1), seed=7)


def test_missing_cells_are_filled_by_the_prediction_moved_by_its_mean_error():
    sample = Training(
        quality=np.array([[0.5, 0.5], [0.6, 0.5], [0.7, NAN]]),
        cost_usd=np.ones((3, 2)),
        outcome_quality=np.array([[0.6, NAN], [0.7, NAN], [NAN, NAN]]),
        outcome_cost_usd=np.ones((3, 2)),
    )

    filled = sample.completed().outcome_quality

    assert filled[:, 0] == pytest.approx([0.6, 0.7, 0.8])
    assert np.isnan(filled[:, 1]).all()


def test_an_endpoint_that_nobody_saw_or_priced_is_never_chosen():
    whole = training()
    shape = (1500, 1)
    wider = Training(
        quality=np.hstack([whole.quality, np.ones(shape), np.ones(shape)]),
        cost_usd=np.hstack([whole.cost_usd, np.full(shape, 0.001), np.full(shape, NAN)]),
        outcome_quality=np.hstack([whole.outcome_quality, np.full(shape, NAN), np.ones(shape)]),
        outcome_cost_usd=np.hstack([whole.outcome_cost_usd, np.full(shape, 0.001), np.full(shape, NAN)]),
    )

    assert operating_point.at_floor(wider) == operating_point.at_floor(whole)
    assert operating_point.no_worse(wider) == operating_point.no_worse(whole)


def test_a_few_missing_outcomes_hardly_move_the_point():
    whole = training()
    holes = np.random.default_rng(0).random(whole.quality.shape) < 0.1
    fewer = Training(
        quality=whole.quality,
        cost_usd=whole.cost_usd,
        outcome_quality=np.where(holes, NAN, whole.outcome_quality),
        outcome_cost_usd=np.where(holes, NAN, whole.outcome_cost_usd),
    )

    one, other = operating_point.at_floor(whole, floor=0.95), operating_point.at_floor(fewer, floor=0.95)

    assert other.quality == pytest.approx(one.quality, abs=0.02)
    assert other.cost_usd == pytest.approx(one.cost_usd, rel=0.25)


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_the_grid_starts_at_quality_alone_and_ends_where_nearly_all_is_cheapest(seed):
    rng = np.random.default_rng(seed)
    quality, cost = rng.random((200, 4)), rng.random((200, 4))

    prices = operating_point.price_grid(quality, cost)
    last = baselines.greedy(quality, cost, float(prices[-1])).argmax(axis=1)

    assert prices[0] == 0
    assert (np.diff(prices) > 0).all()
    assert (last == cost.argmin(axis=1)).mean() > 0.7


def test_where_the_best_is_the_cheapest_there_is_nothing_to_trade():
    assert operating_point.price_grid(np.array([[0.9, 0.1]]), np.array([[1.0, 2.0]])).tolist() == [0.0]


def test_more_requests_than_groups_give_much_the_same_point(monkeypatch):
    fine = operating_point.no_worse(training(3))

    monkeypatch.setattr(operating_point, "_GROUPS", 300)
    coarse = operating_point.no_worse(training(3))

    assert coarse.cost_usd == pytest.approx(fine.cost_usd, rel=0.1)


def test_arrays_that_do_not_fit_are_refused():
    with pytest.raises(EvidenceError, match="requests, endpoints"):
        Training(
            quality=np.ones((3, 2)),
            cost_usd=np.ones((3, 2)),
            outcome_quality=np.ones((3, 1)),
            outcome_cost_usd=np.ones((3, 2)),
        )


def test_a_grid_must_hold_prices():
    with pytest.raises(EvidenceError, match="at least one price"):
        operating_point.at_floor(training(), grid=np.array([-1.0]))


def test_a_policy_may_not_choose_what_cannot_be_valued():
    sample = training()
    blind = Training(
        quality=sample.quality,
        cost_usd=sample.cost_usd,
        outcome_quality=np.where([True, False, False], NAN, sample.outcome_quality),
        outcome_cost_usd=sample.outcome_cost_usd,
    )

    with pytest.raises(EvidenceError, match="make it ineligible"):
        operating_point.at_floor(blind, policy=lambda price: baselines.single(1500, 3, 0))
