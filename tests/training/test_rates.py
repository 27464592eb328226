from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.training import rates

HOUR = 3600.0
GROUPS = [np.array([0, 0, 1]), np.array([0, 1, 0]), np.zeros(3, int)]


def calls(rows: int, seed: int = 0) -> tuple[Any, Any, Any]:
    """Calls over ten days at three endpoints that fail 1, 2 and 10 times in 100; the last is down on day five."""
    rng = np.random.default_rng(seed)
    begun, endpoint = np.sort(rng.random(rows)) * 240 * HOUR, rng.integers(0, 3, rows)
    chance = np.array([0.01, 0.02, 0.10])[endpoint]
    down = (endpoint == 2) & (begun > 120 * HOUR) & (begun < 126 * HOUR)
    return (rng.random(rows) < np.where(down, 0.8, chance)).astype(float), begun, endpoint


def nats(failed: Any, logit: Any) -> float:
    return float(np.mean(np.logaddexp(0, logit) - failed * logit))


def test_rates_beat_the_share_of_all_calls_and_of_each_endpoint():
    failed, begun, endpoint = calls(30_000)

    fitted = rates.fit(failed, begun, begun, endpoint, GROUPS, 2 * HOUR)
    known = fitted.logit[rates.state_at(fitted, begun), endpoint]

    share = np.array([failed[endpoint == k].mean() for k in range(3)])[endpoint]
    of_all, of_each = (nats(failed, np.log(one / (1 - one))) for one in (failed.mean() * np.ones(len(failed)), share))
    assert of_all == pytest.approx(0.193, abs=0.01)
    assert of_each == pytest.approx(0.169, abs=0.01)
    assert nats(failed, known) < of_each - 0.003  # the shares know the whole log, but not when the outage was


def test_rates_as_of_now_are_the_shares_once_there_are_many_calls():
    failed, begun, endpoint = calls(30_000)

    now = 1 / (1 + np.exp(-rates.fit(failed, begun, begun, endpoint, GROUPS, 24 * HOUR).now))

    assert now == pytest.approx([0.01, 0.02, 0.10], abs=0.015)


def test_an_endpoint_without_calls_fails_as_often_as_its_provider():
    failed, begun, endpoint = calls(20_000)
    groups = [np.array([0, 1, 2, 2]), np.array([0, 1, 2, 3]), np.zeros(4, int)]  # the fourth was never called

    now = 1 / (1 + np.exp(-rates.fit(failed, begun, begun, endpoint, groups, 24 * HOUR).now))

    assert now[3] == pytest.approx(now[2], rel=0.35)
    assert now[3] > 2 * now[1]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(1, 200))
def test_what_is_known_at_a_moment_rests_on_calls_that_had_ended(seed: int, hours: float):
    rng = np.random.default_rng(seed)
    begun, endpoint = np.sort(rng.random(400)) * 240 * HOUR, rng.integers(0, 3, 400)
    ended, failed = begun + rng.random(400) * HOUR, (rng.random(400) < 0.2).astype(float)
    past = begun < hours * HOUR
    later = np.where(ended < hours * HOUR, failed, 1 - failed)
    strengths = (10.0,) * 6

    def at(outcome: Any) -> Any:
        steady = rates.fit(outcome, begun, ended, endpoint, GROUPS, 6 * HOUR, strengths=strengths)
        return steady.logit[rates.state_at(steady, begun), endpoint][past]

    assert at(failed).tolist() == at(later).tolist()
