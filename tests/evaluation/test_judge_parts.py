"""Quantiles, bounds, cross-fitting and groups: the judge's smaller parts, each against a known truth."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.errors import EvidenceError
from fairlead.evaluation import estimators, quantiles, sensitivity
from fairlead.evaluation.crossfit import crossfitted
from fairlead.evaluation.estimators import Logged
from fairlead.evaluation.intervals import clustered, mean, normal


def drawn(rng: np.random.Generator, n: int) -> tuple[Any, ...]:
    """Two endpoints, one slow; the log draws them three to one, the policy one to three."""
    action = (rng.random(n) < 0.25).astype(int)
    latency = rng.exponential(1.0, n) * np.where(action == 1, 4.0, 1.0)
    return action, latency, np.where(action == 1, 0.25, 0.75), np.where(action == 1, 0.75, 0.25)


def test_the_interval_of_a_tail_latency_holds_the_truth():
    rng = np.random.default_rng(0)
    slow = rng.random(2_000_000) < 0.75
    truth = float(np.quantile(rng.exponential(1.0, len(slow)) * np.where(slow, 4.0, 1.0), 0.95))
    held = []
    for seed in range(200):
        _, latency, propensity, target = drawn(np.random.default_rng([1, seed]), 2000)
        found = quantiles.quantile(Logged(reward=latency, propensity=propensity, target=target), 0.95)
        held.append(found.low <= truth <= found.high)

    assert 0.9 <= np.mean(held) <= 0.99


def test_a_share_over_a_limit_is_that_of_the_policy_not_of_the_log():
    _, latency, propensity, target = drawn(np.random.default_rng(2), 20_000)
    found = quantiles.share_over(Logged(reward=latency, propensity=propensity, target=target), 4.0)

    assert found.value == pytest.approx(0.75 * np.exp(-1) + 0.25 * np.exp(-4), abs=0.02)
    with pytest.raises(EvidenceError, match="lies between 0 and 1"):
        quantiles.quantile(Logged(reward=latency, propensity=propensity, target=target), 1.0)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 200))
def test_bounds_widen_with_doubt_and_hold_every_weighing_within_it(seed: int, n: int):
    rng = np.random.default_rng(seed)
    reward, target, guessed = rng.random(n), rng.random(n), rng.uniform(0.05, 1, n)

    found = sensitivity.bounds(reward, target, guessed)

    plain = np.average(reward, weights=target / guessed)
    assert found[0].low == pytest.approx(plain)
    assert found[0].high == pytest.approx(plain)
    for one in found:
        factor = one.gamma ** rng.uniform(-1, 1, n)
        true = np.average(reward, weights=target * (1 + (1 / guessed - 1) * factor))
        assert one.low - 1e-9 <= true <= one.high + 1e-9
    assert all(a.low >= b.low - 1e-12 and a.high <= b.high + 1e-12 for a, b in pairwise(found))


def test_guessed_propensities_are_the_shares_of_each_route():
    route, endpoint = np.repeat([0.0, 1.0], 1000), np.concatenate([np.arange(1000) % 4 == 0, np.arange(1000) % 2 == 0])

    guessed = sensitivity.guessed_propensities(endpoint.astype(int), route, 2)

    assert guessed[0] == pytest.approx(0.25, abs=0.01)
    assert guessed[-1] == pytest.approx(0.5, abs=0.01)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_rows_own_outcome_never_moves_its_own_prediction(seed: int):
    rng = np.random.default_rng(seed)
    predicted, reward = rng.random((40, 3)), rng.random(40)
    endpoint, route, group = rng.integers(0, 3, 40), rng.integers(0, 2, 40).astype(float), np.arange(40) // 2
    row = int(rng.integers(0, 40))
    changed = reward.copy()
    changed[row] += 5

    before, after = (crossfitted(predicted, one, endpoint, route, group) for one in (reward, changed))

    assert np.array_equal(before[group == group[row]], after[group == group[row]])
    assert not np.array_equal(before, after)


def test_cross_fitting_narrows_the_interval_where_the_world_has_moved_on():
    rng = np.random.default_rng(5)
    n = 4000
    action, propensity = (rng.random(n) < 0.5).astype(int), np.full(n, 0.5)
    predicted = np.tile([0.2, 0.9], (n, 1))
    reward = np.where(action == 1, 0.4, 0.7) + rng.normal(0, 0.05, n)
    fitted = crossfitted(predicted, reward, action, np.full(n, np.nan), np.arange(n))
    width = {}
    for name, model in (("plain", predicted), ("fitted", fitted)):
        log = Logged(
            reward=reward,
            propensity=propensity,
            target=(action == 1).astype(float),
            predicted_logged=model[np.arange(n), action],
            predicted_target=model[:, 1],
        )
        found = estimators.doubly_robust(log).estimate()
        width[name] = found.high - found.low
        assert found.low <= 0.4 <= found.high

    assert width["fitted"] < width["plain"] / 3


def test_groups_of_uneven_size_cover_too():
    held = []
    for seed in range(300):
        rng = np.random.default_rng([7, seed])
        size = rng.integers(1, 40, 150)
        group = np.repeat(np.arange(150), size)
        values = 5 + rng.normal(0, 1, 150)[group] + rng.normal(0, 1, len(group))
        found = clustered(mean("cost_usd", values), group)
        assert found.value == pytest.approx(values.mean())
        held.append(found.estimate().low <= 5 <= found.estimate().high)
        sizes_alone = clustered(mean("cost_usd", np.full(len(group), 5.0)), group)
        assert sizes_alone.standard_error == pytest.approx(0, abs=1e-12)

    assert 0.91 <= np.mean(held) <= 0.985


def test_requests_of_one_conversation_count_as_one():
    held = {"requests": [], "conversations": []}
    for seed in range(300):
        rng = np.random.default_rng([6, seed])
        group = np.repeat(np.arange(100), 10)
        statistic = mean("quality", rng.normal(0, 1, 100)[group] + rng.normal(0, 0.3, 1000))
        for name, one in (("requests", statistic), ("conversations", clustered(statistic, group))):
            found = one.estimate()
            held[name].append(found.low <= 0 <= found.high)

    assert np.mean(held["requests"]) < 0.6
    assert np.mean(held["conversations"]) > 0.92
    one = mean("quality", np.arange(5.0))
    assert normal(clustered(one, np.array(list("abcde")))) == pytest.approx(normal(one))
    with pytest.raises(EvidenceError, match="give one a request"):
        clustered(mean("quality", np.ones(3)), np.zeros(2))
