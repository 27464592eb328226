import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.evaluation.simulate import policy, synthetic
from fairlead.evaluation.simulate.world import World


def world(requests: int = 60, endpoints: int = 5) -> World:
    return synthetic.make(requests, endpoints, np.random.default_rng(1))


@given(
    name=st.sampled_from(policy.LOGGING_POLICIES),
    exploration=st.floats(0, 1),
    endpoints=st.integers(2, 8),
    seed=st.integers(0, 2**32),
)
def test_rows_of_probabilities_sum_to_one_and_every_draw_is_possible(
    name: str, exploration: float, endpoints: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)

    chances = policy.probabilities(name, world(40, endpoints), exploration, rng)
    chosen = policy.choose(chances, rng)

    assert np.abs(chances.sum(axis=1) - 1).max() < 1e-12
    assert chances.min() >= 0
    assert chances[np.arange(40), chosen].min() > 0


@pytest.mark.parametrize("name", policy.LOGGING_POLICIES)
def test_draws_follow_the_probabilities(name: str) -> None:
    rng = np.random.default_rng(4)
    chances = np.repeat(policy.probabilities(name, world(1), 0.2, rng), 20_000, axis=0)

    chosen = policy.choose(chances, rng)

    share = np.bincount(chosen, minlength=5) / 20_000
    spread = np.sqrt(chances[0] * (1 - chances[0]) / 20_000)
    assert (np.abs(share - chances[0]) <= 4 * spread).all()


def test_uniform_chooses_all_alike() -> None:
    chances = policy.probabilities("uniform", world(), 0.3, np.random.default_rng(0))

    assert np.abs(chances - 1 / 5).max() < 1e-5


def test_epsilon_keeps_one_default_for_a_route() -> None:
    requests = world(500)

    chances = policy.probabilities("epsilon", requests, 0.25, np.random.default_rng(0))

    assert np.unique(chances).tolist() == pytest.approx([0.05, 0.8])
    defaults = {(route, int(row.argmax())) for route, row in zip(requests.dataset, chances, strict=True)}
    assert len(defaults) == len(set(requests.dataset))


def test_boltzmann_favours_three_endpoints_and_explores_the_rest() -> None:
    chances = policy.probabilities("boltzmann", world(), 0.1, np.random.default_rng(0))

    floor = np.isclose(chances, 0.02, atol=2e-6)
    assert (floor.sum(axis=1) >= 2).all()
    assert math.isclose(chances.min(), 0.02, abs_tol=2e-6)
