"""Better params are searched for, and have to prove themselves on prompts that no trial saw."""

import numpy as np
import pytest
from msgspec.structs import replace

from fairlead.errors import UsageError
from fairlead.training.search import search
from fairlead.training.spec import Gate, HeadPlan, Params, Spec

QUALITY = HeadPlan(name="quality", target="quality")
LATENCY = HeadPlan(name="latency_s", target="duration_s", alpha=0.5)
BLUNT = Params(rounds=20, num_leaves=2, learning_rate=0.01)


def coin(rng, words, route, endpoint):
    return rng.random(len(words)) < np.where(endpoint == 0, 0.5, 0.7)


def by_words(rng, words, route, endpoint):
    return rng.random(len(words)) < 1 / (1 + np.exp(-3 * words))


def spec(*heads, params=BLUNT):
    return Spec(
        features=["request_shape.*"], heads=list(heads), gate=Gate(metric="pinball"), params=params, name="cost"
    )


def test_params_that_are_surely_better_are_taken(make_frame):
    told = []

    found = search(
        make_frame(2000, outcome=by_words),
        spec(QUALITY),
        seconds=600,
        most_trials=4,
        progress=lambda what, share: told.append((what, share)),
    )

    assert found.better
    assert found.gain_low > 0
    assert found.gain > 0.05
    assert found.reason.startswith("the best of 4 trials: +")
    assert found.params != BLUNT
    assert (found.params.rounds, len(found.trials)) == (20, 4)
    assert [what for what, _ in told] == [f"cost: trial {number}" for number in (1, 2, 3, 4)]


def test_where_nothing_can_be_learned_the_declared_params_stay(make_frame):
    found = search(make_frame(1200, outcome=coin), spec(QUALITY), seconds=600, most_trials=3)

    assert not found.better
    assert found.params == BLUNT


def test_equal_seeds_try_the_same(make_frame):
    one, two, other = (
        search(make_frame(600), spec(LATENCY), seconds=600, most_trials=2, seed=seed) for seed in (1, 1, 2)
    )

    assert one == two
    assert [trial.params for trial in one.trials] != [trial.params for trial in other.trials]


def test_time_that_is_up_before_the_first_trial_changes_nothing(make_frame):
    found = search(make_frame(600), spec(LATENCY), seconds=1e-9)

    assert (found.params, found.better, found.trials) == (BLUNT, False, [])
    assert found.reason == "no trial was better than the declared params"


def test_a_predictor_without_forests_cannot_be_searched(make_frame):
    with pytest.raises(UsageError, match="cost: expected a predictor with forests and more than 0 seconds"):
        search(make_frame(600), replace(spec(LATENCY), method="rates"), seconds=1)
