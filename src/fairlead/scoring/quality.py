"""Quality as networks predict it, and as all learners together do."""

from __future__ import annotations

from typing import Any

import numpy as np

from fairlead.scoring import text as texts
from fairlead.scoring.dense import Dense
from fairlead.scoring.heads import Heads
from fairlead.scoring.projection import Projection, compiled

__all__ = ["DenseQuality"]

Array = np.ndarray[Any, Any]


class DenseQuality:
    """Predicts the quality of every endpoint from a text and a row of columns: built once for a snapshot.

    What it gives is the networks' mean; `Heads.blend` joins the forest to it and shrinks contrasts. Compiled where
    texts are read by compiled kernels; numpy elsewhere, equal within 1e-5. `reads_text` says whether it needs the text.
    """

    def __init__(self, dense: Dense, projection: Projection | None) -> None:
        self.dense, self.reads_text = dense, dense.reads_text
        projection = projection if self.reads_text else None
        self._rows: Array = np.zeros((2, 0), np.float32) if projection is None else projection.rows
        self._idf: Array = np.zeros(2, np.float32) if projection is None else projection.idf
        self._projection = projection
        layout, values = [len(dense.heads)], list[Array]()
        for head in dense.heads.values():
            layout.append(len(head.layers))
            values += [head.center, head.scale]
            for layer in head.layers:
                layout += [len(layer.bias), int(layer.relu)]
                values += [layer.bias, layer.weights.ravel()]
            values.append(head.platt.ravel())
        self._layout = np.array(layout, np.int64)
        self._values = np.concatenate(values, dtype=np.float32)
        self._mean = dense.mean.astype(np.float64)

    def __call__(self, text: str, row: Array) -> Array:
        """Give (K,) for one request: its text, and its columns (C,) float64 in the snapshot's order."""
        return self.of(texts.read(text)[1], row)

    def of(self, words: Array, row: Array) -> Array:
        """Give (K,) where the text has been read already: `words` is the second half of what `text.read` gives."""
        kernels = compiled()
        if kernels is not None:
            out = np.empty(len(self.dense.mean), np.float32)
            kernels.predict(words, row, self._rows, self._idf, self.dense.inputs, self._layout, self._values, out)
            return out
        projected = np.zeros(0, np.float32) if self._projection is None else self._projection.of(words)
        return self.dense.predict(self.dense.row(row, projected))

    def join(self, predicted: Array, words: Array, row: Array, heads: Heads, by_dense: float, share: float) -> None:
        """Put the mean of all learners of quality into one request's predictions (7, K), in place.

        `by_dense` is the networks' share of it, `share` that of the contrasts that are kept; see `Heads.blend`.
        """
        kernels = compiled()
        if kernels is None:
            heads.blend(predicted, self.of(words, row), by_dense, self.dense.mean, share)
            return
        mine = (self._rows, self._idf, self.dense.inputs, self._layout, self._values)
        shrink = (by_dense, self._mean, share, heads.edges, heads.margins)
        kernels.join(words, row, *mine, *shrink, predicted)
