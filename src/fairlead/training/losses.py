"""What a fitted number is judged by: losses of rows, and how a forest compares with the tables beside it."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from fairlead.training.spec import HeadPlan

__all__ = ["compare", "loss"]

Array = np.ndarray[Any, Any]
Z95: Final = 1.959963984540054


def loss(plan: HeadPlan, actual: Array, predicted: Array) -> Array:
    """Give each row's loss (n,) from its value and its prediction, both in link space.

    Pinball at the head's alpha; for quality, where values are shares, the squared error (Brier); for failure the
    negative log-likelihood in nats, since a rare event's squared error says little.

    >>> round(float(loss(HeadPlan(name="p90", target="duration_s", alpha=0.9), np.array(1.0), np.array(0.0))), 3)
    0.9
    """
    if plan.target == "failed":
        nats: Array = np.logaddexp(0, predicted) - actual * predicted
        return nats
    if plan.alpha is None:
        brier: Array = (actual - 1 / (1 + np.exp(-predicted))) ** 2
        return brier
    over = actual - predicted
    pinball: Array = np.maximum(plan.alpha * over, (plan.alpha - 1) * over)
    return pinball


def compare(
    plan: HeadPlan, actual: Array, predicted: dict[str, Array], group: Array, weight: Array | None = None
) -> dict[str, float]:
    """Compare forest, table and endpoint mean (`predicted`, each (n,)) on the same rows, weighed by `weight` (n,).

    The gain of the forest over the table has a 95 % interval over groups, since rows of one prompt move together.
    """
    share = 1.0 if weight is None else weight / weight.mean()
    losses = {name: share * loss(plan, actual, value) for name, value in predicted.items()}
    gain = losses["table"] - losses["forest"]
    _, which = np.unique(group, return_inverse=True)
    error = float(np.sqrt((np.bincount(which, weights=gain - gain.mean()) ** 2).sum())) / len(gain)
    metrics = {
        "loss": float(losses["forest"].mean()),
        "loss_table": float(losses["table"].mean()),
        "loss_endpoint_mean": float(losses["endpoint_mean"].mean()),
        "gain_over_table": float(gain.mean()),
        "gain_low": float(gain.mean()) - Z95 * error,
        "gain_high": float(gain.mean()) + Z95 * error,
        "rows": float(len(gain)),
    }
    if plan.alpha is not None:
        metrics["coverage"] = float((actual <= predicted["forest"]).mean())
    return metrics
