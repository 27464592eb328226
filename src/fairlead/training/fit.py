"""Fits one predicted number: a category table, and a LightGBM forest on what the table leaves unexplained."""

from __future__ import annotations

import os
from typing import Any, Final, Literal

import lightgbm as lgb
import numpy as np
from msgspec import Struct

from fairlead.errors import ModelError
from fairlead.scoring.table import CategoryTable
from fairlead.training import calibrate, tables
from fairlead.training.frame import Frame, folds_of
from fairlead.training.spec import HeadPlan, Params

__all__ = ["FittedHead", "fit_head", "loss"]

Array = np.ndarray[Any, Any]
FOLDS: Final = 4
PATIENCE: Final = 30
LEAST_ROWS: Final = 50
Z95: Final = 1.959963984540054
_LEAST: Final = {"duration_s": 1e-3, "cost_usd": 1e-12}  # smaller values are measurement noise; tokens count from 1


class FittedHead(Struct, frozen=True, kw_only=True):
    """A fitted number, in link space: `table[route, endpoint] (+ forest + offset)`.

    `scale` (2, K) turns medians into means, for the table and for the forest. `oof` (n, K) are out-of-fold
    predictions of what is served, in natural units, for the rows `rows` of the frame (one column, the row's own
    endpoint, when only that was asked for); `oof_own` (n,) is the row's own endpoint. `metrics` compare forest, table
    and endpoint mean on the same rows. `base` (n,) is what the target was divided by before its logarithm.
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


class _Rows(Struct, frozen=True):
    """What one head learns from: forest input, value in link space, codes, folds."""

    x: Array
    value: Array
    route: Array
    endpoint: Array
    fold: Array
    group: Array


def fit_head(frame: Frame, plan: HeadPlan, params: Params, *, every_endpoint: bool = True) -> FittedHead:
    """Fit a head; ModelError when there are too few rows with its target."""
    target = frame.targets.get(plan.target, np.full(len(frame), np.nan))
    kept = np.flatnonzero(np.isfinite(target))
    if kept.size < LEAST_ROWS:
        more = "feedback" if plan.target == "quality" else "logs"
        raise ModelError(
            f"{plan.name}: {kept.size} rows have {plan.target}, {LEAST_ROWS} are needed; ingest more {more}"
        )
    part = frame.take(kept)
    if len(np.unique(part.group)) < FOLDS:
        raise ModelError(
            f"{plan.name}: the rows with {plan.target} repeat fewer than {FOLDS} prompts, so none can be held out; "
            "ingest logs with more different prompts"
        )
    link: Literal["exp", "sigmoid"] = "sigmoid" if plan.alpha is None else "exp"
    natural, base = target[kept], part.base_tokens if plan.target == "input_tokens" else np.ones(kept.size)
    value = natural if link == "sigmoid" else _log(natural, base, plan)
    rows = _Rows(part.rows(), value, part.route, part.endpoint, folds_of(part.group, FOLDS), part.group)
    shape = (part.routes + 1, len(part.endpoints))
    held, trees = _out_of_fold(part, rows, plan, params, shape, every_endpoint)
    own_forest, own_table = held.own + held.own_trees, held.own
    table, table_offset, forest_offset = _tables(rows, plan, shape, own_table, own_forest)
    own_forest, own_table = own_forest + forest_offset[rows.endpoint], own_table + table_offset[rows.endpoint]
    metrics = _compare(rows, plan, own_forest, own_table, shape)
    serve: Literal["forest", "table"] = "forest" if trees and metrics["gain_low"] > 0 else "table"
    metrics["loss_served"] = metrics["loss" if serve == "forest" else "loss_table"]
    booster = _grow(part, rows, _crossfit(rows, plan, shape, rows.fold), plan, params, trees) if trees else ""
    if every_endpoint:
        best = held.all + (held.all_trees + forest_offset if serve == "forest" else table_offset)
    else:
        best = (own_forest if serve == "forest" else own_table)[:, None]
    predicted = {"table": _natural(own_table, link) * base, "forest": _natural(own_forest, link) * base}
    scale = [calibrate.smearing(natural, predicted[kind], rows.endpoint, shape[1]) for kind in ("table", "forest")]
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


def loss(plan: HeadPlan, actual: Array, predicted: Array) -> Array:
    """Give each row's loss in link space: pinball at the head's alpha, or squared error for quality (Brier)."""
    if plan.alpha is None:
        brier: Array = (actual - 1 / (1 + np.exp(-predicted))) ** 2
        return brier
    over = actual - predicted
    pinball: Array = np.maximum(plan.alpha * over, (plan.alpha - 1) * over)
    return pinball


def _log(value: Array, base: Array, plan: HeadPlan) -> Array:
    logged: Array = np.log(np.maximum(value, _LEAST.get(plan.target, 1.0)) / base)
    return logged


def _out_of_fold(
    frame: Frame, rows: _Rows, plan: HeadPlan, params: Params, shape: tuple[int, int], every_endpoint: bool
) -> tuple[_Held, int]:
    """Fit on all folds but one and predict that one; give the predictions and the number of trees that did best."""
    boosters, fitted = [], []
    for part in range(FOLDS):
        train, held = rows.fold != part, rows.fold == part
        inner = _Rows(*(getattr(rows, name)[train] for name in _Rows.__struct_fields__))
        table, start = _table(inner, plan, shape), np.zeros(len(rows.value))
        start[train] = _crossfit(inner, plan, shape, inner.fold)
        start[held] = CategoryTable(values=table).lookup(rows.route[held])[np.arange(held.sum()), rows.endpoint[held]]
        boosters.append(_boost(frame, rows, start, plan, params, train, held))
        fitted.append(table)
    trees = int(np.mean([max(booster.best_iteration, 0) for booster in boosters]))
    size, wide = len(rows.value), (len(rows.value), shape[1] if every_endpoint else 1)
    out = _Held(np.zeros(size), np.zeros(size), np.zeros(wide), np.zeros(wide))
    for part, booster in enumerate(boosters):
        mine = np.flatnonzero(rows.fold == part)
        table = CategoryTable(values=fitted[part]).lookup(rows.route[mine])
        out.own[mine] = table[np.arange(mine.size), rows.endpoint[mine]]
        if trees:
            out.own_trees[mine] = np.asarray(booster.predict(rows.x[mine], raw_score=True, num_iteration=trees))
        if every_endpoint:
            out.all[mine] = table
            out.all_trees[mine] = _everywhere(frame, rows.x[mine], booster, trees)
    return out, trees


def _everywhere(frame: Frame, x: Array, booster: lgb.Booster, trees: int) -> Array:
    """Ask the forest for each row at every endpoint: (n, K)."""
    if not trees:
        return np.zeros((len(x), len(frame.endpoints)))
    endpoints = frame.endpoint_rows()
    request = np.array([column.owner == "request" for column in frame.columns])
    tiled = np.tile(endpoints, (len(x), 1))
    tiled[:, request] = np.repeat(x[:, request], len(endpoints), axis=0)
    raw: Array = np.asarray(booster.predict(tiled, raw_score=True, num_iteration=trees))
    return raw.reshape(len(x), len(endpoints))


def _tables(
    rows: _Rows, plan: HeadPlan, shape: tuple[int, int], own_table: Array, own_forest: Array
) -> tuple[Array, Array, Array]:
    table = _table(rows, plan, shape)
    if plan.alpha is None:
        return table, np.zeros(shape[1]), np.zeros(shape[1])
    shifts = [
        calibrate.offsets(rows.value - own, rows.endpoint, shape[1], plan.alpha) for own in (own_table, own_forest)
    ]
    return table, shifts[0], shifts[1]


def _table(rows: _Rows, plan: HeadPlan, shape: tuple[int, int]) -> Array:
    return _linked(tables.fit(rows.value, rows.route, rows.endpoint, shape), plan)


def _crossfit(rows: _Rows, plan: HeadPlan, shape: tuple[int, int], fold: Array) -> Array:
    return _linked(tables.crossfit(rows.value, rows.route, rows.endpoint, shape, fold), plan)


def _linked(table: Array, plan: HeadPlan) -> Array:
    if plan.alpha is not None:
        return table
    share = np.clip(table, 0.01, 0.99)
    logit: Array = np.log(share / (1 - share))
    return logit


def _natural(value: Array, link: str) -> Array:
    natural: Array = np.exp(value) if link == "exp" else 1 / (1 + np.exp(-value))
    return natural


def _compare(rows: _Rows, plan: HeadPlan, forest: Array, table: Array, shape: tuple[int, int]) -> dict[str, float]:
    """Compare losses out of fold; the gain's 95 % interval is over groups, since rows of one prompt move together."""
    none = np.full(len(rows.value), np.nan)
    mean = _linked(tables.crossfit(rows.value, none, rows.endpoint, shape, rows.fold), plan)
    if plan.alpha is not None:
        mean = mean + calibrate.offsets(rows.value - mean, rows.endpoint, shape[1], plan.alpha)[rows.endpoint]
    by_forest, by_table = loss(plan, rows.value, forest), loss(plan, rows.value, table)
    _, group = np.unique(rows.group, return_inverse=True)
    gain = by_table - by_forest
    per_group = np.bincount(group, weights=gain - gain.mean())
    error = float(np.sqrt((per_group**2).sum())) / len(gain)
    metrics = {
        "loss": float(by_forest.mean()),
        "loss_table": float(by_table.mean()),
        "loss_endpoint_mean": float(loss(plan, rows.value, mean).mean()),
        "gain_over_table": float(gain.mean()),
        "gain_low": float(gain.mean()) - Z95 * error,
        "gain_high": float(gain.mean()) + Z95 * error,
        "rows": float(len(gain)),
    }
    if plan.alpha is not None:
        metrics["coverage"] = float((rows.value <= forest).mean())
    return metrics


def _boost(
    frame: Frame, rows: _Rows, start: Array, plan: HeadPlan, params: Params, train: Array, held: Array
) -> lgb.Booster:
    data = _dataset(frame, rows, start, train)
    check = _dataset(frame, rows, start, held, data)
    stop = lgb.early_stopping(PATIENCE, verbose=False)
    return lgb.train(_params(frame, plan, params), data, params.rounds, valid_sets=[check], callbacks=[stop])


def _grow(frame: Frame, rows: _Rows, start: Array, plan: HeadPlan, params: Params, trees: int) -> str:
    everything = np.ones(len(rows.value), dtype=bool)
    booster = lgb.train(_params(frame, plan, params), _dataset(frame, rows, start, everything), trees)
    return str(booster.model_to_string(num_iteration=trees))


def _dataset(frame: Frame, rows: _Rows, start: Array, keep: Array, reference: lgb.Dataset | None = None) -> lgb.Dataset:
    return lgb.Dataset(
        rows.x[keep],
        label=rows.value[keep],
        init_score=start[keep],
        categorical_feature=[index for index, column in enumerate(frame.columns) if column.kind == "category"],
        reference=reference,
        params={"max_bin": 63, "verbosity": -1, "num_threads": _threads()},
        free_raw_data=True,
    )


def _params(frame: Frame, plan: HeadPlan, params: Params) -> dict[str, Any]:
    state = [index for index, column in enumerate(frame.columns) if column.owner == "state"]
    others = [index for index in range(len(frame.columns)) if index not in state]
    goal = {"objective": "cross_entropy"} if plan.alpha is None else {"objective": "quantile", "alpha": plan.alpha}
    # The state of an endpoint may not interact with the request: its trees then are constants of the endpoint.
    constraints = {"interaction_constraints": [others, state]} if state else {}
    return {
        **goal,
        **constraints,
        "num_leaves": params.num_leaves,
        "learning_rate": params.learning_rate,
        "min_data_in_leaf": params.min_data_in_leaf,
        "feature_fraction": params.feature_share,
        "bagging_fraction": params.row_share,
        "bagging_freq": 1,
        "lambda_l2": params.l2,
        "max_bin": 63,
        "cat_smooth": 10,
        "min_data_per_group": params.min_data_in_leaf,
        "seed": 0,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": _threads(),
        "verbosity": -1,
    }


def _threads() -> int:
    return min(int(os.environ.get("OMP_NUM_THREADS", "2")), os.cpu_count() or 1)
