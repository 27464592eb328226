"""Grows LightGBM forests on rows that were binned once: folds and heads share the bins.

A frame is handed to LightGBM a block at a time and kept there as one byte a value, so that neither a table of floats
nor a second copy of the features is ever made, whatever the number of rows.
"""

from __future__ import annotations

import os
from typing import Any, Final

import lightgbm as lgb
import numpy as np

from fairlead.training.frame import Frame
from fairlead.training.spec import HeadPlan, Params

__all__ = ["Binned", "everywhere", "grow", "predict"]

Array = np.ndarray[Any, Any]
PATIENCE: Final = 30
BLOCK: Final = 100_000  # rows that are laid out as floats at a time
SAMPLED: Final = 200_000  # rows that the bins' edges are taken from, evenly spread
TREE_ROWS: Final = 1_000_000  # a tree learns from at most as many rows, drawn anew for each
BINS: Final = 63
_MANY: Final = 2_000_000  # rows from which a second, row-wise copy of the bins is not worth its memory


class Binned:
    """A frame's rows as LightGBM holds them; ask for the rows that a fold or a head learns from.

    Edges of bins are taken from all rows, which tells nothing of their targets.
    """

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self._settings: dict[str, Any] = {
            "max_bin": BINS,
            "verbosity": -1,
            "num_threads": threads(),
            "feature_pre_filter": False,
        }
        self._categories = [at for at, column in enumerate(frame.columns) if column.kind == "category"]
        if len(frame) <= SAMPLED:
            self._all = self._dataset(frame.rows())
        else:
            edges = self._dataset(frame.rows(np.linspace(0, len(frame) - 1, SAMPLED).astype(np.int64)))
            self._all = self._dataset(_Blocks(frame), edges.construct())
        self._all.set_label(np.zeros(len(frame), dtype=np.float32))
        self._all.construct()

    def take(self, index: Array, value: Array, start: Array, weight: Array | None = None) -> lgb.Dataset:
        """Give rows (n,) with what they are to say and where their forest begins, both (n,) in link space."""
        data = self._all
        if len(index) < len(self.frame):
            # Constructed first: what is set on a part before that is lost, and the whole's stays.
            data = data.subset(np.asarray(index, dtype=np.int32), params=self._settings).construct()
        data.set_label(value)
        data.set_init_score(start)
        data.set_weight(weight)
        return data

    def _dataset(self, rows: Any, reference: lgb.Dataset | None = None) -> lgb.Dataset:
        return lgb.Dataset(
            rows,
            categorical_feature=self._categories,
            reference=reference,
            params=self._settings,
            free_raw_data=True,
        )


class _Blocks(lgb.Sequence):
    """A frame as LightGBM reads it: laid out a block at a time."""

    batch_size = BLOCK

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def __getitem__(self, index: Any) -> Array:
        if isinstance(index, slice):
            return self._frame.rows(np.arange(*index.indices(len(self._frame))))
        return self._frame.rows(np.atleast_1d(index))[0] if np.isscalar(index) else self._frame.rows(np.array(index))

    def __len__(self) -> int:
        return len(self._frame)


def grow(
    frame: Frame, plan: HeadPlan, params: Params, data: lgb.Dataset, check: lgb.Dataset | None = None, trees: int = 0
) -> lgb.Booster:
    """Grow `trees` trees; with `check`, as many as do it good, at most `params.rounds`."""
    settings = _settings(frame, plan, params, len(data.label))
    if check is None:
        return lgb.train(settings, data, trees)
    stop = lgb.early_stopping(PATIENCE, verbose=False)
    return lgb.train(settings, data, params.rounds, valid_sets=[check], callbacks=[stop])


def predict(frame: Frame, booster: lgb.Booster, index: Array, trees: int) -> Array:
    """Sum the leaves of rows (n,) at the endpoint that served them, in link space."""
    out = np.zeros(len(index))
    for at in range(0, len(index) if trees else 0, BLOCK):
        part = slice(at, at + BLOCK)
        out[part] = booster.predict(frame.rows(index[part]), raw_score=True, num_iteration=trees)
    return out


def everywhere(frame: Frame, booster: lgb.Booster, index: Array, trees: int) -> Array:
    """Sum the leaves of rows at every endpoint, as its state is now: (n, K), in link space."""
    endpoints = frame.endpoint_rows()
    request = np.array([column.owner == "request" for column in frame.columns])
    out = np.zeros((len(index), len(endpoints)))
    step = max(1, BLOCK // max(len(endpoints), 1))
    for at in range(0, len(index) if trees else 0, step):
        part = slice(at, at + step)
        rows = frame.rows(index[part])
        tiled = np.tile(endpoints, (len(rows), 1))
        tiled[:, request] = np.repeat(rows[:, request], len(endpoints), axis=0)
        raw = np.asarray(booster.predict(tiled, raw_score=True, num_iteration=trees))
        out[part] = raw.reshape(len(rows), len(endpoints))
    return out


def threads() -> int:
    """Give how many threads to grow and predict with: two, or what OMP_NUM_THREADS says."""
    return min(int(os.environ.get("OMP_NUM_THREADS", "2")), os.cpu_count() or 1)


def _settings(frame: Frame, plan: HeadPlan, params: Params, rows: int) -> dict[str, Any]:
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
        "bagging_fraction": min(params.row_share, TREE_ROWS / max(rows, 1)),
        "bagging_freq": 1,
        "lambda_l2": params.l2,
        "max_bin": BINS,
        "cat_smooth": 10,
        "min_data_per_group": params.min_data_in_leaf,
        "seed": 0,
        "deterministic": True,
        "force_col_wise" if rows > _MANY else "force_row_wise": True,
        "feature_pre_filter": False,
        "num_threads": threads(),
        "verbosity": -1,
    }
