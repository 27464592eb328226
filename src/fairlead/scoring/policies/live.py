"""What policies share in reading live state: room under rate limits, slow starts, and the fewest of something."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fairlead.scoring.view import View

__all__ = ["fewest", "slow_start", "with_headroom"]

Array = np.ndarray[Any, Any]


def with_headroom(allowed: Array, view: View | None, headroom: float) -> Array:
    """Leave out endpoints with less than this share of their rate limit left, while others are left: (..., K).

    An unknown headroom (NaN) leaves nothing out.
    """
    if view is None or headroom <= 0:
        return allowed
    kept = allowed & ~(view.headroom < headroom)
    return np.where(kept.any(axis=-1, keepdims=True), kept, allowed)


def slow_start(choose: Callable[[Array], Array], allowed: Array, view: View | None) -> Array:
    """Give `choose(allowed)`, where a returning endpoint has only its admitted share of its probability: (..., K).

    What that frees goes where `choose` would send it if only the endpoints admitted most were there (usually the
    healthy ones), so a rule that gives everything to one endpoint has somewhere to send the rest.
    """
    chances = choose(allowed)
    if view is None or not (view.admitted < 1).any():
        return chances
    admitted = np.clip(np.nan_to_num(view.admitted, nan=1.0), 0.0, 1.0)
    peak = np.where(allowed, admitted, -1.0).max(axis=-1, keepdims=True)
    kept = chances * admitted
    freed = np.maximum(1.0 - kept.sum(axis=-1, keepdims=True), 0.0)
    result: Array = kept + freed * choose(allowed & (admitted >= peak))
    return result


def fewest(load: Array, allowed: Array) -> Array:
    """Give the allowed endpoints of least load even probabilities, the others none: (..., K).

    >>> fewest(np.array([2.0, 1.0, 1.0, 0.0]), np.array([True, True, True, False])).tolist()
    [0.0, 0.5, 0.5, 0.0]
    """
    masked = np.where(allowed, load, np.inf)
    least = allowed & (masked <= masked.min(axis=-1, keepdims=True))
    shares: Array = least / np.maximum(least.sum(axis=-1, keepdims=True), 1)
    return shares
