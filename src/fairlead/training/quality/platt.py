"""Log-odds made honest: Platt's two constants for each endpoint, drawn to the pooled ones where labels are few."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from sklearn.linear_model import LogisticRegression

from fairlead.training.quality.network import sigmoid

__all__ = ["apply", "platt"]

Array = np.ndarray[Any, Any]
STRENGTH: Final = 100.0  # an endpoint's own constants count as much as the pooled ones with this many labels


def platt(held: Array, score: Array, weight: Array) -> Array:
    """Fit slope and intercept (2, K) of log-odds on held-out prompts (Platt 1999): all arrays are (n, K).

    A score between 0 and 1 counts as a success by that share and as a failure by the rest.
    """
    seen = weight > 0
    pooled = _one(held[seen], score[seen], weight[seen], np.array([1.0, 0.0]))
    out = np.empty((2, score.shape[1]), np.float32)
    for k in range(score.shape[1]):
        mine = seen[:, k]
        own = _one(held[mine, k], score[mine, k], weight[mine, k], pooled)
        share = mine.sum() / (mine.sum() + STRENGTH)
        out[:, k] = share * own + (1 - share) * pooled
    return out


def apply(constants: Array, odds: Array) -> Array:
    """Give chances (n, K) of calibrated log-odds (n, K)."""
    return sigmoid(odds * constants[0] + constants[1])


def _one(odds: Array, score: Array, weight: Array, otherwise: Array) -> Array:
    """Slope and intercept of one set of labels; `otherwise` where they are all alike or point the wrong way."""
    won, lost = float((weight * score).sum()), float((weight * (1 - score)).sum())
    if min(won, lost) < 5 or float(np.ptp(odds)) < 1e-6:
        return otherwise
    x = np.concatenate([odds, odds])[:, None]
    y = np.repeat([1, 0], len(odds))
    found = LogisticRegression(C=1e3, max_iter=200).fit(
        x, y, sample_weight=np.concatenate([weight * score, weight * (1 - score)])
    )
    slope, base = float(found.coef_[0, 0]), float(found.intercept_[0])
    return np.array([slope, base]) if slope > 0 else np.array([0.0, float(np.log(won / lost))])
