"""How much better predicted tokens and latency are than each model's own quantile, on prompts never seen.

    python benchmarks/quantiles.py ROUTING_FOLDER [--sets NAME ...] [--folds 5] [--metadata dataset,n_tools]

Five folds by prompt, each learned from the others with models/cost.toml and models/latency.toml by the code that
`train` and `bench` run (and a head at 0.95, which shows the tail). The naive forecast is the quantile of the model's
training rows. `natural` is the pinball loss in tokens or seconds, `log` the same of logarithms, where every endpoint
counts alike: both are changes against the naive forecast, with 95 % intervals by bootstrap over prompts. `R2` is of
logarithms.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from fairlead import project
from fairlead.evaluation import bench_matrix
from fairlead.training import spec
from fairlead.training.fit import fit_head
from fairlead.training.frame import Frame, folds_of
from fairlead.training.predictor import collect, own_predictions
from fairlead.training.spec import HeadPlan

KEY = ["dataset", "prompt_id"]
TAILS = [HeadPlan(name="latency_p95_s", target="duration_s", alpha=0.95)]
DRAWS = 500


def frame_of(path: Path, metadata: tuple[str, ...]) -> Frame:
    """Lay out every prompt of a matrix as rows to learn from."""
    whole = pl.read_parquet(path)
    known = [name for name in metadata if name in whole.columns]
    read = whole.select(
        *KEY, "prompt", "model", "quality", "cost_usd", "tokens_in", "tokens_out", "latency_s", *known[1:]
    )
    matrix = bench_matrix.Matrix(
        train=read.sort(*KEY, "model"),
        test=read.head(0),
        models=tuple(read["model"].unique().sort().to_list()),
        known=tuple(known),
    )
    return bench_matrix.frame_of(matrix)


def out_of_fold(frame: Frame, plan: HeadPlan, params: Any, folds: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predict every row from the folds without its prompt; give value, prediction and naive forecast, natural units."""
    value = frame.targets[plan.target]
    known, fold = np.isfinite(value), folds_of(frame.group, folds)
    predicted, naive = np.full(len(value), np.nan), np.full(len(value), np.nan)
    one = spec.Spec(features=[], heads=[plan], gate=spec.Gate(metric="pinball"), name="quantiles")
    for part in range(folds):
        train, held = frame.take((fold != part) & known), np.flatnonzero((fold == part) & known)
        fitted = collect(train, one, [fit_head(train, plan, params, every_endpoint=False)], None)
        predicted[held] = np.exp(own_predictions(fitted, fitted.heads[0], frame.take(held)))
        for endpoint in range(len(frame.endpoints)):
            mine = train.endpoint == endpoint
            if mine.any():
                at = np.quantile(train.targets[plan.target][mine], plan.alpha)
                naive[held[frame.endpoint[held] == endpoint]] = at
    return value, predicted, naive


def change(alpha: float, actual: np.ndarray, ours: np.ndarray, naive: np.ndarray, prompt: np.ndarray) -> list[float]:
    """Give the change of the pinball loss against the naive forecast, in percent, and its 95 % interval."""

    def by_prompt(predicted: np.ndarray) -> np.ndarray:
        over = actual - predicted
        return np.bincount(prompt, weights=np.maximum(alpha * over, (alpha - 1) * over))

    losses, rng = (by_prompt(ours), by_prompt(naive)), np.random.default_rng(0)
    draws = rng.integers(0, len(losses[0]), (DRAWS, len(losses[0])))
    ratios = losses[0][draws].sum(axis=1) / losses[1][draws].sum(axis=1)
    found = [losses[0].sum() / losses[1].sum(), *np.quantile(ratios, [0.025, 0.975])]
    return [100 * (float(one) - 1) for one in found]


def report(name: str, frame: Frame, plan: HeadPlan, params: Any, folds: int) -> str:
    """Lay the figures of one head out as a row of the table."""
    value, predicted, naive = out_of_fold(frame, plan, params, folds)
    kept = np.isfinite(predicted) & np.isfinite(naive)
    actual, ours, plain = value[kept], predicted[kept], naive[kept]
    _, prompt = np.unique(frame.group[kept], return_inverse=True)
    assert plan.alpha is not None
    natural = change(plan.alpha, actual, ours, plain, prompt)
    logs = change(plan.alpha, np.log(actual), np.log(ours), np.log(plain), prompt)
    left = ((np.log(actual) - np.log(ours)) ** 2).sum() / ((np.log(actual) - np.log(actual).mean()) ** 2).sum()
    covered = [float((actual <= one).mean()) for one in (ours, plain)]
    shown = [f"{at:6.1f} [{low:5.1f}, {high:5.1f}]" for at, low, high in (natural, logs)]
    return (
        f"{name:<14} {plan.name:<18} {plan.alpha:<5} {len(actual):>7,}  {shown[0]}  {shown[1]}  "
        f"{covered[0]:.3f} ({covered[1]:.3f})  {1 - left:5.2f}"
    )


def main() -> None:
    """Print a line for each set and head."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--sets", nargs="+", default=["bfcl_2024_07", "zeroeval"])
    arguments.add_argument("--folds", type=int, default=5)
    arguments.add_argument("--metadata", default="dataset")
    given = arguments.parse_args()
    heading = f"{'set':<14} {'head':<18} alpha {'rows':>7}  {'natural, %':>22}  {'log, %':>22}  coverage (naive)   R2"
    print(heading, flush=True)
    declared = spec.read_all(project.defaults() / "models")
    for name in given.sets:
        frame = frame_of(given.folder / name / "outcomes.parquet", tuple(given.metadata.split(",")))
        for one in declared:
            if one.name not in ("cost", "latency"):
                continue
            for plan in (*one.heads, *(TAILS if one.name == "latency" else ())):
                if plan.target != "input_tokens" and np.isfinite(frame.targets.get(plan.target, np.nan)).sum() > 100:
                    print(report(name, frame, plan, one.params, given.folds), flush=True)


if __name__ == "__main__":
    main()
