"""`fairlead bench`: what the product's own training reaches on a public routing matrix."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import numpy as np
import polars as pl

from fairlead.evaluation import baselines, operating_point
from fairlead.evaluation.bench_learn import Learned, learn
from fairlead.evaluation.bench_matrix import KEY, Matrix, frame_of, read_matrix, requests_of
from fairlead.evaluation.operating_point import OperatingPoint
from fairlead.scoring.predict import Candidates, Predictor
from fairlead.scoring.snapshot import Snapshot
from fairlead.training.frame import Frame

__all__ = ["run"]

Array = np.ndarray[Any, Any]
CURVE: Final = 25  # operating points shown of each policy, besides the chosen one


def run(  # noqa: PLR0913  these are the command's options
    matrix: Path,
    train: Path,
    test: Path,
    out: Path,
    models: Path,
    *,
    metadata: tuple[str, ...] = ("dataset",),
    labels: Literal["full", "bandit"] = "full",
    seed: int = 0,
    progress: Callable[[str, float], None] | None = None,
) -> dict[str, Any]:
    """Learn from the training prompts, predict and decide for the test prompts; give the summary.

    Writes `predictions.parquet`, `decisions.parquet` and `summary.json` into `out`. Outcomes of test prompts are
    dropped on reading. Predicted `cost_usd` and `latency_s` are medians; decisions rest on expected cost.
    """
    tell = progress or (lambda _what, _share: None)
    started = time.perf_counter()
    tell("reading the matrix", 0.0)
    data = read_matrix(matrix, train, test, metadata)
    frame = frame_of(data)
    if labels == "bandit":
        frame = _one_label(frame, seed)
    tell("learning", 0.1)
    learned = learn(frame, models, labels)
    tell("predicting", 0.8)
    batch = requests_of(data.test, data.known)
    forest = Predictor(learned.snapshot).candidates(batch)
    table = Predictor(learned.snapshot, tables_only=True).candidates(batch)
    points = _points(learned)
    tell("writing", 0.9)
    out.mkdir(parents=True, exist_ok=True)
    _write(
        _predictions(data, forest, Predictor(_medians(learned.snapshot)).candidates(batch), frame),
        out / "predictions.parquet",
    )
    decisions = _decisions(data, learned, points, {"intelligent": forest, "category_table": table})
    _write(decisions, out / "decisions.parquet")
    summary = {
        "matrix": matrix.name,
        "labels": labels,
        "metadata": list(metadata),
        "train_prompts": len(np.unique(frame.ids)),
        "test_prompts": data.test.height,
        "endpoints": list(learned.snapshot.endpoints),
        "features": len(learned.snapshot.manifest.columns),
        "predictors": learned.reports,
        "operating_points": {name: msgspec.to_builtins(point) for name, point in points.items()},
        "cost_stand_in": None if learned.stand_in is None else "mean quality on training prompts",
        "snapshot_bytes": len(learned.snapshot.to_bytes()),
        "seconds": round(time.perf_counter() - started, 1),
    }
    _replace(out / "summary.json", msgspec.json.format(msgspec.json.encode(summary), indent=2))
    tell("done", 1.0)
    return summary


def _one_label(frame: Frame, seed: int) -> Frame:
    """Keep one endpoint's outcome a prompt, drawn evenly: what a log with even exploration would hold."""
    _, prompt, answers = np.unique(frame.ids, return_inverse=True, return_counts=True)
    frame = msgspec.structs.replace(frame, propensity=1 / answers[prompt])
    draw = np.random.default_rng(seed).random(len(frame))
    order = np.lexsort((draw, frame.ids))
    _, first = np.unique(frame.ids[order], return_index=True)
    return frame.take(np.sort(order[first]))


def _points(learned: Learned) -> dict[str, OperatingPoint]:
    """Choose where each policy stands, on training prompts alone."""
    return {
        "intelligent": operating_point.no_worse(learned.training),
        "category_table": operating_point.no_worse(learned.table),
    }


def _decisions(
    data: Matrix, learned: Learned, points: dict[str, OperatingPoint], views: dict[str, Candidates]
) -> pl.DataFrame:
    """Every policy at every operating point, as one row for each endpoint it may choose."""
    parts: list[pl.DataFrame] = []
    n, names = data.test.height, learned.snapshot.endpoints

    def add(policy: str, point: str, chances: Array) -> None:
        rows, columns = np.nonzero(chances > 0)
        parts.append(
            data.test.select(KEY)[rows].with_columns(
                policy=pl.lit(policy),
                operating_point=pl.lit(point),
                model=pl.Series([names[column] for column in columns], dtype=pl.String),
                propensity=pl.Series(chances[rows, columns]),
            )
        )

    for name, training in (("intelligent", learned.training), ("category_table", learned.table)):
        view, point = views[name], points[name]
        cost = view.cost_usd if learned.stand_in is None else np.tile(learned.stand_in, (n, 1))
        # An endpoint whose cost nobody ever saw cannot be weighed, so it is not chosen.
        blind = ~np.isfinite(training.outcome_cost_usd).any(axis=0)
        quality = np.where(blind, np.nan, view.quality)
        learned_quality = np.where(blind, np.nan, training.quality)
        for index, price in enumerate(operating_point.price_grid(learned_quality, training.cost_usd, CURVE - 1)):
            chances = baselines.greedy(quality, cost, float(price), otherwise=point.best_single)
            add(name, f"price_{index:02d}", chances)
        if point.usd_price is None:
            add(name, "no_worse", baselines.single(n, len(names), point.best_single))
        else:
            add(name, "no_worse", baselines.greedy(quality, cost, point.usd_price, otherwise=point.best_single))
    best, cheap = points["intelligent"].best_single, baselines.cheapest(learned.training.outcome_cost_usd)
    add("best_single", "all", baselines.single(n, len(names), best))
    add("all_cheap", "all", baselines.single(n, len(names), cheap))
    return pl.concat(parts).select("policy", "operating_point", *KEY, "model", "propensity")


def _predictions(data: Matrix, mean: Candidates, median: Candidates, frame: Frame) -> pl.DataFrame:
    """One row for each test prompt and model; null where the matrix has no such target of that model."""
    names = mean.endpoints
    keys = data.test.select(KEY)
    index = np.repeat(np.arange(keys.height), len(names))
    numbers = {
        "quality": mean.quality,
        "quality_low": mean.quality_low,
        "cost_usd": median.cost_usd,
        "cost_p90_usd": median.cost_p90_usd,
        "latency_s": mean.latency_s,
        "latency_p90_s": mean.latency_p90_s,
    }
    targets = {"quality": "quality", "cost": "cost_usd", "latency": "duration_s"}
    columns = {}
    for name, values in numbers.items():
        seen = frame.endpoint[np.isfinite(frame.targets[targets[name.split("_")[0]]])]
        known = np.where(np.isin(np.arange(len(names)), seen), values, np.nan)
        columns[name] = pl.Series(known.ravel(), dtype=pl.Float64).fill_nan(None)
    return keys[index].with_columns(model=pl.Series(list(names) * keys.height, dtype=pl.String), **columns)


def _medians(snapshot: Snapshot) -> Snapshot:
    heads = {name: msgspec.structs.replace(h, scale=np.ones(h.scale.shape)) for name, h in snapshot.heads.items()}
    return msgspec.structs.replace(snapshot, heads=heads)


def _write(rows: pl.DataFrame, path: Path) -> None:
    temporary = path.with_suffix(".tmp")
    rows.write_parquet(temporary)
    os.replace(temporary, path)


def _replace(path: Path, data: bytes) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as out:
        out.write(data)
    os.replace(out.name, path)
