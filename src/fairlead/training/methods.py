"""The ways to fit a predictor, by the name that its TOML gives as `method`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

import numpy as np

from fairlead.training import calibrate
from fairlead.training.failure import by_rates
from fairlead.training.fit import FittedHead, fit_head, learnable
from fairlead.training.forest import Binned
from fairlead.training.frame import Frame
from fairlead.training.predictor import TrainedPredictor, collect
from fairlead.training.quality import fit_quality
from fairlead.training.spec import Spec

__all__ = ["METHODS", "Method", "by_forest"]

Array = np.ndarray[Any, Any]
Method: TypeAlias = Callable[[Frame, Spec], tuple[TrainedPredictor, list[FittedHead]]]


def by_forest(frame: Frame, spec: Spec) -> tuple[TrainedPredictor, list[FittedHead]]:
    """Fit each head as a category table and a pooled forest on what the table leaves unexplained."""
    bins = Binned(frame)
    plans = [plan for plan in spec.heads if not plan.optional or learnable(frame, plan)]
    fitted = [fit_head(frame, plan, spec.params, binned=bins) for plan in plans]
    return collect(frame, spec, fitted, _margins(frame, fitted)), fitted


def by_ensemble(frame: Frame, spec: Spec) -> tuple[TrainedPredictor, list[FittedHead]]:
    """Fit quality as the mean of networks and a forest, contrasts between endpoints shrunk."""
    fitted: list[FittedHead] = [fit_quality(frame, plan, spec.params) for plan in spec.heads]
    return collect(frame, spec, fitted, _margins(frame, fitted)), fitted


METHODS: Final[dict[str, Method]] = {"forest": by_forest, "ensemble": by_ensemble, "rates": by_rates}


def _margins(frame: Frame, fitted: list[FittedHead]) -> tuple[Array, Array] | None:
    for head in fitted:
        if head.plan.name == "quality":
            actual = frame.targets["quality"][head.rows]
            return calibrate.margins(head.oof_own, actual, frame.endpoint[head.rows], len(frame.endpoints))
    return None
