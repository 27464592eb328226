import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from fairlead.training.demand import blend, intervals

DAY = 24  # windows: a short day keeps the tests short


def _daily(days: int, seed: int = 0, noise: float = 0.2) -> np.ndarray:
    rng = np.random.default_rng(seed)
    shape = 2 + np.sin(np.arange(DAY) / DAY * 2 * np.pi)
    return np.maximum(np.tile(shape, days) + rng.normal(0, noise, DAY * days), 0)[:, None]


def _wape(guess: np.ndarray, actual: np.ndarray, rows: slice) -> float:
    return float(np.abs(guess[rows] - actual[rows]).sum() / actual[rows].sum())


@settings(max_examples=20, deadline=None)
@given(
    arrays.arrays(np.float64, (150, 2), elements=st.floats(0, 1e6)),
    st.integers(60, 140),
    st.sampled_from([(1, 1), (6, 1), (6, 6), (DAY, DAY)]),
)
def test_changing_the_future_changes_no_forecast_and_no_bound(y, cut, target):
    ahead, span = target
    other = y.copy()
    other[cut:] = other[cut:] * 3 + 7

    made, again = (blend.run(one, ahead, span, day=DAY) for one in (y, other))
    bounds, bounds_again = (intervals.track(one.forecast, one.actual, ahead, 0.9) for one in (made, again))

    np.testing.assert_array_equal(made.forecast[:cut], again.forecast[:cut])
    # The first scale is that of the first windows, which are not scored; from the state on everything is as of then.
    states = [intervals.Bounds(np.full(2, 2.0), np.full(2, 2.0), np.ones(2))] * 2
    tracked = [
        intervals.track(one.forecast, one.actual, ahead, 0.9, state=state)
        for one, state in zip((made, again), states, strict=True)
    ]
    np.testing.assert_array_equal(tracked[0].high[:cut], tracked[1].high[:cut])
    assert bounds.high.shape == bounds_again.high.shape == y.shape


def test_a_daily_rhythm_is_learned_where_the_last_value_knows_nothing_of_it():
    y = _daily(20)

    made = blend.run(y, 6, 1, day=DAY)
    late = slice(10 * DAY, -6)

    assert _wape(made.forecast, made.actual, late) < 0.10
    assert _wape(blend.last_value(y, 1), made.actual, late) > 0.35


def test_a_level_that_moves_is_followed_where_yesterday_is_wrong():
    y = _daily(12) * np.repeat([1.0, 3.0], 6 * DAY)[:, None]

    made = blend.run(y, 1, 1, day=DAY)
    first_day_after = slice(6 * DAY + 2, 7 * DAY)

    assert _wape(made.forecast, made.actual, first_day_after) < 0.35
    assert _wape(blend.seasonal_naive(y, 1, 1, DAY), made.actual, first_day_after) > 0.6


def test_going_on_from_a_state_is_as_if_it_had_never_stopped():
    y = _daily(16)
    whole = blend.run(y, 6, 6, day=DAY)
    half = blend.run(y[: 10 * DAY], 6, 6, day=DAY)

    on = blend.run(y, 6, 6, day=DAY, losses=half.losses, since=10 * DAY)

    np.testing.assert_allclose(on.forecast[10 * DAY :], whole.forecast[10 * DAY :], rtol=1e-9)


@pytest.mark.parametrize("ahead", [1, 6])
def test_bounds_hold_nine_times_in_ten_though_the_noise_grows_fourfold(ahead):
    rng = np.random.default_rng(3)
    actual = 10 + rng.normal(0, np.repeat([1.0, 4.0], 1500))[:, None]
    forecast = np.full_like(actual, 10.0)
    known = np.full_like(actual, np.nan)
    known[:-ahead] = actual[ahead:]

    made = intervals.track(forecast, known, ahead, 0.9)
    rows = np.arange(300, 3000 - ahead)
    inside = (known[rows] >= made.low[rows]) & (known[rows] <= made.high[rows])

    assert inside.mean() == pytest.approx(0.9, abs=0.02)
    assert inside[-1000:].mean() == pytest.approx(0.9, abs=0.03)


def test_bounds_are_never_below_nothing():
    y = np.random.default_rng(0).poisson(0.3, (600, 1)).astype(np.float64)
    made = blend.run(y, 1, 1, day=DAY)

    tracked = intervals.track(made.forecast, made.actual, 1, 0.9)

    assert (tracked.low >= 0).all()
    assert (tracked.high >= tracked.low).all()
