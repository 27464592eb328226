"""What the quality learners learn from: a score matrix with missing cells, requests by endpoints."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from msgspec import Struct

from fairlead.training.frame import Frame, folds_of

__all__ = ["Labels", "labels_of"]

Array = np.ndarray[Any, Any]
STEEPEST: Final = 5.0  # an inverse propensity counts at most this many times the median one


class Labels(Struct, frozen=True, kw_only=True):
    """Scores of n requests at K endpoints.

    `score` (n, K) float32 is 0 to 1 and 0 where nothing was said; `weight` (n, K) float32 is 0 exactly there, and about
    1 elsewhere. `row` (n,) is a row of the frame that shows the request, `request` (m,) the request of each of the
    frame's rows. `fold` (n,) keeps equal prompts together.
    """

    score: Array
    weight: Array
    row: Array
    request: Array
    fold: Array
    group: Array

    def __len__(self) -> int:
        return len(self.row)

    @property
    def mean(self) -> Array:
        """Each endpoint's weighted mean score (K,), drawn to the overall one by 5 labels."""
        weight, total = self.weight.sum(axis=0), (self.weight * self.score).sum(axis=0)
        overall = total.sum() / max(weight.sum(), 1e-12)
        mean: Array = (total + 5 * overall) / (weight + 5)
        return mean

    @property
    def counts(self) -> Array:
        """How many requests each endpoint (K,) has labels of."""
        seen: Array = (self.weight > 0).sum(axis=0)
        return seen


def labels_of(frame: Frame, folds: int) -> Labels:
    """Lay out the scores of a frame whose rows all have a quality; rows of one id are one request.

    Rows whose log kept the chance of the choice weigh its inverse, clipped: what was rarely tried counts for more
    (Horvitz and Thompson 1952; the clipping of Ionides 2008). The frame's own weights come on top.
    """
    _, first, request = np.unique(frame.ids, return_index=True, return_inverse=True)
    shape = (len(first), len(frame.endpoints))
    cell = (request, frame.endpoint)
    inverse = _inverse(frame.propensity) * (1.0 if frame.weight is None else frame.weight)
    weight, total = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    np.add.at(weight, cell, inverse)
    np.add.at(total, cell, inverse * frame.targets["quality"])
    count = np.zeros(shape, np.float32)
    np.add.at(count, cell, 1.0)
    score = np.where(weight > 0, total / np.maximum(weight, 1e-12), 0).astype(np.float32)
    group = frame.group[first]
    return Labels(
        score=np.clip(score, 0, 1),
        weight=weight / np.maximum(count, 1),
        row=first,
        request=request,
        fold=folds_of(group, folds),
        group=group,
    )


def _inverse(propensity: Array) -> Array:
    known = np.isfinite(propensity) & (propensity > 0)
    inverse = np.ones(len(propensity))
    if known.any():
        raw = 1 / propensity[known]
        inverse[known] = np.minimum(raw, STEEPEST * np.median(raw))
        inverse[known] /= inverse[known].mean()
    return inverse
