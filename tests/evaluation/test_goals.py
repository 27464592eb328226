import pytest

from fairlead.errors import UsageError
from fairlead.evaluation.goals import Goal, goal_of


def test_options_come_before_the_projects_table():
    found = goal_of({"goal": "margin", "margin_points": 1.0, "confidence": 0.9}, margin_points=0.25)

    assert found == Goal(goal="margin", margin_points=0.25, confidence=0.9)
    assert (found.margin, found.sure) == (0.0025, "90 % confidence")


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ({"goal": "cheap"}, "no goal named 'cheap'; there are status_quo, best_single, floor, margin, budget, latency"),
        ({"goal": "budget"}, "the goal 'budget' needs usd_per_1000"),
        ({"goal": "latency"}, "the goal 'latency' needs p95_s"),
        ({"goal": "budget", "usd_per_1000": -1.0}, "usd_per_1000 must be a number from 1e-09 to inf, not -1.0"),
        ({"confidence": 1.5}, "confidence must be a number from 0.5 to 0.9999, not 1.5"),
        ({"margin_points": "half"}, r"\[tool.fairlead.policy\]: Expected `float`, got `str` - at `\$.margin_points`"),
        ({"margn": 1}, r"\[tool.fairlead.policy\]: unknown key 'margn'; known are goal, floor_share"),
    ],
)
def test_a_goal_that_cannot_be_says_which_key_and_what_it_may_be(table, fault):
    with pytest.raises(UsageError, match=fault):
        goal_of(table)
