"""A multi-output perceptron with missing labels: one hidden layer shared by all endpoints.

scikit-learn's cannot leave cells out, so this is Adam (Kingma and Ba 2015) with decoupled weight decay (Loshchilov and
Hutter 2019) on a masked cross-entropy. Seeds are averaged in log-odds, which makes them one wider network.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from fairlead.scoring.dense import Layer
from fairlead.training.quality.network import Network, affine, forward, loss, sigmoid

__all__ = ["fit", "train"]

Array = np.ndarray[Any, Any]
STEPS: Final = 40  # updates an epoch has at least: few rows need smaller batches
LEAST_BATCH: Final = 32
MOST_BATCH: Final = 256


def fit(
    value: Array,
    score: Array,
    weight: Array,
    fold: Array,
    *,
    hidden: int = 64,
    epochs: int = 16,
    decay: float = 1.0,
    seeds: int = 2,
) -> Network:
    """Fit on all rows for as many epochs as did best on the folds left out: inputs (n, D), score and weight (n, K)."""
    losses = np.zeros(epochs)
    held = np.zeros((epochs, *score.shape), np.float32)
    for part in np.unique(fold):
        out, inner = np.flatnonzero(fold == part), fold != part

        def look(epoch: int, layers: tuple[Layer, ...], out: Array = out) -> None:
            held[epoch, out] += forward(layers, value[out]) / seeds

        for seed in range(seeds):
            train(value[inner], score[inner], weight[inner], hidden, epochs, decay, seed, look)
        losses += [loss(held[epoch, out], score[out], weight[out]) for epoch in range(epochs)]
    best = int(losses.argmin())
    nets = [train(value, score, weight, hidden, best + 1, decay, seed) for seed in range(seeds)]
    return Network(layers=_joined(nets), held=held[best])


def train(  # noqa: PLR0913, PLR0917  one learner's own constants
    value: Array,
    score: Array,
    weight: Array,
    hidden: int,
    epochs: int,
    decay: float,
    seed: int,
    look: Callable[[int, tuple[Layer, ...]], None] | None = None,
    rate: float = 2e-3,
) -> tuple[Layer, Layer]:
    """Train one network; `look` is called with its layers after every epoch."""
    rng = np.random.default_rng(seed)
    n, wide = value.shape
    outputs = score.shape[1]
    seen = np.maximum(weight.sum(axis=0), 1e-9)
    share = np.clip((weight * score).sum(axis=0) / seen, 0.02, 0.98)
    parts = [
        rng.normal(0, np.sqrt(2 / max(wide, 1)), (wide, hidden)),
        np.zeros(hidden),
        rng.normal(0, np.sqrt(1 / hidden), (hidden, outputs)) * 0.5,
        np.log(share / (1 - share)),
    ]
    w = [part.astype(np.float32) for part in parts]
    first, second = [np.zeros_like(part) for part in w], [np.zeros_like(part) for part in w]
    batch = int(np.clip(n // STEPS, LEAST_BATCH, MOST_BATCH))
    # One label a request carries little: the gradient is scaled to the labels there are.
    labels = np.float32(max(weight.sum() / n, 1e-9) * batch / outputs)
    done = 0
    for epoch in range(epochs):
        order = rng.permutation(n)
        for start in range(0, n, batch):
            rows = order[start : start + batch]
            x = value[rows]
            inner = x @ w[0] + w[1]
            active = np.maximum(inner, 0)
            error = (sigmoid(active @ w[2] + w[3]) - score[rows]) * weight[rows] / (labels * outputs)
            back = (error @ w[2].T) * (inner > 0)
            done += 1
            for place, gradient in enumerate((x.T @ back, back.sum(axis=0), active.T @ error, error.sum(axis=0))):
                first[place] += 0.1 * (gradient - first[place])
                second[place] += 0.001 * (gradient * gradient - second[place])
                step = first[place] / (1 - 0.9**done) / (np.sqrt(second[place] / (1 - 0.999**done)) + 1e-8)
                w[place] -= np.float32(rate) * (step + (decay * w[place] if place % 2 == 0 else 0))
        if look:
            look(epoch, (affine(w[0], w[1], relu=True), affine(w[2], w[3])))
    return affine(w[0], w[1], relu=True), affine(w[2], w[3])


def _joined(nets: list[tuple[Layer, Layer]]) -> tuple[Layer, Layer]:
    """Average networks in log-odds: their hidden layers side by side."""
    return (
        affine(np.hstack([one.weights for one, _ in nets]), np.concatenate([one.bias for one, _ in nets]), relu=True),
        affine(np.vstack([last.weights for _, last in nets]) / len(nets), np.mean([last.bias for _, last in nets], 0)),
    )
