from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.scoring.dense import DenseHead
from fairlead.training.quality import irt, lowrank, mlp
from fairlead.training.quality.lowrank import factorised
from fairlead.training.quality.network import Network, affine, forward, sigmoid
from fairlead.training.quality.platt import apply, platt

LEARNERS = {"irt": irt.fit, "lowrank": lowrank.fit, "mlp": mlp.fit}


def drawn(n: int = 600, endpoints: int = 4, seen: float = 1.0, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Inputs, chances, scores, weights and folds, where one direction is hard for all and one tells endpoints apart."""
    rng = np.random.default_rng(seed)
    value = rng.normal(size=(n, 6)).astype(np.float32)
    skill = np.linspace(-1, 1, endpoints)
    chance = sigmoid(1.5 * value[:, :1] + 1.5 * value[:, 1:2] * skill + skill)
    score = (rng.random(chance.shape) < chance).astype(np.float32)
    weight = (rng.random(chance.shape) < seen).astype(np.float32)
    return value, chance, score * weight, weight, np.arange(n) % 4


def calibrated(net: Network, score: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return apply(platt(net.held, score, weight), net.held)


@pytest.mark.parametrize("name", LEARNERS)
def test_what_is_held_out_is_predicted_better_than_by_the_mean(name: str):
    value, chance, score, weight, fold = drawn()

    quality = calibrated(LEARNERS[name](value, score, weight, fold), score, weight)

    off, mean_off = ((quality - chance) ** 2).mean(), ((score.mean(axis=0) - chance) ** 2).mean()
    assert off < 0.25 * mean_off


@pytest.mark.parametrize("name", LEARNERS)
def test_one_label_a_request_is_enough_to_learn_from(name: str):
    value, chance, score, _, fold = drawn(n=2000)
    only = np.zeros_like(score)
    only[np.arange(2000), np.random.default_rng(1).integers(0, 4, 2000)] = 1

    quality = calibrated(LEARNERS[name](value, score * only, only, fold), score * only, only)

    assert ((quality - chance) ** 2).mean() < 0.4 * ((score.mean(axis=0) - chance) ** 2).mean()


@pytest.mark.parametrize("name", LEARNERS)
def test_a_hidden_label_that_changes_changes_nothing(name: str):
    value, _, score, weight, fold = drawn(n=200, seen=0.5)
    other = np.where(weight > 0, score, 1 - score).astype(np.float32)

    one, two = (LEARNERS[name](value, labels, weight, fold) for labels in (score, other))

    assert np.array_equal(one.held, two.held)
    assert all(np.array_equal(a.weights, b.weights) for a, b in zip(one.layers, two.layers, strict=True))


@pytest.mark.parametrize("name", LEARNERS)
def test_a_fold_is_predicted_without_its_own_labels(name: str):
    value, _, score, weight, fold = drawn(n=240)
    fold = (np.arange(240) % 2).astype(np.int64)
    other = score.copy()
    other[fold == 0] = 1 - other[fold == 0]
    fitted: Callable[..., Any] = {"irt": irt.train, "mlp": mlp.train}.get(name, lambda *_: None)
    if name == "lowrank":
        pytest.skip("its few loadings are of all rows, by design")
    settings_of = {"irt": (4, 300.0, 80), "mlp": (16, 3, 1.0, 0)}[name]
    kept = fold != 0

    one, two = (fitted(value[kept], labels[kept], weight[kept], *settings_of) for labels in (score, other))

    assert np.array_equal(forward(one, value), forward(two, value))


@pytest.mark.parametrize("name", LEARNERS)
def test_the_same_rows_give_the_same_network(name: str):
    value, _, score, weight, fold = drawn(n=200)

    one, two = (LEARNERS[name](value, score, weight, fold) for _ in range(2))

    assert np.array_equal(one.held, two.held)
    assert np.array_equal(forward(one.layers, value), forward(two.layers, value))


@pytest.mark.parametrize("name", LEARNERS)
def test_a_head_of_a_snapshot_says_what_the_learner_says(name: str):
    value, _, score, weight, fold = drawn(n=200)
    net = LEARNERS[name](value, score, weight, fold)
    constants = platt(net.held, score, weight)
    head = DenseHead(center=np.zeros(6, np.float32), scale=np.ones(6, np.float32), layers=net.layers, platt=constants)

    expected = apply(constants, forward(net.layers, value))

    assert np.allclose(head.predict(value), expected, atol=1e-6)


def test_seeds_side_by_side_are_the_mean_of_their_log_odds():
    value, _, score, weight, fold = drawn(n=200)
    net = mlp.fit(value, score, weight, fold, hidden=8, epochs=2, seeds=2)
    best = next(
        epochs
        for epochs in (1, 2)
        if np.allclose(
            forward(net.layers, value),
            np.mean([forward(mlp.train(value, score, weight, 8, epochs, 1.0, s), value) for s in (0, 1)], axis=0),
            atol=1e-5,
        )
    )
    assert best in (1, 2)


def test_both_regressions_share_one_hidden_layer_exactly():
    rng = np.random.default_rng(0)
    value = rng.normal(size=(50, 5)).astype(np.float32)
    inner, outer = (
        affine(rng.normal(size=(5, 3)), rng.normal(size=3), relu=True),
        affine(rng.normal(size=(3, 2)), [1, 2]),
    )
    weights, bias = rng.normal(size=(5, 2)), rng.normal(size=2)
    mix, loadings, base = rng.random((2, 2)), rng.normal(size=(2, 4)), rng.normal(size=4)

    layers = lowrank._stacked((weights, bias), inner, outer, mix, loadings, base)

    factors = mix[:, 0] * (value @ weights + bias) + mix[:, 1] * forward((inner, outer), value)
    assert np.allclose(forward(layers, value), factors @ loadings + base, atol=1e-4)


def test_factors_give_a_full_matrix_back():
    rng = np.random.default_rng(0)
    score = np.clip(0.5 + 0.15 * rng.normal(size=(300, 2)) @ rng.normal(size=(2, 6)), 0, 1).astype(np.float32)

    found, loadings, base = factorised(score, np.ones_like(score), 2, strength=0.001)

    assert np.abs(found @ loadings + base - score).mean() < 0.02


def test_platts_constants_undo_a_known_distortion():
    rng = np.random.default_rng(0)
    true = rng.normal(size=(20_000, 2))
    score = (rng.random(true.shape) < sigmoid(true)).astype(np.float32)
    held = (true - [1.0, -1.0]) / [2.0, 0.5]

    found = platt(held, score, np.ones_like(score))

    assert np.allclose(found, [[2.0, 0.5], [1.0, -1.0]], atol=0.1)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 6), st.integers(0, 100))
def test_an_endpoint_with_hardly_a_label_is_calibrated_as_the_others_are(few: int, seed: int):
    rng = np.random.default_rng(seed)
    held = rng.normal(size=(400, 2))
    score = (rng.random(held.shape) < sigmoid(held)).astype(np.float32)
    weight = np.ones_like(score)
    weight[few:, 1] = 0

    found = platt(held, score * weight, weight)

    assert np.abs(found[:, 1] - found[:, 0]).max() < 0.3
