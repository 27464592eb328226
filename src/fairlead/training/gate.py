"""Decides whether a new fit replaces the champion."""

from __future__ import annotations

from typing import Final

import numpy as np
from msgspec import Struct

from fairlead.training.fit import FittedHead, loss
from fairlead.training.frame import Frame
from fairlead.training.predictor import TrainedHead, TrainedPredictor, own_predictions
from fairlead.training.spec import HeadPlan

__all__ = ["Verdict", "judge"]

FRESH_ROWS: Final = 50  # fewer rows that the champion has not seen say nothing


class Verdict(Struct, frozen=True):
    """Whether to promote, and why in words."""

    promote: bool
    reason: str


def judge(
    candidate: TrainedPredictor, fitted: list[FittedHead], champion: TrainedPredictor | None, frame: Frame
) -> Verdict:
    """Compare a candidate with the champion on rows that neither has learned from.

    The champion predicts rows newer than its training; the candidate's numbers for them are out of fold. Without
    enough such rows the two out-of-fold losses are compared.
    """
    if champion is None:
        return Verdict(True, "first of its name")
    if champion.signature != candidate.signature:
        return Verdict(True, "endpoints, routes or features changed, so the champion no longer fits them")
    if _declared(champion) != _declared(candidate):
        return Verdict(True, "heads or features were declared anew, so the champion answers another question")
    limit = candidate.spec.gate.at_most
    ratios = {
        head.plan.name: _ratio(head, champion, old, frame) for head, old in zip(fitted, champion.heads, strict=True)
    }
    said = ", ".join(f"{name} {ratio:.3f}" for name, ratio in ratios.items())
    return Verdict(
        all(ratio <= limit for ratio in ratios.values()),
        f"{candidate.spec.gate.metric} as a share of the champion's: {said}; at most {limit}",
    )


def _declared(predictor: TrainedPredictor) -> tuple[list[str], list[HeadPlan]]:
    return sorted(predictor.spec.features), [head.plan for head in predictor.heads]


def _ratio(head: FittedHead, champion: TrainedPredictor, old: TrainedHead, frame: Frame) -> float:
    fresh = frame.time[head.rows] > champion.trained_until
    if fresh.sum() < FRESH_ROWS:
        return head.metrics["loss_served"] / max(old.metrics["loss_served"], 1e-12)
    actual, own = head.actual(frame)[fresh], head.oof_own[fresh]
    mine = np.log(own / (1 - own)) if head.link == "sigmoid" else np.log(own / head.base[fresh])
    theirs = own_predictions(champion, old, frame.take(head.rows[fresh]))
    return float(loss(head.plan, actual, mine).mean() / max(loss(head.plan, actual, theirs).mean(), 1e-12))
