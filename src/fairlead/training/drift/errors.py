"""Do the predictors still err as little as in training, and do their probabilities and bounds still hold?"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from scipy.stats import chi2

from fairlead.training.drift.check import Check, Verdict, cusum, unknown
from fairlead.training.fit import linked, loss
from fairlead.training.frame import Frame
from fairlead.training.predictor import TrainedHead, TrainedPredictor, own_predictions

__all__ = ["checks"]

Array = np.ndarray[Any, Any]
LEAST: Final = 200
_BLOCK: Final = 50  # rows that are looked at as one, in order of time
_TOLERATED: Final = 1.1  # times the training's loss
_ALARM: Final = 1.5
_ECE: Final = 0.05
_COVERAGE: Final = 0.04  # off what was promised, and twice that to alarm
_BINS: Final = 10
_SURE: Final = 1e-4


def checks(predictor: TrainedPredictor, fresh: Frame) -> list[Check]:
    """Hold each head's loss on the rows after the training against its out-of-fold loss, and its calibration.

    `fresh` is in the predictor's vocabulary, in order of time.
    """
    found = []
    for head in predictor.heads:
        target = fresh.targets.get(head.plan.target, np.full(len(fresh), np.nan))
        kept = np.flatnonzero(np.isfinite(target))
        if len(kept) < LEAST:
            why = f"{len(kept)} requests with {head.plan.target} since the training; {LEAST} are needed"
            found += [unknown(head.plan.name, "errors", why)]
            continue
        rows = fresh.take(kept)
        predicted = own_predictions(predictor, head, rows)
        actual = linked(target[kept], fresh, kept, head.plan)
        found.append(_errors(head, loss(head.plan, actual, predicted)))
        found.append(_ece(head, actual, predicted) if head.link == "sigmoid" else _coverage(head, actual, predicted))
    return found


def _errors(head: TrainedHead, losses: Array) -> Check:
    usual = max(head.metrics["loss_served"], 1e-12)
    blocks = np.array([part.mean() for part in np.array_split(losses, max(len(losses) // _BLOCK, 1))])
    # Neighbours are alike (one conversation, one incident), so blocks vary more than their rows alone say.
    spread = np.sqrt(2.0) * losses.std() / np.sqrt(len(losses) / len(blocks)) + 1e-12
    crossed = cusum((blocks - _TOLERATED * usual) / spread)
    ratio = float(losses.mean() / usual)
    verdict: Verdict = "ok" if crossed.at < 0 else "alarm" if ratio > _ALARM else "retrain"
    since = (
        f", lastingly since {len(blocks) - crossed.began} of {len(blocks)} blocks of {_BLOCK} requests ago"
        if crossed.at >= 0
        else ""
    )
    name = "Brier score" if head.link == "sigmoid" else "pinball loss"
    return Check(
        name=head.plan.name,
        group="errors",
        verdict=verdict,
        reason=(
            f"{name} {losses.mean():.4f} on {len(losses):,} new requests, {usual:.4f} in training (x{ratio:.2f}){since}"
        ),
        value=ratio,
        reference=1.0,
        limit=_TOLERATED,
    )


def _ece(head: TrainedHead, actual: Array, predicted: Array) -> Check:
    """Expected calibration error in ten bins of equal size, and whether it is more than chance (Hosmer-Lemeshow)."""
    chance = 1 / (1 + np.exp(-predicted))
    bins = np.array_split(np.argsort(chance, kind="stable"), _BINS)
    said = np.array([chance[part].mean() for part in bins])
    came = np.array([actual[part].mean() for part in bins])
    size = np.array([len(part) for part in bins])
    ece = float((size * np.abs(said - came)).sum() / size.sum())
    statistic = float((size * (said - came) ** 2 / np.maximum(said * (1 - said), 1e-6)).sum())
    sure = chi2.sf(statistic / 2, _BINS) < _SURE  # halved, since neighbours are alike
    verdict: Verdict = "ok" if ece <= _ECE or not sure else "alarm" if ece > 3 * _ECE else "retrain"
    return Check(
        name=head.plan.name,
        group="calibration",
        verdict=verdict,
        reason=f"said {chance.mean():.1%}, came {actual.mean():.1%}; calibration error {ece:.3f}, at most {_ECE}",
        value=ece,
        limit=_ECE,
    )


def _coverage(head: TrainedHead, actual: Array, predicted: Array) -> Check:
    promised = head.plan.alpha or 0.5
    trained = head.metrics.get("coverage")
    inside = float((actual <= predicted).mean())
    noise = 4 * np.sqrt(2 * promised * (1 - promised) / len(actual))
    # What it was in training is no news: that is for the gate to see.
    off = min(abs(inside - one) for one in (promised, trained) if one is not None)
    verdict: Verdict = (
        "ok" if off <= max(_COVERAGE, noise) else "alarm" if off > 2 * max(_COVERAGE, noise) else "retrain"
    )
    return Check(
        name=head.plan.name,
        group="calibration",
        verdict=verdict,
        reason=f"{inside:.1%} of {len(actual):,} new requests lie below the bound, {promised:.0%} were promised",
        value=inside,
        reference=promised,
        limit=_COVERAGE,
    )
