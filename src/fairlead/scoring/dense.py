"""Small networks that predict quality at every endpoint at once: a multi-output MLP, a low-rank linear model (MIRT).

All are layers of weights: data, never code. Several are averaged, with the forest for quality where one is served, and
then the contrasts between endpoints are shrunk, which guards against the optimiser's curse when the best of many noisy
predictions is taken (q = mean of the endpoint + what a request does to all endpoints + share * what it does to this
one).

>>> one = Layer(weights=np.eye(2, dtype=np.float32), bias=np.zeros(2, np.float32), relu=False)
>>> head = DenseHead(center=np.zeros(2, np.float32), scale=np.ones(2, np.float32), layers=(one,),
...                  platt=np.array([[1, 1], [0, 0]], np.float32))
>>> head.predict(np.array([0.0, np.nan])).tolist()
[0.5, 0.5]
"""

from __future__ import annotations

from typing import Any

import numpy as np
from msgspec import Struct

from fairlead.errors import SnapshotRefusedError

__all__ = ["Dense", "DenseHead", "Layer", "shrunk"]

Array = np.ndarray[Any, Any]


class Layer(Struct, frozen=True, kw_only=True):
    """One layer: `weights` (inputs, outputs) float32, `bias` (outputs,) float32, negative outputs cut with `relu`."""

    weights: Array
    bias: Array
    relu: bool


class DenseHead(Struct, frozen=True, kw_only=True):
    """One network from D inputs to K endpoints.

    `center` and `scale` (D,) standardise: (x - center) * scale, and what is not known counts as average. `platt` (2, K)
    holds slope and intercept of each endpoint's log-odds (Platt 1999).
    """

    center: Array
    scale: Array
    layers: tuple[Layer, ...]
    platt: Array

    def predict(self, inputs: Array) -> Array:
        """Give the chance of success at each endpoint: inputs (..., D) -> (..., K) float32."""
        value = np.nan_to_num((inputs.astype(np.float32) - self.center) * self.scale, nan=0.0, posinf=0.0, neginf=0.0)
        for layer in self.layers:
            value = value @ layer.weights + layer.bias
            if layer.relu:
                value = np.maximum(value, np.float32(0))
        odds = np.clip(value * self.platt[0] + self.platt[1], -50, 50)
        chance: Array = 1.0 / (1.0 + np.exp(-odds))
        return chance


class Dense(Struct, frozen=True, kw_only=True):
    """Networks over the same inputs, and how they are joined.

    `inputs` (D, 2) int32 says where each input comes from: (-1, j) is value j of the text's projection, (c, -1) the
    number in column c of the snapshot, (c, k) whether that column's category is k. `mean` (K,) float32 is each
    endpoint's mean quality, `share` how much of the contrasts is kept, in the mean of all learners: 1 all, 0 none.
    `routes` (routes + 1,) float32 says it for each route, the last for one never seen; None: the same for all.
    """

    inputs: Array
    heads: dict[str, DenseHead]
    mean: Array
    share: float
    routes: Array | None = None

    @property
    def reads_text(self) -> bool:
        """Whether any input is a value of the text's projection."""
        return bool((self.inputs[:, 0] < 0).any())

    def row(self, columns: Array, projected: Array) -> Array:
        """Lay out the networks' inputs: columns (..., C), projected (..., d) -> (..., D) float32."""
        column, code = self.inputs[:, 0], self.inputs[:, 1]
        own = columns[..., np.maximum(column, 0)]
        value = np.where(code >= 0, np.where(np.isnan(own), np.nan, own == code), own)
        from_text = column < 0
        if from_text.any():
            value[..., from_text] = projected[..., code[from_text]]
        row: Array = value.astype(np.float32)
        return row

    def predict(self, row: Array) -> Array:
        """Give the networks' mean quality at each endpoint: (..., D) -> (..., K) float32; nothing is shrunk yet."""
        mean: Array = np.mean([head.predict(row) for head in self.heads.values()], axis=0)
        return mean

    def share_at(self, route: Array) -> Array | float:
        """Give the share for places of routes (...), the last for one never seen: (..., 1)."""
        return self.share if self.routes is None else self.routes[route][..., None].astype(np.float64)

    def share_of(self, route: float) -> float:
        """Give the share for one route's code, NaN for none."""
        if self.routes is None:
            return self.share
        last = len(self.routes) - 1
        return float(self.routes[int(route) if 0 <= route < last else last])

    def check(self, endpoints: int, columns: int, dimensions: int, name: str, routes: int = 0) -> None:
        """Refuse what could index outside itself or give no number: SnapshotRefusedError says what is wrong."""
        inputs = len(self.inputs)
        _need(self.inputs.shape == (inputs, 2) and self.inputs.dtype == np.int32 and bool(self.heads), "inputs", name)
        column, code = self.inputs[:, 0], self.inputs[:, 1]
        _need(bool((column >= -1).all() and (column < columns).all() and (code >= -1).all()), "inputs", name)
        _need(bool(((code[column < 0] >= 0) & (code[column < 0] < dimensions)).all()), "inputs", name)
        _need(self.mean.shape == (endpoints,) and _finite(self.mean) and 0 <= self.share <= 1, "mean", name)
        if self.routes is not None:
            within = _finite(self.routes) and bool(((self.routes >= 0) & (self.routes <= 1)).all())
            _need(self.routes.shape == (routes + 1,) and within, "routes", name)
        for key, head in self.heads.items():
            _need(head.center.shape == head.scale.shape == (inputs,), f"{key}.center", name)
            _need(head.platt.shape == (2, endpoints) and bool(head.layers), f"{key}.platt", name)
            _need(_finite(head.center) and _finite(head.scale) and _finite(head.platt), f"{key}.scale", name)
            width = inputs
            for number, layer in enumerate(head.layers):
                shaped = layer.weights.shape == (width, len(layer.bias)) and layer.bias.ndim == 1
                _need(shaped and _finite(layer.weights) and _finite(layer.bias), f"{key}.{number}", name)
                width = len(layer.bias)
            _need(width == endpoints, f"{key}.{len(head.layers) - 1}", name)


def shrunk(quality: Array, mean: Array, share: Array | float) -> Array:
    """Shrink contrasts between endpoints: quality (..., K), mean (K,), share (..., 1) -> (..., K) within 0 and 1.

    >>> shrunk(np.array([0.9, 0.5]), np.array([0.6, 0.4]), 0.0).round(3).tolist()
    [0.8, 0.6]
    """
    change = quality - mean
    common = change.mean(axis=-1, keepdims=True)
    kept: Array = np.minimum(np.maximum(mean + common + share * (change - common), 0.0), 1.0)
    return kept


def _finite(array: Array) -> bool:
    return array.dtype == np.float32 and bool(np.isfinite(array).all())


def _need(holds: bool, part: str, name: str) -> None:
    if not holds:
        raise SnapshotRefusedError(f"{name}: dense.{part} has a wrong shape or value; publish it again")
