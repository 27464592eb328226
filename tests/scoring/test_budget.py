import math
from datetime import UTC, datetime

import numpy as np
import pytest

from fairlead.errors import UsageError
from fairlead.scoring.budget import Budget

JUNE = datetime(2026, 6, 1, tzinfo=UTC).timestamp()
HOUR, DAY = 3600.0, 86400.0


class Clock:
    def __init__(self, now=JUNE):
        self.now = now

    def __call__(self):
        return self.now


def spend(budget, clock, hours, usd_an_hour):
    for _ in range(round(hours * 12)):
        clock.now += 150
        budget.observe(usd_an_hour / 12)
        clock.now += 150
    return budget.pace


def test_spending_as_planned_leaves_the_price_alone():
    clock = Clock()
    budget = Budget(720, reserve=0, clock=clock)

    assert spend(budget, clock, 48, 1.0) == pytest.approx(1.0, abs=0.02)
    assert budget.spent_usd == pytest.approx(48)
    assert budget.planned_usd == pytest.approx(48)


def test_money_gets_dearer_when_the_budget_runs_ahead_by_at_most_a_fifth_an_hour():
    clock = Clock()
    budget = Budget(720, clock=clock)

    paces = [1.0, *(spend(budget, clock, 1, 100.0) for _ in range(10))]

    steps = np.diff(np.log(paces))
    assert (steps <= math.log(1.2) + 1e-9).all()
    assert steps[2:] == pytest.approx(math.log(1.2))


def test_money_gets_cheaper_when_less_is_spent_than_planned_but_not_without_bound():
    clock = Clock()
    budget = Budget(720, bounds=(0.5, 10.0), clock=clock)

    falling = spend(budget, clock, 3, 0.5)

    assert 0.5 < falling < 1
    assert spend(budget, clock, 48, 0.0) == pytest.approx(0.5)
    assert spend(budget, clock, 200, 50.0) == pytest.approx(10.0)


def test_an_overspent_day_is_repaid_over_the_rest_of_the_month():
    clock = Clock()
    budget = Budget(720, reserve=0, rate=0.2, clock=clock)
    spend(budget, clock, 24, 10.0)  # a third of the month's money on the first day
    before = budget.pace

    assert spend(budget, clock, 24, 1.0) > before  # what was planned at first is now too much


def test_the_plan_follows_the_usual_hours_of_the_week():
    clock = Clock(JUNE + 12 * HOUR)  # a Monday
    nights = Budget(720, demand=[1.0] * 12 + [0.0] * 12, reserve=0, clock=clock)
    mondays = Budget(500, demand=[1.0] * 24 + [0.0] * 144, reserve=0, clock=clock)

    assert nights.planned_usd == pytest.approx(24)
    assert mondays.planned_usd == pytest.approx(50)


def test_a_new_month_starts_with_nothing_spent_and_the_pace_that_it_has():
    clock = Clock(JUNE + 29 * DAY)
    budget = Budget(720, clock=clock)
    pace = spend(budget, clock, 12, 40.0)
    clock.now = JUNE + 30 * DAY + 60

    assert budget.pace == pace > 2
    assert budget.spent_usd == 0


def test_after_a_silence_the_pace_is_as_it_was():
    clock = Clock()
    budget = Budget(720, clock=clock)
    pace = spend(budget, clock, 3, 9.0)
    clock.now += 5 * DAY

    assert budget.pace == pace


def test_what_is_no_amount_is_not_counted():
    budget = Budget(720, clock=Clock())

    for amount in (None, math.nan, math.inf, -1.0, 2.0):
        budget.observe(amount)

    assert budget.spent_usd == 2.0


def test_what_was_counted_survives_a_restart_and_another_month_only_keeps_the_pace():
    clock = Clock()
    budget = Budget(720, clock=clock)
    pace = spend(budget, clock, 6, 5.0)
    again, later = Budget(720, clock=clock), Budget(720, clock=Clock(JUNE + 31 * DAY))

    again.restore(budget.state())
    later.restore(budget.state())

    assert (again.pace, again.spent_usd) == (pace, budget.spent_usd)
    assert (later.pace, later.spent_usd) == (pace, 0.0)
    assert spend(again, clock, 1, 5.0) > pace


@pytest.mark.parametrize("state", [{}, {"budget": np.zeros(3)}, {"budget": np.full(16, np.nan)}])
def test_a_state_that_does_not_fit_is_refused(state):
    with pytest.raises(UsageError, match="budget: the state must be 16 finite numbers under 'budget'"):
        Budget(720, clock=Clock()).restore(state)


@pytest.mark.parametrize(
    ("parameters", "fault"),
    [
        ({"usd": 0}, "usd must be a number over 0, not 0"),
        ({"usd": "much"}, "usd must be a number over 0, not 'much'"),
        ({"rate": math.nan}, "rate must be a number over 0"),
        ({"reserve": 1}, "reserve must be a share from 0 to under 1, not 1"),
        ({"bounds": (2, 3)}, "bounds must be a pace from 0 to 1 and one from 1 up"),
        ({"demand": [1, 2]}, "demand must be 24 or 168 shares, not 2"),
        ({"demand": [0] * 24}, "demand must be shares from 0 up, some of them over 0"),
    ],
)
def test_settings_that_cannot_be_name_themselves(parameters, fault):
    with pytest.raises(UsageError, match=rf"budget: {fault}"):
        Budget(**{"usd": 720.0, **parameters})


def month(surge=1.0, dearer=1.0, at=10, days=3):
    """Spend a month on an endpoint that is dear for the gain of it or cheap: 50 requests an hour of differing gain."""
    rng, clock = np.random.default_rng(0), Clock()
    budget, spent, quality, seen = Budget(720, clock=clock), 0.0, 0.0, 0
    for hour in range(720):
        surging = at <= hour / 24 < at + days
        for _ in range(5):
            clock.now = JUNE + HOUR * hour + 720 * _
            gain = rng.random(int(10 * (surge if surging else 1)))
            cost = 0.05 * (dearer if hour / 24 >= at else 1)
            dear = gain > 10 * budget.pace * cost
            budget.observe(float(dear.sum() * cost + (~dear).sum() * 0.001))
            spent, quality, seen = budget.spent_usd, quality + gain[dear].sum(), seen + len(gain)
    return spent / 720, quality / seen


@pytest.mark.parametrize("story", [{}, {"surge": 4.0}, {"dearer": 2.0}, {"surge": 5.0, "at": 28, "days": 2}], ids=str)
def test_a_month_never_ends_more_than_a_hundredth_above_its_budget_and_uses_it(story):
    share, quality = month(**story)

    assert 0.95 < share < 1.01
    assert quality > 0.2


def test_usual_hours_are_taken_up_in_mid_month_and_keep_spend_and_pace():
    clock = Clock()
    budget, told = Budget(720, reserve=0, clock=clock), Budget(720, demand=[1.0] * 24, reserve=0, clock=clock)
    for one in (budget, told):
        spend(one, clock, 6, 3.0)
    clock.now = JUNE + 12 * HOUR
    before = budget.state()["budget"].tolist()

    for one in (budget, told):
        one.expect([1.0] * 12 + [0.0] * 12)

    assert (round(budget.planned_usd, 6), round(told.planned_usd, 6)) == (24.0, 12.0)
    assert budget.state()["budget"].tolist() == before
    budget.expect([])  # a snapshot that does not know the hours
    assert budget.planned_usd == pytest.approx(24.0)
    with pytest.raises(UsageError, match="24 or 168"):
        budget.expect([1.0])
