"""Other ways to a quantile of latency or tokens, beside the learned one of benchmarks/quantiles.py.

    python benchmarks/quantiles_ways.py ROUTING_FOLDER [--set bfcl_2024_07] [--target duration_s] [--ways category ...]

`category`: the quantile of the model's rows on the same route. `learned`: as `train` fits it. `seeds`: the mean of
three such fits. `tokens`: one that also sees the predicted median of the answer's tokens, out of fold in training. Of
the five folds by prompt `--read` are read. Figures are as in quantiles.py: in seconds or tokens, and in logarithms.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec
import numpy as np
from quantiles import change, frame_of

from fairlead import project
from fairlead.scoring.manifest import Column
from fairlead.training import forest, spec
from fairlead.training.fit import FittedHead, fit_head
from fairlead.training.frame import Frame, folds_of
from fairlead.training.predictor import collect, own_predictions
from fairlead.training.spec import HeadPlan

Array = np.ndarray[Any, Any]
WAYS = ("category", "learned", "seeds", "tokens")
LEAST = 20  # rows of a cell, else the model's own quantile


def fitted(frame: Frame, train: Array, test: Array, plan: HeadPlan, seed: int = 0) -> tuple[Array, FittedHead]:
    """Fit on some rows and predict others, in logarithms."""
    params = next(one for one in spec.read_all(project.defaults() / "models") if one.name == "latency").params
    usual = forest.settings_of
    with mock.patch.object(forest, "settings_of", lambda *given: {**usual(*given), "seed": seed}):
        head = fit_head(frame.take(train), plan, params, every_endpoint=False)
    one = spec.Spec(features=[], heads=[plan], gate=spec.Gate(metric="pinball"), name="ways")
    made = collect(frame.take(train), one, [head], None)
    return own_predictions(made, made.heads[0], frame.take(test)), head


def by_cell(frame: Frame, train: Array, test: Array, plan: HeadPlan, routes: bool) -> Array:
    """Give the quantile of each test row's model, or of its model and route where that has enough rows."""
    value, alpha, route = frame.targets[plan.target], plan.alpha or 0.5, np.nan_to_num(frame.route, nan=-1)
    out = np.full(len(test), np.nan)
    for endpoint in range(len(frame.endpoints)):
        own, asked = train[frame.endpoint[train] == endpoint], frame.endpoint[test] == endpoint
        if not own.size:
            continue
        out[asked] = np.quantile(value[own], alpha)
        for cell in np.unique(route[own]) if routes else ():
            same = own[route[own] == cell]
            if same.size >= LEAST:
                out[asked & (route[test] == cell)] = np.quantile(value[same], alpha)
    return np.log(out)


def with_tokens(frame: Frame, train: Array, test: Array) -> Frame:
    """Give the frame with the predicted tokens of the answer as a column, out of fold where they were learned from."""
    plan, known = HeadPlan(name="tokens", target="output_tokens", alpha=0.5), frame.targets["output_tokens"]
    said, told = np.full(len(frame), np.nan), train[np.isfinite(known[train])]
    said[test], head = fitted(frame, told, test, plan)
    said[told[head.rows]] = np.log(head.oof_own)
    batch = msgspec.structs.replace(frame.batch, scalars={**frame.batch.scalars, "said_tokens": said})
    return msgspec.structs.replace(frame, columns=[*frame.columns, Column("said_tokens", "request")], batch=batch)


def predicted(way: str, frame: Frame, train: Array, test: Array, plan: HeadPlan) -> Array:
    """Predict test rows in one of the ways, in logarithms."""
    if way == "category":
        return by_cell(frame, train, test, plan, routes=True)
    if way == "seeds":
        return np.mean([fitted(frame, train, test, plan, seed)[0] for seed in range(3)], axis=0)
    return fitted(with_tokens(frame, train, test) if way == "tokens" else frame, train, test, plan)[0]


def main() -> None:
    """Print a line for each quantile and way."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--set", default="bfcl_2024_07")
    arguments.add_argument("--target", default="duration_s")
    arguments.add_argument("--alphas", type=float, nargs="+", default=[0.5, 0.9, 0.95])
    arguments.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    arguments.add_argument("--read", type=int, default=5)
    given = arguments.parse_args()
    frame = frame_of(given.folder / given.set / "outcomes.parquet", ("dataset",))
    value, fold = frame.targets[given.target], folds_of(frame.group, 5)
    for alpha in given.alphas:
        plan = HeadPlan(name="ways", target=given.target, alpha=alpha)
        for way in given.ways:
            ours, naive = np.full(len(value), np.nan), np.full(len(value), np.nan)
            for part in range(given.read):
                train, test = (np.flatnonzero(np.isfinite(value) & side) for side in (fold != part, fold == part))
                ours[test] = predicted(way, frame, train, test, plan)
                naive[test] = by_cell(frame, train, test, plan, routes=False)
            kept = np.isfinite(ours) & np.isfinite(naive)
            actual, said, plain = np.log(value[kept]), ours[kept], naive[kept]
            _, prompt = np.unique(frame.group[kept], return_inverse=True)
            natural = change(alpha, *(np.exp(one) for one in (actual, said, plain)), prompt)
            shown = [
                f"{a:6.1f} [{b:5.1f}, {c:5.1f}]" for a, b, c in (natural, change(alpha, actual, said, plain, prompt))
            ]
            print(
                f"{given.set:<14} {given.target:<13} {alpha:<5} {way:<9} natural {shown[0]}  log {shown[1]}", flush=True
            )


if __name__ == "__main__":
    main()
