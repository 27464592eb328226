"""Fits the chance that a call fails: decayed rates by endpoint, and a pooled forest where it adds to them."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from fairlead.errors import ModelError
from fairlead.training import rates, tables
from fairlead.training.fit import FOLDS, LEAST_ROWS, FittedHead
from fairlead.training.forest import Binned, grow, predict
from fairlead.training.frame import Frame, folds_of
from fairlead.training.losses import compare, loss
from fairlead.training.predictor import TrainedPredictor, collect
from fairlead.training.spec import HeadPlan, Params, Spec

__all__ = ["by_rates", "fit_failure"]

Array = np.ndarray[Any, Any]
HOUR: float = 3600.0


def by_rates(frame: Frame, spec: Spec) -> tuple[TrainedPredictor, list[FittedHead]]:
    """Fit each head of a predictor as decayed rates and a forest."""
    fitted = [fit_failure(frame, plan, spec.params) for plan in spec.heads]
    return collect(frame, spec, fitted, None), fitted


def fit_failure(frame: Frame, plan: HeadPlan, params: Params) -> FittedHead:
    """Fit the head `failure`; ModelError when too few calls say how they ended.

    The table is the rate of each endpoint as of now, the same for every route. What it is judged by is the rate as it
    was known when each call began; the forest begins there too, learns from the request what rates cannot know (size,
    tools, the answer's limit), and is served only where that lowers the log-loss with an interval.
    """
    kept = np.flatnonzero(np.isfinite(frame.targets.get(plan.target, np.full(len(frame), np.nan))))
    if kept.size < LEAST_ROWS:
        raise ModelError(
            f"{plan.name}: {kept.size} calls say how they ended, {LEAST_ROWS} are needed; ingest more logs"
        )
    failed, begun, endpoint = frame.targets[plan.target][kept], frame.time[kept], frame.endpoint[kept]
    ended = begun if frame.ended is None else frame.ended[kept]
    groups = [_codes(names) for names in (frame.providers, frame.models, frame.regions or frame.endpoints)]
    known = rates.fit(failed, begun, ended, endpoint, groups, params.half_life_h * HOUR)
    start = known.logit[rates.state_at(known, begun), endpoint]
    own, booster, trees = _forest(frame, plan, params, kept, start)
    group, shape = frame.group[kept], (frame.routes + 1, len(frame.endpoints))
    mean = _endpoint_share(failed, endpoint, shape, folds_of(group, FOLDS))
    metrics = compare(plan, failed, {"forest": own, "table": start, "endpoint_mean": mean}, group)
    share = np.clip(failed.mean(), 1e-9, 1 - 1e-9)
    metrics["loss_global"] = float(loss(plan, failed, np.full(len(kept), np.log(share / (1 - share)))).mean())
    serve: Literal["forest", "table"] = "forest" if trees and metrics["gain_low"] > 0 else "table"
    metrics["loss_served"] = metrics["loss" if serve == "forest" else "loss_table"]
    best = 1 / (1 + np.exp(-(own if serve == "forest" else start)))
    return FittedHead(
        plan=plan,
        link="sigmoid",
        serve=serve,
        table=np.repeat(known.now[None, :], shape[0], axis=0),
        offset=np.zeros(shape[1]),
        scale=np.ones((2, shape[1])),
        booster=booster if serve == "forest" else "",
        trees=trees if serve == "forest" else 0,
        metrics=metrics,
        rows=kept,
        oof=best[:, None],
        oof_own=best,
        base=np.ones(kept.size),
    )


def _forest(frame: Frame, plan: HeadPlan, params: Params, kept: Array, start: Array) -> tuple[Array, str, int]:
    """Grow a forest on what the rates leave; give its predictions out of fold, its text and its number of trees."""
    failed, fold = frame.targets[plan.target][kept], folds_of(frame.group[kept], FOLDS)
    if len(np.unique(fold)) < FOLDS or not 0 < failed.mean() < 1:
        return start, "", 0
    bins, boosters = Binned(frame), []
    for part in range(FOLDS):
        data, check = (bins.take(kept[mine], failed[mine], start[mine]) for mine in (fold != part, fold == part))
        boosters.append(grow(frame, plan, params, data, check))
    trees = int(np.mean([max(booster.best_iteration, 0) for booster in boosters]))
    if not trees:
        return start, "", 0
    own = start.copy()
    for part, booster in enumerate(boosters):
        own[fold == part] += predict(frame, booster, kept[fold == part], trees)
    final = grow(frame, plan, params, bins.take(kept, failed, start), trees=trees)
    return own, str(final.model_to_string(num_iteration=trees)), trees


def _endpoint_share(failed: Array, endpoint: Array, shape: tuple[int, int], fold: Array) -> Array:
    """Give each endpoint's plain share of failures on the other folds, in log-odds: what rates must beat too."""
    share = np.clip(tables.crossfit(failed, np.full(len(failed), np.nan), endpoint, shape, fold), 1e-4, 1 - 1e-4)
    logit: Array = np.log(share / (1 - share))
    return logit


def _codes(names: tuple[str, ...]) -> Array:
    codes: Array = np.unique(np.array(names), return_inverse=True)[1]
    return codes
