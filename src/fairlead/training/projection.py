"""Fits the matrix that turns a text into a short vector at scoring."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.sparse import csr_array
from sklearn.decomposition import TruncatedSVD
from sklearn.preprocessing import normalize

from fairlead.errors import EvidenceError
from fairlead.scoring.projection import Projection, counted_words, normalised, weights
from fairlead.scoring.text import read

__all__ = ["fit", "fit_words"]


def fit(
    texts: Sequence[str], *, dimensions: int = 128, buckets: int = 1 << 13, least_seen: int = 2, seed: int = 0
) -> tuple[Projection, np.ndarray[Any, Any]]:
    """Fit a projection to texts, each counted once however often it comes; gives it and its vectors (n, d) float32.

    A truncated SVD of length-normalised, hashed, sublinear tf-idf (Deerwester et al. 1990). Buckets that fewer than
    `least_seen` texts hit say nothing and weigh 0. There are never more dimensions than texts or buckets allow.
    """
    return fit_words(
        [read(text)[1] for text in texts], dimensions=dimensions, buckets=buckets, least_seen=least_seen, seed=seed
    )


def fit_words(
    words: Sequence[np.ndarray[Any, Any]],
    *,
    dimensions: int = 128,
    buckets: int = 1 << 13,
    least_seen: int = 2,
    seed: int = 0,
) -> tuple[Projection, np.ndarray[Any, Any]]:
    """The same where texts have been read already: `words` are the hashes that `text.read` gives of each."""
    counted = [counted_words(hashes, buckets) for hashes in words]
    ids = np.concatenate([found for found, _ in counted]) if counted else np.zeros(0, np.intp)
    different = list({hashes.tobytes(): place for place, hashes in enumerate(words)}.values())
    seen = np.bincount(np.concatenate([counted[i][0] for i in different]), minlength=buckets) if different else ids
    known = int((seen >= least_seen).sum())
    dimensions = min(dimensions, len(different) - 1, known - 1)
    if dimensions < 1:
        raise EvidenceError("too few texts share words to fit a projection; ingest more requests with prompts")
    idf = np.where(seen >= least_seen, 1.0 + np.log((1.0 + len(different)) / (1.0 + seen)), 0.0).astype(np.float32)
    edges = np.concatenate(([0], np.cumsum([len(found) for found, _ in counted])))
    data = np.concatenate([weights(found, counts, idf) for found, counts in counted])
    matrix = normalize(csr_array((data, ids, edges), shape=(len(words), buckets)))
    model = TruncatedSVD(dimensions, algorithm="randomized", random_state=seed).fit(matrix[np.array(different)])
    rows = np.ascontiguousarray(model.components_.T, dtype=np.float32)
    return Projection(rows=rows, idf=idf), normalised((matrix @ rows).astype(np.float32))
