"""Stacked low rank: a few factors of the score matrix, each predicted from the request, read out for each endpoint.

The factors come from alternating ridge over the cells that were seen (Koren, Bell and Volinsky 2009); a non-negative
stack (Breiman 1996) of a ridge regression and a small perceptron predicts them. Both are layers, so their sum is too.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from scipy.optimize import nnls

from fairlead.scoring.dense import Layer
from fairlead.training.quality.network import Network, affine, forward

__all__ = ["factorised", "fit"]

Array = np.ndarray[Any, Any]
ROUNDS: Final = 12
RIDGES: Final = (30.0, 300.0, 3000.0)


def fit(
    value: Array,
    score: Array,
    weight: Array,
    fold: Array,
    *,
    factors: int = 4,
    hidden: int = 64,
    epochs: int = 16,
    decay: float = 1.0,
) -> Network:
    """Fit on all rows, with factors of each fold predicted from the others: inputs (n, D), score and weight (n, K).

    The loadings (factors, K) are of all rows; they are few, and a request's own factors are never used for itself.
    """
    target, loadings, base = factorised(score, weight, min(factors, score.shape[1]))
    linear, ridge = _held_ridge(value, target, fold)
    curved = np.zeros((epochs, *target.shape), np.float32)
    for part in np.unique(fold):
        out, inner = fold == part, fold != part
        for epoch, layers in enumerate(_regress(value[inner], target[inner], hidden, epochs, decay)):
            curved[epoch, out] = forward(layers, value[out])
    best = int(((curved - target) ** 2).sum(axis=(1, 2)).argmin())
    held = np.stack([linear, curved[best]], axis=-1)
    mix = np.array([nnls(held[:, place], target[:, place])[0] for place in range(target.shape[1])])
    straight = _ridge(value, target, ridge)
    *_, (inner_layer, outer) = _regress(value, target, hidden, best + 1, decay)
    layers = _stacked(straight, inner_layer, outer, mix, loadings, base)
    return Network(layers=layers, held=((held * mix).sum(axis=-1) @ loadings + base).astype(np.float32))


def factorised(score: Array, weight: Array, factors: int, strength: float = 2.0) -> tuple[Array, Array, Array]:
    """Split scores into request factors (n, r), loadings (r, K) and endpoint means (K,): score ~ factors @ loadings.

    Loadings are scaled so that a factor has unit variance where it is well known; cells without weight say nothing.
    """
    seen = weight.sum(axis=0)
    base = (weight * score).sum(axis=0) / np.maximum(seen, 1e-9)
    rest = np.where(weight > 0, score - base, 0.0).astype(np.float64)
    outputs, rng = score.shape[1], np.random.default_rng(0)
    loadings: Array = rng.normal(0, 0.1, (factors, outputs))
    loadings[0] = 0.3  # the first factor begins as what lifts everyone
    noise = strength * max(float((weight * rest**2).sum() / max(weight.sum(), 1e-9)), 1e-3)
    own: Array = np.eye(factors)
    found: Array = np.zeros((len(score), factors))
    for _ in range(ROUNDS):
        wide = (loadings.T[:, :, None] * loadings.T[:, None, :]).reshape(outputs, -1)
        gram = (weight @ wide).reshape(-1, factors, factors) + noise * own
        found = np.linalg.solve(gram, ((weight * rest) @ loadings.T)[..., None])[..., 0]
        scale = np.maximum(found.std(axis=0), 1e-6)
        found /= scale
        pairs = (found[:, :, None] * found[:, None, :]).reshape(len(found), -1)
        gram = (weight.T @ pairs).reshape(-1, factors, factors) + 10 * noise * own
        loadings = np.linalg.solve(gram, ((weight * rest).T @ found)[..., None])[..., 0].T
    return found, loadings, base.astype(np.float64)


def _held_ridge(value: Array, target: Array, fold: Array) -> tuple[Array, float]:
    """Predict each fold from the others with the ridge that does best on them all."""
    tried = []
    for ridge in RIDGES:
        held = np.zeros(target.shape)
        for part in np.unique(fold):
            out = fold == part
            weights, bias = _ridge(value[~out], target[~out], ridge)
            held[out] = value[out] @ weights + bias
        tried.append((float(((held - target) ** 2).sum()), ridge, held))
    _, ridge, held = min(tried, key=lambda one: one[0])
    return held, ridge


def _ridge(value: Array, target: Array, ridge: float) -> tuple[Array, Array]:
    middle = value.mean(axis=0, dtype=np.float64)
    x, goal = value - middle, target.mean(axis=0)
    gram = (x.T @ x).astype(np.float64) + ridge * np.eye(x.shape[1])
    weights: Array = np.linalg.solve(gram, x.T @ (target - goal))
    return weights, goal - middle @ weights


def _regress(value: Array, target: Array, hidden: int, epochs: int, decay: float) -> list[tuple[Layer, Layer]]:
    """Fit a perceptron to factors by squared error, with Adam; its layers after every epoch."""
    rng, n = np.random.default_rng(0), len(value)
    shapes = ((value.shape[1], hidden), (hidden,), (hidden, target.shape[1]), (target.shape[1],))
    spread = (np.sqrt(2 / value.shape[1]), 0.0, 0.5 / np.sqrt(hidden), 0.0)
    w = [rng.normal(0, 1, shape).astype(np.float32) * np.float32(s) for shape, s in zip(shapes, spread, strict=True)]
    first, second = [np.zeros_like(part) for part in w], [np.zeros_like(part) for part in w]
    goal, batch, done, kept = target.astype(np.float32), int(np.clip(n // 40, 32, 256)), 0, []
    for _ in range(epochs):
        order = rng.permutation(n)
        for start in range(0, n, batch):
            rows = order[start : start + batch]
            x = value[rows]
            inner = x @ w[0] + w[1]
            active = np.maximum(inner, 0)
            error = (active @ w[2] + w[3] - goal[rows]) / np.float32(batch)
            back = (error @ w[2].T) * (inner > 0)
            done += 1
            for place, gradient in enumerate((x.T @ back, back.sum(axis=0), active.T @ error, error.sum(axis=0))):
                first[place] += 0.1 * (gradient - first[place])
                second[place] += 0.001 * (gradient * gradient - second[place])
                step = first[place] / (1 - 0.9**done) / (np.sqrt(second[place] / (1 - 0.999**done)) + 1e-8)
                w[place] -= np.float32(1e-3) * (step + (decay * w[place] if place % 2 == 0 else 0))
        kept.append((affine(w[0].copy(), w[1].copy(), relu=True), affine(w[2].copy(), w[3].copy())))
    return kept


def _stacked(
    straight: tuple[Array, Array], inner: Layer, outer: Layer, mix: Array, loadings: Array, base: Array
) -> tuple[Layer, Layer]:
    """Put both regressions in one hidden layer: what is linear passes a rectifier as its positive and negative part."""
    weights, bias = straight
    hidden = affine(np.hstack([inner.weights, weights, -weights]), np.concatenate([inner.bias, bias, -bias]), relu=True)
    line, curve = np.diag(mix[:, 0]), outer.weights * mix[:, 1]
    last = np.vstack([curve, line, -line]) @ loadings
    return hidden, affine(last, (outer.bias * mix[:, 1]) @ loadings + base)
