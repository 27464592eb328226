"""Fits one predicted number: a category table, and a LightGBM forest on what the table leaves unexplained.

The table of a quantile is a table of quantiles: a forest that began at means would spend its trees on the distance.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import lightgbm as lgb
import msgspec
import numpy as np
from msgspec import Struct

from fairlead.errors import ModelError
from fairlead.scoring.table import CategoryTable
from fairlead.training import calibrate
from fairlead.training.forest import Binned, everywhere, grow, predict
from fairlead.training.frame import Frame, folds_of
from fairlead.training.losses import compare, loss
from fairlead.training.rows import HeadRows
from fairlead.training.spec import HeadPlan, Params

__all__ = ["FittedHead", "fit_head", "learnable", "linked", "loss"]

Array = np.ndarray[Any, Any]
FOLDS: Final = 4
LEAST_ROWS: Final = 50
AUDIT_ROWS: Final = 500_000  # rows that are predicted out of fold, whole prompts of them; with more, two folds do
_LEAST: Final = {"duration_s": 1e-3, "ttft_s": 1e-3, "cost_usd": 1e-12}  # below is noise of measuring; tokens: 1


class FittedHead(Struct, frozen=True, kw_only=True):
    """A fitted number, in link space: `table[route, endpoint] (+ forest + offset)`.

    `scale` (2, K) turns medians into means, for the table and for the forest. `oof` (n, K) are out-of-fold
    predictions of what is served, in natural units, for the rows `rows` of the frame (one column, the row's own
    endpoint, when only that was asked for); `oof_own` (n,) is the row's own endpoint. `metrics` compare forest, table
    and endpoint mean on the same rows. `base` (n,) is what the target was divided by before its logarithm. `rows` are
    all that have the target, or of many a sample of whole prompts.
    """

    plan: HeadPlan
    link: Literal["exp", "sigmoid"]
    serve: Literal["forest", "table"]
    table: Array
    offset: Array
    scale: Array
    booster: str
    trees: int
    metrics: dict[str, float]
    rows: Array
    oof: Array
    oof_own: Array
    base: Array

    def actual(self, frame: Frame) -> Array:
        """Give the target of the head's rows in link space: (n,)."""
        value = frame.targets[self.plan.target][self.rows]
        return value if self.link == "sigmoid" else _log(value, self.base, self.plan)


class _Held(Struct, frozen=True):
    """Out-of-fold predictions in link space: tables and trees, at the row's own endpoint and at all."""

    own: Array
    own_trees: Array
    all: Array
    all_trees: Array


def fit_head(
    frame: Frame, plan: HeadPlan, params: Params, *, every_endpoint: bool = True, binned: Binned | None = None
) -> FittedHead:
    """Fit a head; ModelError when there are too few rows with its target.

    Heads of one frame may share its bins: `binned = Binned(frame)`. The forest learns from all rows; what is known of
    it out of fold (losses, offsets, scales, which of forest and table is served) is read from at most AUDIT_ROWS.
    """
    kept, natural, base = _kept(frame, plan)
    link: Literal["exp", "sigmoid"] = "sigmoid" if plan.alpha is None else "exp"
    value = natural if link == "sigmoid" else _log(natural, base, plan)
    group = frame.group[kept]
    weight = frame.weight[kept] if plan.target == "quality" and frame.weight is not None else None
    rows = HeadRows(kept, value, frame.route[kept], frame.endpoint[kept], folds_of(group, FOLDS), group, weight)
    shape, bins = (frame.routes + 1, len(frame.endpoints)), binned or Binned(frame)
    seen = _audited(group)
    audit = rows
    if seen is not None:  # in folds of their own, since the sample is one of all rows' folds or a part of one
        natural, base, kept, group = natural[seen], base[seen], kept[seen], group[seen]
        audit = msgspec.structs.replace(rows.take(seen), fold=folds_of(group, FOLDS))
    held, trees = _out_of_fold(frame, bins, audit, plan, params, shape, every_endpoint)
    own_forest, own_table = held.own + held.own_trees, held.own
    table = rows.table(plan, shape)
    table_offset, forest_offset = (audit.offsets(own, plan, shape[1]) for own in (own_table, own_forest))
    own_forest, own_table = own_forest + forest_offset[audit.endpoint], own_table + table_offset[audit.endpoint]
    known = {"forest": own_forest, "table": own_table, "endpoint_mean": audit.endpoint_mean(plan, shape)}
    metrics = compare(plan, audit.value, known, audit.group, audit.weight)
    serve: Literal["forest", "table"] = "forest" if trees and metrics["gain_low"] > 0 else "table"
    metrics["loss_served"] = metrics["loss" if serve == "forest" else "loss_table"]
    booster = _grow(frame, bins, rows, plan, params, shape, trees) if trees else ""
    if every_endpoint:
        best = held.all + (held.all_trees + forest_offset if serve == "forest" else table_offset)
    else:
        best = known[serve][:, None]
    predicted = {"table": _natural(own_table, link) * base, "forest": _natural(own_forest, link) * base}
    scale = [calibrate.smearing(natural, predicted[kind], audit.endpoint, shape[1]) for kind in ("table", "forest")]
    return FittedHead(
        plan=plan,
        link=link,
        serve=serve,
        table=table + table_offset,
        offset=forest_offset - table_offset,
        scale=np.array(scale),
        booster=booster,
        trees=trees,
        metrics=metrics,
        rows=kept,
        oof=_natural(best, link) * base[:, None],
        base=base,
        oof_own=predicted[serve],
    )


def learnable(frame: Frame, plan: HeadPlan) -> bool:
    """Say whether enough rows, of enough prompts, have the target of a head."""
    kept = np.isfinite(frame.targets.get(plan.target, np.full(len(frame), np.nan)))
    return int(kept.sum()) >= LEAST_ROWS and len(np.unique(frame.group[kept])) >= FOLDS


def linked(value: Array, frame: Frame, kept: Array, plan: HeadPlan) -> Array:
    """Give targets (n,) of the rows `kept` in link space: shares as they are, all else as logarithms."""
    if plan.alpha is None:
        return value
    return _log(value, frame.base_tokens[kept] if plan.target == "input_tokens" else np.ones(kept.size), plan)


def _kept(frame: Frame, plan: HeadPlan) -> tuple[Array, Array, Array]:
    """Give the rows that have the target, their targets, and what these are divided by before the logarithm."""
    target = frame.targets.get(plan.target, np.full(len(frame), np.nan))
    kept = np.flatnonzero(np.isfinite(target))
    if kept.size < LEAST_ROWS:
        more = "feedback" if plan.target == "quality" else "logs"
        raise ModelError(
            f"{plan.name}: {kept.size} rows have {plan.target}, {LEAST_ROWS} are needed; ingest more {more}"
        )
    if len(np.unique(frame.group[kept])) < FOLDS:
        raise ModelError(
            f"{plan.name}: the rows with {plan.target} repeat fewer than {FOLDS} prompts, so none can be held out; "
            "ingest logs with more different prompts"
        )
    base = frame.base_tokens[kept] if plan.target == "input_tokens" else np.ones(kept.size)
    return kept, target[kept], base


def _audited(group: Array) -> Array | None:
    """Choose the rows that are predicted out of fold: all (None), or whole groups that make up about AUDIT_ROWS."""
    parts = -(-len(group) // AUDIT_ROWS)
    if parts <= 1:
        return None
    chosen = np.flatnonzero(folds_of(group, parts) == 0)
    return chosen if len(np.unique(group[chosen])) >= FOLDS else None


def _log(value: Array, base: Array, plan: HeadPlan) -> Array:
    logged: Array = np.log(np.maximum(value, _LEAST.get(plan.target, 1.0)) / base)
    return logged


def _out_of_fold(
    frame: Frame, bins: Binned, rows: HeadRows, plan: HeadPlan, params: Params, shape: tuple[int, int], everyone: bool
) -> tuple[_Held, int]:
    """Fit on all folds but one and predict that one; give the predictions and the number of trees that did best."""
    boosters: list[lgb.Booster] = []
    fitted = []
    folds = FOLDS if len(rows.index) < AUDIT_ROWS // 2 else 2
    for part in range(folds):
        held = rows.fold % folds == part
        inner, outer = rows.take(~held), rows.take(held)
        table = inner.table(plan, shape)
        data = bins.take(inner.index, inner.value, inner.crossfit(plan, shape), inner.weight)
        check = bins.take(outer.index, outer.value, outer.at(table), outer.weight)
        boosters.append(grow(frame, plan, params, data, check))
        fitted.append(table)
    trees = int(np.mean([max(booster.best_iteration, 0) for booster in boosters]))
    size, wide = len(rows.value), (len(rows.value), shape[1] if everyone else 1)
    out = _Held(np.zeros(size), np.zeros(size), np.zeros(wide), np.zeros(wide))
    for part, booster in enumerate(boosters):
        mine = np.flatnonzero(rows.fold % folds == part)
        own = rows.take(mine)
        out.own[mine] = own.at(fitted[part])
        out.own_trees[mine] = predict(frame, booster, own.index, trees)
        if everyone:
            out.all[mine] = CategoryTable(values=fitted[part]).lookup(own.route)
            out.all_trees[mine] = everywhere(frame, booster, own.index, trees)
    return out, trees


def _grow(
    frame: Frame, bins: Binned, rows: HeadRows, plan: HeadPlan, params: Params, shape: tuple[int, int], trees: int
) -> str:
    data = bins.take(rows.index, rows.value, rows.crossfit(plan, shape), rows.weight)
    return str(grow(frame, plan, params, data, trees=trees).model_to_string(num_iteration=trees))


def _natural(value: Array, link: str) -> Array:
    natural: Array = np.exp(value) if link == "exp" else 1 / (1 + np.exp(-value))
    return natural
