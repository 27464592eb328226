"""Cold start: what an endpoint with few labels can do is read out from what the others' networks know of a request.

A request's factors are the principal components of the other endpoints' log-odds. The loadings of the new endpoint have
a Gaussian prior: mean and covariance of the other endpoints' loadings (empirical Bayes, as for new items in item
response theory: Mislevy 1988), and are found at their posterior mode. 20 to 50 labels then say what hundreds would from
scratch. The read-out is one more column of the last layer, so nothing changes at scoring.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import numpy as np

from fairlead.training.quality.network import Network, affine, sigmoid

__all__ = ["borrow", "sparse"]

Array = np.ndarray[Any, Any]
FACTORS: Final = 4
FEW: Final = 1000  # labels up to which an endpoint may borrow
LESS: Final = 0.25  # of the median endpoint's labels
TEACHERS: Final = 3  # endpoints with labels enough, below which there is no prior


def sparse(counts: Array) -> Array:
    """Say which endpoints (K,) have so few labels that they borrow: none where too few others have more."""
    few: Array = (counts < FEW) & (counts < LESS * np.median(counts))
    return few if (~few).sum() >= TEACHERS else np.zeros(len(counts), dtype=bool)


def borrow(network: Network, score: Array, weight: Array, few: Array) -> tuple[Network, Array]:
    """Replace the outputs of the endpoints `few` (K,) by read-outs; scores and weights are (n, K).

    Gives the network and calibration constants (2, K) of those endpoints: slope 1, intercept 0.
    """
    teachers = np.flatnonzero(~few)
    odds = network.held[:, teachers].astype(np.float64)
    middle, spread = odds.mean(axis=0), np.maximum(odds.std(axis=0), 1e-6)
    standard = (odds - middle) / spread
    *_, turned = np.linalg.svd(standard.T @ standard)
    axes = turned[: min(FACTORS, len(teachers) - 1)].T
    size = (standard @ axes).std(axis=0)
    size = np.maximum(size, 1e-2 * size.max())  # an axis that hardly varies is rounding, not a factor
    to_factors = axes / spread[:, None] / size
    design = np.column_stack([np.ones(len(odds)), (odds - middle) @ to_factors])
    known = np.array([_mode(design, score[:, k], weight[:, k], *_vague(design.shape[1])) for k in teachers])
    prior = known.mean(axis=0), np.cov(known.T) + 0.02 * np.eye(design.shape[1])
    held, last = network.held.copy(), network.layers[-1]
    weights, bias = last.weights.copy(), last.bias.copy()
    for k in np.flatnonzero(few):
        loading = _mode(design, score[:, k], weight[:, k], *prior)
        column = to_factors @ loading[1:]
        held[:, k] = design @ loading
        weights[:, k] = last.weights[:, teachers] @ column
        bias[k] = loading[0] + (last.bias[teachers] - middle) @ column
    layers = (*network.layers[:-1], affine(weights, bias, relu=last.relu))
    return msgspec.structs.replace(network, layers=layers, held=held), np.array([[1.0], [0.0]], np.float32)


def _vague(size: int) -> tuple[Array, Array]:
    return np.zeros(size), 4.0 * np.eye(size)


def _mode(design: Array, score: Array, weight: Array, mean: Array, cov: Array) -> Array:
    """Find the posterior mode of a logistic read-out (r + 1,) by Newton's method."""
    rows = np.flatnonzero(weight > 0)
    x, y, w = design[rows], score[rows], weight[rows].astype(np.float64)
    precision, at = np.linalg.inv(cov), mean.copy()
    for _ in range(25):
        chance = sigmoid(x @ at)
        slope = x.T @ (w * (chance - y)) + precision @ (at - mean)
        step = np.linalg.solve((x * (w * chance * (1 - chance))[:, None]).T @ x + precision, slope)
        at = at - step * min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-12))
        if np.abs(step).max() < 1e-6:
            break
    return at
