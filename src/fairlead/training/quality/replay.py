"""What an ensemble says of logged rows at the endpoint that served them, for a champion that must be compared."""

from __future__ import annotations

from typing import Any

import numpy as np

from fairlead.scoring.dense import shrunk
from fairlead.scoring.parts import Parts
from fairlead.training.frame import Frame
from fairlead.training.quality.network import sigmoid

__all__ = ["blended"]

Array = np.ndarray[Any, Any]


def blended(odds: Array, forest: bool, parts: Parts, frame: Frame) -> Array:
    """Mix networks into log-odds (n,) of a table, or of table and forest: (n,) log-odds of the shrunk mean.

    The forest was asked for the row's own endpoint alone, so what it adds to the contrast counts whole there, and as
    the networks' mean elsewhere. Rows whose words were not kept count as texts without any known word.
    """
    dense = parts.dense
    if dense is None:
        return odds
    projected = np.zeros((len(frame), 0), np.float32)
    if parts.projection is not None:
        width = parts.projection.rows.shape[1]
        words = frame.batch.words
        known = words is not None
        projected = np.zeros((len(frame), width), np.float32)
        for row in range(len(frame) if known else 0):
            projected[row] = parts.projection.of(words[row]) if words is not None else 0.0
    said = dense.predict(dense.row(frame.request_columns(), projected)).astype(np.float64)
    rows = np.arange(len(frame))
    if forest:
        many = len(dense.heads)
        said[rows, frame.endpoint] += (sigmoid(odds) - said[rows, frame.endpoint]) / (many + 1)
    route = frame.route
    at = np.where(np.isfinite(route), route, frame.routes).astype(np.int64)
    quality = np.clip(shrunk(said, dense.mean, dense.share_at(at)), 1e-4, 1 - 1e-4)[rows, frame.endpoint]
    logit: Array = np.log(quality / (1 - quality))
    return logit
