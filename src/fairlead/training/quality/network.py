"""A learner's result: layers from standardised inputs to each endpoint's log-odds, and what they said out of fold."""

from __future__ import annotations

from typing import Any

import numpy as np
from msgspec import Struct

from fairlead.scoring.dense import Layer

__all__ = ["Network", "affine", "forward", "loss", "sigmoid"]

Array = np.ndarray[Any, Any]


class Network(Struct, frozen=True, kw_only=True):
    """Fitted layers; `held` (n, K) are log-odds out of fold, before calibration."""

    layers: tuple[Layer, ...]
    held: Array


def forward(layers: tuple[Layer, ...], value: Array) -> Array:
    """Run standardised inputs (n, D) through the layers: (n, K)."""
    for layer in layers:
        value = value @ layer.weights + layer.bias
        if layer.relu:
            value = np.maximum(value, 0)
    return value


def affine(weights: Array, bias: Array, *, relu: bool = False) -> Layer:
    """Make a layer of float32."""
    return Layer(
        weights=np.ascontiguousarray(weights, dtype=np.float32), bias=np.asarray(bias, dtype=np.float32), relu=relu
    )


def sigmoid(odds: Array) -> Array:
    """Give chances from log-odds, both (...)."""
    chance: Array = 1 / (1 + np.exp(-np.clip(odds, -50, 50)))
    return chance


def loss(odds: Array, score: Array, weight: Array) -> float:
    """Sum the cross-entropy of log-odds, by weight: all (n, K)."""
    odds = np.clip(odds, -50, 50)
    return float((weight * (np.logaddexp(0, odds) - score * odds)).sum(dtype=np.float64))
