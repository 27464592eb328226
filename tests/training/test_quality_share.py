import numpy as np
import pytest
from msgspec.structs import replace

from fairlead.evaluation.frontier import areas
from fairlead.scoring.dense import shrunk
from fairlead.training.quality.labels import Labels
from fairlead.training.quality.network import Network, affine, forward, sigmoid
from fairlead.training.quality.readout import borrow, sparse
from fairlead.training.quality.share import by_route, choose
from fairlead.training.quality.value import Market, heights

COST = np.array([1.0, 3.0, 9.0]) * 1e-3
MEAN = np.array([0.5, 0.6, 0.7])


def market(n: int = 1500, signal: float = 0.25, seed: int = 0) -> tuple[np.ndarray, Market]:
    """True chances that differ by request and endpoint, and what came of them."""
    rng = np.random.default_rng(seed)
    chance = np.clip(MEAN + signal * rng.choice([-1, 1], size=(n, 3)), 0.02, 0.98)
    outcome = (rng.random(chance.shape) < chance).astype(float)
    cost = np.tile(COST, (n, 1))
    return chance, Market(outcome=outcome, cost=cost, expected_cost=cost, group=np.arange(n))


def labels(scene: Market, seen: np.ndarray | None = None) -> Labels:
    weight = np.ones(scene.outcome.shape, np.float32) if seen is None else seen.astype(np.float32)
    rows = np.arange(len(weight))
    score = (scene.outcome * weight).astype(np.float32)
    return Labels(score=score, weight=weight, row=rows, request=rows, fold=rows % 4, group=rows, sure=weight > 0)


def one_label(scene: Market, quality: np.ndarray) -> tuple[Market, Labels]:
    """What an even log of one endpoint a request leaves of a scene."""
    seen = np.zeros(scene.outcome.shape, bool)
    rows = np.arange(len(seen))
    seen[rows, np.random.default_rng(9).integers(0, 3, len(seen))] = True
    outcome = np.where(seen, quality + 3 * (scene.outcome - quality), quality)
    return replace(scene, outcome=outcome), labels(scene, seen)


def test_one_label_a_request_tells_true_contrasts_from_noise_by_their_slope():
    chance, scene = market(n=700, signal=0.2)
    noise = MEAN + np.random.default_rng(1).normal(0, 0.2, chance.shape)

    found = [choose(one, np.tile(MEAN, (700, 1)), *one_label(scene, one)) for one in (chance, noise)]

    assert found[0].figures["slope_low"] > 0
    assert found[1].share == 0
    assert found[0].figures["slope"] == pytest.approx(1, abs=0.35)
    assert found[1].figures["slope"] == pytest.approx(0, abs=0.35)


def test_a_height_is_the_area_that_the_evaluation_reads():
    chance, scene = market()
    rows = np.arange(len(chance))
    columns = [(chance - price * scene.cost).argmax(axis=1) for price in np.geomspace(0.1, 1e4, 400)]
    points = [(scene.cost[rows, one].mean(), scene.outcome[rows, one].mean()) for one in columns]

    found = heights([chance], scene)

    read = areas(*np.array(points).T, scene.cost.mean(axis=0), scene.outcome.mean(axis=0))
    assert found.router[0] == pytest.approx(read.aiq_b, abs=0.003)
    assert found.zero == pytest.approx(read.zero_aiq_b, abs=0.003)


def test_true_contrasts_are_kept_and_the_reason_names_the_gain():
    chance, scene = market()

    choice = choose(chance, np.tile(MEAN, (len(chance), 1)), scene, labels(scene))

    assert choice.share >= 0.75
    assert choice.figures["value_over_zero_router_low"] > 0
    assert choice.reason.startswith(f"quality.share {choice.share:g}: +")


@pytest.mark.parametrize("seed", range(5))
def test_noise_is_shrunk_to_nothing(seed: int):
    _, scene = market(signal=0.0, seed=seed)
    noise = MEAN + np.random.default_rng(seed + 50).normal(0, 0.2, scene.outcome.shape)

    choice = choose(noise, np.tile(MEAN, (len(noise), 1)), scene, labels(scene))

    assert choice.share == 0
    assert choice.reason.startswith("quality.share 0: no gain from routing by request is sure")


def test_the_table_is_served_where_it_alone_is_right():
    chance, scene = market()
    noise = MEAN + np.random.default_rng(1).normal(0, 0.2, chance.shape)

    choice = choose(noise, chance, scene, labels(scene))

    assert choice.table
    assert "category table is served" in choice.reason


def test_without_a_share_the_order_is_that_of_the_means():
    quality = np.random.default_rng(0).uniform(0.3, 0.5, (50, 3))

    kept = shrunk(quality, MEAN - 0.2, 0.0)

    assert np.allclose(np.diff(kept, axis=1), np.diff(MEAN))
    assert np.allclose(kept.mean(axis=1), quality.mean(axis=1))


def test_a_route_earns_its_share_with_labels():
    route = np.repeat([0.0, 1.0, 2.0, np.nan], [200, 199, 49, 30])

    assert by_route(0.75, route, 3).tolist() == [0.75, 0.5, 0.0, 0.0]
    assert by_route(0.25, route, 3).tolist() == [0.25, 0.25, 0.0, 0.0]


def test_where_no_request_names_a_route_none_is_new():
    assert by_route(1.0, np.full(300, np.nan), 0).tolist() == [1.0]
    assert by_route(1.0, np.repeat([np.nan, 0.0], [300, 20]), 1).tolist() == [0.0, 1.0]


def test_a_new_endpoint_is_read_out_from_the_others():
    rng = np.random.default_rng(0)
    value = rng.normal(size=(3000, 3)).astype(np.float32)
    skill = rng.normal(1, 0.3, size=(3, 8))
    chance = sigmoid(value @ skill)
    score = (rng.random(chance.shape) < chance).astype(np.float32)
    weight = np.ones_like(score)
    weight[40:, 7] = 0
    off = skill.copy()
    off[:, 7] = 0  # what a network knows of an endpoint it has hardly seen
    layers = (affine(np.eye(3), np.zeros(3)), affine(off, np.zeros(8)))
    few = sparse((weight > 0).sum(axis=0))

    net, constants = borrow(Network(layers=layers, held=forward(layers, value)), score * weight, weight, few)

    assert few.tolist() == [False] * 7 + [True]
    said = sigmoid(net.held[:, 7] * constants[0] + constants[1])
    assert ((said - chance[:, 7]) ** 2).mean() < 0.2 * chance[:, 7].var()
    assert np.allclose(forward(net.layers, value), net.held, atol=1e-3)
    assert np.array_equal(net.held[:, :7], forward(layers, value)[:, :7])


def test_endpoints_that_are_all_alike_lend_nothing():
    assert not sparse(np.array([60, 70, 65])).any()
    assert not sparse(np.array([5000, 10])).any()
