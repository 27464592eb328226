"""Looks for better params of a predictor's forests within a span of time; what is found has to prove itself.

Trials are judged out of fold on part of the prompts. The best of them is compared with the declared params on the
prompts that no trial saw, and is taken only where its gain there has a 95 % interval above 0: the best of many trials
flatters itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import Struct

from fairlead.errors import UsageError
from fairlead.training.fit import fit_head, learnable, linked
from fairlead.training.forest import Binned
from fairlead.training.frame import Frame, folds_of
from fairlead.training.losses import Z95, loss
from fairlead.training.methods import by_forest
from fairlead.training.predictor import own_predictions
from fairlead.training.spec import HeadPlan, Params, Spec

__all__ = ["Found", "Trial", "search"]

Array = np.ndarray[Any, Any]
MOST_ROWS: Final = 200_000  # of whole prompts; trials on more say no more of which params are better
_CONFIRM: Final = 4  # one in so many prompts is kept from the trials


class Trial(Struct, frozen=True, kw_only=True):
    """One try: the heads' losses as a share of those of the declared params, averaged."""

    params: dict[str, float]
    loss: float


class Found(Struct, frozen=True, kw_only=True):
    """The params to use, and why: the gain is a share of the declared params' loss on prompts that no trial saw."""

    params: Params
    better: bool
    reason: str
    gain: float
    gain_low: float
    gain_high: float
    trials: list[Trial]


def search(
    frame: Frame,
    spec: Spec,
    *,
    seconds: float,
    most_trials: int = 200,
    seed: int = 0,
    progress: Callable[[str, float], None] | None = None,
) -> Found:
    """Search the params of a predictor's forests for about `seconds`, with Optuna's TPE (Bergstra et al. 2011).

    The same seed and number of trials give the same answer; how many trials there are depends on the time. Raises
    UsageError for a predictor without forests, ModelError where there are too few rows.
    """
    import optuna

    if spec.method == "rates" or not seconds > 0:
        raise UsageError(f"{spec.name}: expected a predictor with forests and more than 0 seconds to search in")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    frame = _sampled(frame)
    aside = folds_of(frame.group, _CONFIRM) == 0
    seen, unseen = frame.take(np.flatnonzero(~aside)), frame.take(np.flatnonzero(aside))
    plans = [plan for plan in spec.heads if learnable(seen, plan)]
    bins = Binned(seen)
    begun, trials = time.monotonic(), []
    declared = _losses(seen, plans, spec.params, bins)

    def objective(trial: Any) -> float:
        params = _suggested(trial, spec.params)
        value = float(np.mean(_losses(seen, plans, params, bins) / declared))
        trials.append(Trial(params=trial.params, loss=value))
        if progress:
            progress(f"{spec.name}: trial {len(trials)}", min(1.0, (time.monotonic() - begun) / seconds))
        return value

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    left = seconds - (time.monotonic() - begun)
    if left > 0:
        study.optimize(objective, n_trials=most_trials, timeout=left)
    if not trials or study.best_value >= 1.0:
        return _kept(spec, trials, "no trial was better than the declared params")
    best = _suggested(optuna.trial.FixedTrial(study.best_params), spec.params)
    gain = _gain(seen, unseen, msgspec.structs.replace(spec, heads=plans), best)
    said = f"{gain[0]:+.1%} [{gain[1]:+.1%}, {gain[2]:+.1%}] of the loss on prompts that no trial saw"
    if gain[1] <= 0:
        return _kept(spec, trials, f"the best of {len(trials)} trials is not surely better: {said}", gain)
    return Found(
        params=best,
        better=True,
        reason=f"the best of {len(trials)} trials: {said}",
        gain=gain[0],
        gain_low=gain[1],
        gain_high=gain[2],
        trials=trials,
    )


def _kept(spec: Spec, trials: list[Trial], reason: str, gain: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Found:
    return Found(
        params=spec.params,
        better=False,
        reason=reason,
        gain=gain[0],
        gain_low=gain[1],
        gain_high=gain[2],
        trials=trials,
    )


def _suggested(trial: Any, declared: Params) -> Params:
    return msgspec.structs.replace(
        declared,
        num_leaves=trial.suggest_int("num_leaves", 7, 63, log=True),
        learning_rate=trial.suggest_float("learning_rate", 0.02, 0.2, log=True),
        min_data_in_leaf=trial.suggest_int("min_data_in_leaf", 5, 200, log=True),
        feature_share=trial.suggest_float("feature_share", 0.2, 1.0),
        row_share=trial.suggest_float("row_share", 0.5, 1.0),
        l2=trial.suggest_float("l2", 0.01, 30.0, log=True),
    )


def _losses(frame: Frame, plans: list[HeadPlan], params: Params, bins: Binned) -> Array:
    heads = (fit_head(frame, plan, params, every_endpoint=False, binned=bins) for plan in plans)
    return np.maximum([head.metrics["loss_served"] for head in heads], 1e-12)


def _gain(seen: Frame, unseen: Frame, spec: Spec, best: Params) -> tuple[float, float, float]:
    """Give the mean over heads of the share of the loss that is saved on unseen prompts, with its 95 % interval."""
    both = [by_forest(seen, msgspec.structs.replace(spec, params=params))[0] for params in (spec.params, best)]
    _, group = np.unique(unseen.group, return_inverse=True)
    saved, total = np.zeros(len(unseen)), 0
    for place, plan in enumerate(spec.heads):
        known = np.flatnonzero(np.isfinite(unseen.targets[plan.target]))
        if not known.size:
            continue
        part = unseen.take(known)
        actual = linked(part.targets[plan.target], part, np.arange(known.size), plan)
        before, after = (loss(plan, actual, own_predictions(one, one.heads[place], part)) for one in both)
        saved[known] += (before - after) / max(float(before.mean()), 1e-12) * len(unseen) / known.size
        total += 1
    saved /= max(total, 1)
    mean = float(saved.mean())
    error = float(np.sqrt((np.bincount(group, weights=saved - mean) ** 2).sum())) / len(saved)
    return mean, mean - Z95 * error, mean + Z95 * error


def _sampled(frame: Frame) -> Frame:
    if len(frame) <= MOST_ROWS:
        return frame
    names, which = np.unique(frame.group, return_inverse=True)
    order = np.random.default_rng(0).permutation(len(names))
    return frame.take(np.flatnonzero(order[which] < len(names) * MOST_ROWS / len(frame)))
