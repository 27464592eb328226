"""What makes a fitted number honest: conformal offsets, smearing factors, lower bounds of quality.

All three are taken from out-of-fold predictions, so they hold for prompts that were not learned from.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

__all__ = ["margins", "offsets", "smearing"]

Array = np.ndarray[Any, Any]
STRENGTH: Final = 100.0  # an endpoint's own residuals count as much as everyone's once there are this many
BINS: Final = 10
Z95_ONE_SIDED: Final = 1.6448536269514722


def offsets(residual: Array, endpoint: Array, endpoints: int, alpha: float) -> Array:
    """Give the shift (K,) after which a share `alpha` of outcomes lies below the prediction.

    Split conformal prediction (Vovk et al. 2005; Romano et al. 2019) on out-of-fold residuals, by endpoint, drawn
    towards the pooled shift where an endpoint has few.
    """
    if not residual.size:
        return np.zeros(endpoints)
    pooled = _upper_quantile(residual, alpha)
    out = np.full(endpoints, pooled)
    for k in range(endpoints):
        own = residual[endpoint == k]
        if own.size:
            share = own.size / (own.size + STRENGTH)
            out[k] = share * _upper_quantile(own, alpha) + (1 - share) * pooled
    return out


def smearing(actual: Array, predicted: Array, endpoint: Array, endpoints: int) -> Array:
    """Give the factor (K,) from predicted medians to means (Duan 1983, as a ratio of sums)."""
    pooled = float(actual.sum() / max(predicted.sum(), 1e-12)) if actual.size else 1.0
    out = np.full(endpoints, pooled)
    for k in range(endpoints):
        mine = endpoint == k
        size = int(mine.sum())
        if size:
            own = float(actual[mine].sum() / max(predicted[mine].sum(), 1e-12))
            out[k] = (size * own + STRENGTH * pooled) / (size + STRENGTH)
    return out


def margins(predicted: Array, actual: Array, endpoint: Array, endpoints: int) -> tuple[Array, Array]:
    """Give bin edges (B - 1,) and margins (K, B): quality minus margin is a one-sided 95 % lower bound of its mean.

    In each bin of predicted quality the bound is the observed mean less 1.645 standard errors of it (Agresti and
    Coull's adjusted ones, so that a bin without failures still has width).
    """
    if not predicted.size:
        return np.zeros(0), np.ones((endpoints, 1))
    edges = np.unique(np.quantile(predicted, np.linspace(0, 1, BINS + 1)[1:-1]))
    which = np.searchsorted(edges, predicted)
    out = np.ones((endpoints, len(edges) + 1))
    for k in range(endpoints):
        for b in range(len(edges) + 1):
            mine = (endpoint == k) & (which == b)
            size = int(mine.sum()) + 4
            mean = (float(actual[mine].sum()) + 2) / size
            bias = float((predicted[mine] - actual[mine]).mean()) if size > 4 else 0.0
            out[k, b] = min(1.0, max(0.0, bias) + Z95_ONE_SIDED * np.sqrt(mean * (1 - mean) / size))
    return edges, out


def _upper_quantile(values: Array, alpha: float) -> float:
    level = min(1.0, np.ceil((values.size + 1) * alpha) / values.size)
    return float(np.quantile(values, level, method="inverted_cdf"))
