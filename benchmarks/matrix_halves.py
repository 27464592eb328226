"""What the benchmarks of operating points and exploration rest on: a public matrix, predicted out of fold.

Every prompt of a set is learned from by `fairlead bench`'s own learners, and what they say of it out of fold is put
beside what came of it. That takes minutes a set, so it is kept in a folder and not computed again.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
from msgspec import structs

from fairlead import project
from fairlead.evaluation import baselines
from fairlead.evaluation.bench_learn import learn
from fairlead.evaluation.bench_matrix import frame_of, read_matrix
from fairlead.evaluation.evidence import Evidence
from fairlead.scoring.predict import Candidates

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


def evidence_of(arrays: dict[str, np.ndarray]) -> Evidence:
    """Put a set's predictions beside what came of every choice; the status quo sends all to the best single model."""
    shape = arrays["quality"].shape
    candidates = Candidates(
        endpoints=tuple(arrays["models"].tolist()),
        quality=arrays["quality"],
        quality_low=arrays["quality"],
        cost_usd=arrays["cost_usd"],
        cost_p90_usd=arrays["cost_usd"],
        latency_s=arrays["latency_s"],
        latency_p90_s=arrays["latency_p90_s"],
        eligible=np.ones(shape, dtype=bool),
    )
    best = baselines.best_single(arrays["true_quality"], arrays["true_cost_usd"])
    return Evidence(
        candidates=candidates,
        quality=arrays["true_quality"],
        cost_usd=arrays["true_cost_usd"],
        latency_s=arrays["true_latency_s"],
        time=np.arange(shape[0], dtype=np.float64),
        logged_quality=arrays["true_quality"][:, best],
        logged_cost_usd=arrays["true_cost_usd"][:, best],
    )


def halves(evidence: Evidence, count: int, seed: int = 0) -> Iterator[tuple[Evidence, Evidence]]:
    """Give random halves to choose on and to look at; the best single model is chosen anew on the first."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        order = rng.permutation(len(evidence))
        rows = np.sort(order[: len(order) // 2]), np.sort(order[len(order) // 2 :])
        first = evidence.take(rows[0])
        best = baselines.best_single(first.quality, first.cost_usd)
        yield tuple(
            structs.replace(part, logged_quality=part.quality[:, best], logged_cost_usd=part.cost_usd[:, best])
            for part in (first, evidence.take(rows[1]))
        )
