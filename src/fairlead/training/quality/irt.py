"""Multidimensional item response theory with missing cells: what a request demands, and what an endpoint can do.

P(success) = sigmoid(theta(x) . a_m + b_m) with theta(x) = x W (Reckase 2009), maximum a posteriori by L-BFGS. The
prior is on the products W a_m: their mean over endpoints is drawn to 0 and each to that mean, so what is known of one
endpoint helps the others. (A prior on W and on a_m apart adds up to a nuclear norm, which cuts whole contrasts off.)
Linear, so its layers are exact.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from scipy.optimize import minimize

from fairlead.scoring.dense import Layer
from fairlead.training.quality.network import Network, affine, forward, loss, sigmoid

__all__ = ["fit", "train"]

Array = np.ndarray[Any, Any]
TIDY: Final = 0.1  # keeps the two factors of a product from drifting apart in size
RIDGES: Final = (100.0, 300.0, 1000.0, 3000.0)


def fit(value: Array, score: Array, weight: Array, fold: Array, *, factors: int = 4, steps: int = 80) -> Network:
    """Fit on all rows, and on all folds but one to hold that one out: inputs (n, D), score and weight (n, K).

    The ridge is the one of a few that predicts best what is held out.
    """
    tried = []
    for ridge in RIDGES:
        held = np.zeros(score.shape, np.float32)
        for part in np.unique(fold):
            out = fold == part
            held[out] = forward(train(value[~out], score[~out], weight[~out], factors, ridge, steps), value[out])
        tried.append((loss(held, score, weight), ridge, held))
    _, ridge, held = min(tried, key=lambda one: one[0])
    return Network(layers=train(value, score, weight, factors, ridge, steps), held=held)


def train(value: Array, score: Array, weight: Array, factors: int, ridge: float, steps: int) -> tuple[Layer, Layer]:
    """Fit once; two linear layers: inputs to demands, demands to log-odds."""
    wide, outputs = value.shape[1], score.shape[1]
    factors = min(factors, outputs, wide)
    rng = np.random.default_rng(0)
    share = np.clip((weight * score).sum(axis=0) / np.maximum(weight.sum(axis=0), 1e-9), 0.02, 0.98)
    ability = rng.normal(0, 0.3, (factors, outputs))
    ability[0] = 1.0  # the first factor begins as what is hard for everyone
    start = np.concatenate([np.zeros(wide * factors), ability.ravel(), np.log(share / (1 - share))])
    start[: wide * factors] = rng.normal(0, 0.01, wide * factors)
    cut = np.cumsum([wide * factors, factors * outputs])

    def objective(flat: Array) -> tuple[float, Array]:
        to, can = flat[: cut[0]].reshape(wide, factors), flat[cut[0] : cut[1]].reshape(factors, outputs)
        demand = value @ to.astype(np.float32)
        odds = demand @ can.astype(np.float32) + flat[cut[1] :].astype(np.float32)
        error = (sigmoid(odds) - score) * weight
        middle = can.mean(axis=1, keepdims=True)
        apart = can - middle
        size, spread = to.T @ to, middle @ middle.T + apart @ apart.T
        penalty = ridge / 2 * float((size * spread).sum()) + TIDY / 2 * float((to**2).sum() + (can**2).sum())
        gradient = (
            value.T @ (error @ can.T.astype(np.float32)) + ridge * to @ spread + TIDY * to,
            demand.T @ error + ridge * size @ (middle / outputs + apart) + TIDY * can,
            error.sum(axis=0),
        )
        flown = np.concatenate([part.ravel() for part in gradient]).astype(np.float64)
        return loss(odds, score, weight) + penalty, flown

    found = minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": steps}).x
    return (
        affine(found[: cut[0]].reshape(wide, factors), np.zeros(factors)),
        affine(found[cut[0] : cut[1]].reshape(factors, outputs), found[cut[1] :]),
    )
