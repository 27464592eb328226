"""Cold start: how much of the full Brier skill a new endpoint has after a few labels, on a public routing set.

    python benchmarks/quality_cold.py ROUTING_FOLDER [--set zeroeval] [--labels 50] [--every 3]

One model after the other is held out: all but `--labels` of its training labels are hidden, the quality learner is
fitted as `train` fits it, and the held-out model is predicted on the test prompts of the first fold. Skill is over the
model's own mean on all its training labels, which favours the full predictor.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import polars as pl
from quality_sets import KEY, matrix_of

from fairlead import project
from fairlead.evaluation.bench_matrix import Matrix, frame_of, requests_of
from fairlead.publish import assemble
from fairlead.scoring.manifest import Endpoint
from fairlead.scoring.predict import Predictor
from fairlead.training import calibrate, spec
from fairlead.training.predictor import collect
from fairlead.training.quality import fit_quality


def predicted(train: pl.DataFrame, test: pl.DataFrame, models: tuple[str, ...]) -> np.ndarray:
    """Fit the quality learner on the training rows and predict the test prompts: (n, K)."""
    frame = frame_of(Matrix(train=train, test=test, models=models, known=("dataset",)))
    plan = spec.read(project.defaults() / "models" / "quality.toml")
    head = fit_quality(frame, plan.heads[0], plan.params, every_endpoint=False)
    bounds = calibrate.margins(
        head.oof_own, frame.targets["quality"][head.rows], frame.endpoint[head.rows], len(models)
    )
    ends = [Endpoint(name=name, provider_name="matrix", model=name) for name in models]
    made = assemble(
        [collect(frame, plan, [head], bounds)], ends, policy="intelligent", parameters={}, version=1, lineage={}
    )
    return Predictor(made).candidates(requests_of(test, ("dataset",))).quality


def main() -> None:
    """Print a line a model, and the mean."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--set", default="zeroeval")
    arguments.add_argument("--labels", type=int, nargs="+", default=[50])
    arguments.add_argument("--every", type=int, default=3)
    given = arguments.parse_args()
    rows = matrix_of(given.folder, given.set).sort(*KEY, "model")
    models = tuple(sorted(rows["model"].unique()))
    train = rows.filter(pl.col("fold") != 0)
    test = rows.filter(pl.col("fold") == 0).unique(KEY, maintain_order=True)
    actual = test.select(KEY).join(rows.pivot("model", index=KEY, values="quality"), on=KEY, how="left")
    full = predicted(train, test, models)
    parts: dict[int, list[tuple[float, float]]] = {count: [] for count in given.labels}
    for column, name in list(enumerate(models))[:: given.every]:
        right = actual[name].to_numpy()
        mean = ((train.filter(model=name)["quality"].mean() - right) ** 2).mean()
        whole = 1 - ((full[:, column] - right) ** 2).mean() / mean
        for count in given.labels:
            own = train.filter(model=name).sample(count, seed=0).select(*KEY, "model")
            cut = train.filter(pl.col("model") != name).vstack(train.join(own, on=[*KEY, "model"], how="semi"))
            said = predicted(cut.sort(*KEY, "model"), test, models)[:, column]
            few = 1 - ((said - right) ** 2).mean() / mean
            parts[count].append((few, whole))
            print(f"{name:<32} {count:>5} labels: Brier skill {few:.3f}, with all {whole:.3f}", flush=True)
    for count, found in parts.items():
        few, whole = np.mean(found, axis=0)
        print(f"mean of {len(found)} models, {count} labels: {few:.3f} of {whole:.3f}, {few / whole:.0%}")


if __name__ == "__main__":
    main()
