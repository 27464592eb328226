"""What the quality learners learn from: a score matrix with missing cells, requests by endpoints."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from msgspec import Struct

from fairlead.training.frame import Frame, folds_of

__all__ = ["Labels", "labels_of"]

Array = np.ndarray[Any, Any]
ENOUGH: Final = 200  # labels of people and tests from which chances are held against them alone
KNOWN: Final = 50  # labels from which an endpoint's mean tells what being preferred is worth
Z90: Final = 1.645
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
    sure: Array  # (n, K) whether people or tests gave it
    preferred: Array | None = None  # (K,) abilities of endpoints in comparisons, NaN where there was none

    def __len__(self) -> int:
        return len(self.row)

    @property
    def mean(self) -> Array:
        """Each endpoint's weighted mean score (K,), drawn by 5 labels to the overall one or to what is preferred."""
        weight, total = self.weight.sum(axis=0), (self.weight * self.score).sum(axis=0)
        overall = np.full(len(weight), total.sum() / max(weight.sum(), 1e-12))
        mean: Array = (total + 5 * expected(overall, weight, total, self.preferred)) / (weight + 5)
        return mean

    @property
    def proof(self) -> Array:
        """Weights (n, K) of labels that chances are held against: those of people and tests where there are enough."""
        alone = np.where(self.sure, self.weight, 0)
        return alone if (alone > 0).sum() >= ENOUGH else self.weight

    @property
    def counts(self) -> Array:
        """How many requests each endpoint (K,) has labels of."""
        seen: Array = (self.weight > 0).sum(axis=0)
        return seen


def expected(overall: Array, weight: Array, total: Array, preferred: Array | None) -> Array:
    """Give what is expected of each endpoint (K,) before its own labels: `overall`, or what its comparisons suggest.

    Comparisons have no scale: it is taken from the endpoints that have KNOWN labels too, three at least, and only where
    the better are seen to be preferred (a one-sided 95 % interval of the slope is above 0).
    """
    if preferred is None:
        return overall
    both = np.isfinite(preferred) & (weight >= KNOWN)
    if both.sum() < 3:
        return overall
    mean, ability = total[both] / weight[both], preferred[both] - preferred[both].mean()
    square = float((ability**2).sum())
    slope = float(ability @ mean) / max(square, 1e-12)
    rest = mean - mean.mean() - slope * ability
    error = float(np.sqrt((rest @ rest / (both.sum() - 2) + 0.25 / weight[both].min()) / max(square, 1e-12)))
    if slope - Z90 * error <= 0:
        return overall
    moved = np.clip(mean.mean() + slope * (preferred - preferred[both].mean()), 0.02, 0.98)
    return np.where(np.isfinite(preferred), moved, overall)


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
    sure = np.zeros(shape, dtype=bool)
    sure[cell] = True if frame.sure is None else frame.sure
    score = np.where(weight > 0, total / np.maximum(weight, 1e-12), 0).astype(np.float32)
    group = frame.group[first]
    return Labels(
        score=np.clip(score, 0, 1),
        weight=weight / np.maximum(count, 1),
        row=first,
        request=request,
        fold=folds_of(group, folds),
        group=group,
        sure=sure,
        preferred=frame.preferred,
    )


def _inverse(propensity: Array) -> Array:
    known = np.isfinite(propensity) & (propensity > 0)
    inverse = np.ones(len(propensity))
    if known.any():
        raw = 1 / propensity[known]
        inverse[known] = np.minimum(raw, STEEPEST * np.median(raw))
        inverse[known] /= inverse[known].mean()
    return inverse
