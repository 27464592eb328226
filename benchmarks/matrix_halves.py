"""What the benchmarks of operating points and exploration rest on: a public matrix, predicted out of fold.

Every prompt of a set is learned from by `fairlead bench`'s own learners, and what they say of it out of fold is put
beside what came of it. That takes minutes a set, so it is kept in a folder and not computed again.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import polars as pl

from fairlead import project
from fairlead.evaluation.bench_learn import learn
from fairlead.evaluation.bench_matrix import frame_of, read_matrix

KEY = ["dataset", "prompt_id"]
SETS = ["zeroeval", "mmlu_pro_chat", "bfcl_2024_07"]
HEADS = ("latency_s", "latency_p90_s")


def matrix_of(folder: Path, name: str) -> pl.DataFrame:
    """Read the prompts of a set that every model of its pool answered, at a known price."""
    rows = pl.read_parquet(folder / name / "outcomes.parquet")
    pools = json.loads((folder / "folds" / "pools.json").read_text(encoding="utf-8"))
    if name in pools:
        rows = rows.filter(pl.col("model").is_in(pools[name]))
    rows = rows.filter(pl.col("cost_usd").is_not_null().mean().over("model") > 0.99)
    known = pl.col("cost_usd").is_not_null() & pl.col("quality").is_not_null()
    rows = rows.filter(known)
    return rows.filter(pl.len().over(KEY) == pl.col("model").n_unique())


def predicted(folder: Path, name: str, keep: Path) -> dict[str, np.ndarray]:
    """Give a set as arrays (prompts, models): quality, cost and latency as predicted, `true_` as they came out.

    `task` (prompts,) numbers the dataset of each prompt, `models` names the columns.
    """
    kept = keep / f"{name}.npz"
    if not kept.exists():
        print(f"learning {name} ...", file=sys.stderr, flush=True)
        keep.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(kept, **_learned(matrix_of(folder, name)))
    with np.load(kept) as found:
        return dict(found)


def _learned(rows: pl.DataFrame) -> dict[str, np.ndarray]:
    keys = rows.select(KEY).unique().sort(KEY)
    with tempfile.TemporaryDirectory() as scratch:
        paths = [Path(scratch) / f"{part}.parquet" for part in ("matrix", "train", "test")]
        rows.write_parquet(paths[0])
        keys[:-1].write_parquet(paths[1])
        keys[-1:].write_parquet(paths[2])
        frame = frame_of(read_matrix(*paths, ("dataset",)))
    learned = learn(frame, project.defaults() / "models", "full")
    known = learned.training.completed()
    own = {name: learned.predicted[name] for name in HEADS if name in learned.predicted}
    _, first, prompt = np.unique(frame.ids, return_index=True, return_inverse=True)
    latency = np.full(known.quality.shape, np.nan)
    latency[prompt, frame.endpoint] = frame.targets["duration_s"]
    return {
        "quality": known.quality,
        "cost_usd": known.cost_usd,
        **{name: own.get(name, np.full(latency.shape, np.nan)) for name in HEADS},
        "true_quality": known.outcome_quality,
        "true_cost_usd": known.outcome_cost_usd,
        "true_latency_s": latency,
        "task": frame.route[first],
        "models": np.array(frame.endpoints),
    }
