from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from fairlead.errors import ModelError
from fairlead.training.demand import budget, forecast, gate, model
from fairlead.training.demand.plan import Plan
from fairlead.training.demand.windows import STEP, Series, Windows

START = datetime(2026, 10, 5, tzinfo=UTC)
PLAN = Plan(method="forecast", name="demand")
SERIES = (Series("total", "", "requests"), Series("total", "", "tokens"), Series("total", "", "usd"))


def _windows(days: int, seed: int = 0) -> Windows:
    rng = np.random.default_rng(seed)
    hour = np.arange(144 * days) % 144 / 144 * 2 * np.pi
    requests = rng.poisson(20 * (1.5 + np.sin(hour))).astype(np.float64)
    return Windows(START, SERIES, np.stack([requests, 500 * requests, 0.01 * requests], axis=1))


def test_a_predictor_is_read_as_it_was_written(tmp_path):
    fitted = model.fit(_windows(4), PLAN)

    model.write(fitted, tmp_path)
    again = model.read(tmp_path)

    assert (again.series, again.trained_until, again.metrics) == (fitted.series, fitted.trained_until, fitted.metrics)
    np.testing.assert_array_equal(again.states["1h"].losses, fitted.states["1h"].losses)
    np.testing.assert_array_equal(again.states["24h"].bounds.high, fitted.states["24h"].bounds.high)


def test_a_predictor_that_is_damaged_says_train_again(tmp_path):
    model.write(model.fit(_windows(3), PLAN), tmp_path)
    (tmp_path / "demand.json").write_text("{}")

    with pytest.raises(ModelError, match="train again"):
        model.read(tmp_path)


def test_the_next_hour_lies_within_its_interval_nine_times_in_ten():
    whole = _windows(12)
    fitted = model.fit(Windows(START, SERIES, whole.values[: 10 * 144]), PLAN)
    hits = []
    for at in range(10 * 144, 12 * 144 - 6, 3):
        seen = Windows(START, SERIES, whole.values[:at])
        row = forecast.ahead(fitted, seen).row(by_predicate=(_hour()), named=True)
        hits.append(row["low"] <= whole.values[at : at + 6, 0].sum() <= row["high"])

    assert np.mean(hits) == pytest.approx(0.9, abs=0.06)
    assert row["start"] == START + (12 * 144 - 9) * STEP
    assert row["until"] - row["start"] == timedelta(hours=1)


def test_tokens_and_dollars_follow_the_requests_that_cause_them():
    made = forecast.ahead(model.fit(_windows(8), PLAN), _windows(8)).filter(horizon="24h", kind="total")
    expected = dict(zip(made["measure"], made["expected"], strict=True))

    assert expected["tokens"] == pytest.approx(500 * expected["requests"], rel=1e-6)
    assert expected["requests"] == pytest.approx(144 * 30, rel=0.05)


def test_a_series_that_stopped_is_forecast_towards_nothing_and_a_new_one_not_at_all():
    fitted = model.fit(_windows(8), PLAN)
    other = Windows(START, (*SERIES[:2], Series("team", "new", "usd")), _windows(8).values)

    made = forecast.ahead(fitted, other)

    assert made.filter(kind="team").is_empty()
    assert made.filter(measure="usd", horizon="10m")["expected"].item() == 0.0


def test_a_newer_fit_replaces_the_champion_and_says_how_they_compare():
    champion = model.fit(Windows(START, SERIES, _windows(14).values[: 9 * 144]), PLAN)
    candidate = model.fit(_windows(14), PLAN)

    promote, reason = gate.judge(candidate, champion, _windows(14))

    assert promote
    assert reason.startswith("WAPE as a share of the champion's: ")
    assert "| usd_1h | 0." in gate.card(candidate, reason)


@pytest.mark.parametrize("horizon", ["7m", "0m", "8d", "soon"])
def test_a_horizon_that_is_not_in_whole_windows_is_refused(horizon):
    with pytest.raises(ModelError, match="whole windows of ten minutes"):
        Plan(method="forecast", horizons=(horizon,)).spans()


def test_the_usual_hours_of_a_day_are_shares_for_a_budget_to_plan_by():
    shares = budget.shares(_windows(7))

    assert sum(shares) == pytest.approx(1)
    assert int(np.argmax(shares)) in (5, 6)
    assert max(shares) / min(shares) == pytest.approx(5, rel=0.3)


def test_hours_that_were_seen_once_or_cost_nothing_are_not_usual():
    free = Windows(START, SERIES, np.zeros((144 * 7, 3)))

    assert (budget.shares(_windows(1)), budget.shares(free)) == ([], [])


def test_a_month_that_goes_on_as_it_was_spends_its_days():
    month = datetime(2026, 10, 1, tzinfo=UTC)
    windows = _windows(14)
    next_day = float(windows.values[-144:, 2].sum())

    coming = budget._coming(windows, month, next_day)

    assert len(coming) == (31 - 18) * 144
    assert coming.sum() == pytest.approx(13 * next_day, rel=0.05)
    assert budget._gone(windows.end, 10.0, coming, 10.0 + 2.5 * next_day) - windows.end == pytest.approx(
        timedelta(days=2.5), abs=timedelta(hours=6)
    )
    assert budget._gone(windows.end, 10.0, coming, 1e6) is None


def _hour():
    import polars as pl

    return (pl.col("horizon") == "1h") & (pl.col("measure") == "requests")
