"""A text as a short vector: hashed words and word pairs, weighed by how rare they are, times a small matrix.

The hashing trick (Weinberger et al. 2009) with sublinear tf-idf (Salton and Buckley 1988) and a truncated SVD, as in
latent semantic analysis (Deerwester et al. 1990): no vocabulary, and no prompt is kept. Training fits the matrix to the
same hashes (`training.projection.fit`).

>>> ids, counts = hashed_counts("to be or to be", buckets=1 << 13)
>>> len(ids), sorted(counts.tolist())
(6, [1, 1, 1, 2, 2, 2])
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, Final

import numpy as np
from msgspec import Struct

from fairlead.errors import SnapshotRefusedError
from fairlead.scoring import text as texts
from fairlead.scoring.text import tables

__all__ = ["Projection", "compiled", "counted_words", "grams", "hashed_counts", "normalised", "weights"]

Array = np.ndarray[Any, Any]
_JOIN: Final = np.uint64(tables.JOIN)
MOST_BUCKETS: Final = 1 << 18


class Projection(Struct, frozen=True, kw_only=True):
    """The matrix: `rows` (buckets, d) float32 and `idf` (buckets,) float32; buckets is a power of two."""

    rows: Array
    idf: Array

    def apply(self, text: str) -> Array:
        """Give a text's vector (d,) float32 of length 1; zeros where it has no word that the matrix knows."""
        return self.of(texts.read(text)[1])

    def of(self, words: Array) -> Array:
        """Give the vector (d,) for the hashes of a text's words, as `text.read` gives them."""
        kernels = compiled()
        if kernels is not None:
            out = np.empty(self.rows.shape[1], np.float32)
            kernels.project(words, self.rows, self.idf, out)
            return out
        ids, counts = counted_words(words, len(self.idf))
        return normalised(weights(ids, counts, self.idf) @ self.rows[ids])

    def check(self, name: str) -> None:
        """Refuse what could not be applied: SnapshotRefusedError says what is wrong."""
        buckets = len(self.idf)
        faults = {
            "rows that are no (buckets, d) float32": self.rows.ndim != 2 or self.rows.dtype != np.float32,
            "idf that is no (buckets,) float32": self.idf.ndim != 1 or self.idf.dtype != np.float32,
            "unequal buckets": len(self.rows) != buckets,
            "buckets that are no power of two": not 2 <= buckets <= MOST_BUCKETS or bool(buckets & (buckets - 1)),
        }
        faults["a value that is not finite"] = not (np.isfinite(self.rows).all() and np.isfinite(self.idf).all())
        for fault, found in faults.items():
            if found:
                raise SnapshotRefusedError(f"{name}: projection with {fault}; publish it again")


def hashed_counts(text: str, buckets: int) -> tuple[Array, Array]:
    """Count a text's words and word pairs in hashed buckets: (ids, counts), each bucket once, in rising order."""
    return counted_words(texts.read(text)[1], buckets)


def grams(words: Array) -> Array:
    """Give the hashes of words and, behind them, of pairs of neighbouring words: uint64."""
    return np.concatenate((words, words[:-1] * _JOIN + words[1:])) if len(words) > 1 else words


def weights(ids: Array, counts: Array, idf: Array) -> Array:
    """Weigh counts: (1 + log count) * idf, float32."""
    weighed: Array = (1.0 + np.log(counts)).astype(np.float32) * idf[ids]
    return weighed


def normalised(vector: Array) -> Array:
    """Give vectors (..., d) the length 1; zeros stay zeros."""
    norm = np.sqrt((vector * vector).sum(axis=-1, keepdims=True))
    scaled: Array = vector / np.where(norm > 0, norm, np.float32(1))
    return scaled


def counted_words(words: Array, buckets: int) -> tuple[Array, Array]:
    """The same for the hashes of a text's words, as `text.read` gives them."""
    shift = np.uint64(64 - (buckets.bit_length() - 1))
    return np.unique((grams(words) >> shift).view(np.intp), return_counts=True)


def compiled() -> ModuleType | None:
    """Give the compiled kernels, where texts are read by compiled ones."""
    if texts.engine() is texts.plain:
        return None
    from fairlead.scoring import dense_kernels

    return dense_kernels
