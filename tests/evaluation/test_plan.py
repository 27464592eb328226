import numpy as np
import pytest

from fairlead.evaluation import overlap
from fairlead.evaluation.plan import explorations

ENDS = ("cheap", "middle", "dear", "odd")
N = 4000
RNG = np.random.default_rng(0)
QUALITY = np.clip(np.array([0.5, 0.6, 0.8, 0.2]) + RNG.normal(0, 0.05, (N, 4)), 0, 1)
COST = np.tile([0.001, 0.002, 0.01, 0.004], (N, 1))
NOW = np.eye(4)[np.zeros(N, dtype=int)]
POLICY = np.eye(4)[RNG.integers(1, 3, N)]


def test_a_log_drawn_as_planned_is_worth_what_the_plan_says():
    for way in explorations(POLICY, NOW, QUALITY, COST, ENDS, a_day=500.0):
        if way.kind == "canary":
            continue
        even = np.full(POLICY.shape, 0.25)
        top = np.zeros(POLICY.shape)
        np.put_along_axis(top, np.argsort(-(QUALITY + 10 * POLICY), axis=1)[:, :3], np.array([0.6, 0.25, 0.15]), axis=1)
        drawn = (1 - way.share) * NOW + way.share * (top if way.kind == "boltzmann" else even)
        rng = np.random.default_rng(1)
        at = rng.integers(0, N, 20 * way.requests)
        action = np.minimum((rng.random(len(at))[:, None] > drawn[at].cumsum(axis=1)).sum(axis=1), 3)
        weight = POLICY[at, action] / drawn[at, action]

        assert overlap.effective_sample_size(weight) / 20 == pytest.approx(140, rel=0.15)
        assert way.days == pytest.approx(way.requests / 500, abs=0.1)


def test_exploring_what_the_policy_likes_takes_fewer_requests_than_exploring_all():
    ways = {way.kind: way for way in explorations(POLICY, NOW, QUALITY, COST, ENDS, None)}

    assert set(ways) == {"boltzmann", "uniform", "canary"}
    assert ways["boltzmann"].requests * ways["boltzmann"].share < ways["uniform"].requests * ways["uniform"].share
    assert "odd" not in ways["canary"].endpoints
    assert all(way.days is None and way.extra_usd > 0 for way in ways.values())


def test_without_prices_the_plan_has_no_dollars():
    ways = explorations(POLICY, NOW, QUALITY, np.full(COST.shape, np.nan), ENDS, 100.0)

    assert ways
    assert {way.extra_usd for way in ways} == {None}
