"""What `fairlead bench` reaches on public routing matrices: learned predictors beside the category table.

    python benchmarks/routing_sets.py ROUTING_FOLDER [--sets NAME ...] [--splits 3] [--labels bandit]

Each split learns from 70 % of the prompts and is read on the other 30 %. `no_worse` was chosen on training rows alone:
its quality and cost are against the best single model, itself chosen there. AIQ_b is the mean height of the
non-decreasing hull between the cheapest and the best single model, read off the test rows (so it flatters every policy
alike). Where a set has no costs, the two models of RouteLLM's paper are priced as it prices them.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import polars as pl

from fairlead import project
from fairlead.evaluation import bench, frontier

KEY = ["dataset", "prompt_id"]
PAPER_USD_PER_MILLION = {"gpt-4-1106-preview": 24.7, "mistralai/Mixtral-8x7B-Instruct-v0.1": 0.24}


def split(matrix: pl.DataFrame, folder: Path, seed: int) -> tuple[Path, Path]:
    """Write a 70/30 split by prompt."""
    keys = matrix.select(KEY).unique().sort(KEY).sample(fraction=1, shuffle=True, seed=seed)
    at = int(0.7 * keys.height)
    train, test = folder / "train.parquet", folder / "test.parquet"
    keys[:at].write_parquet(train)
    keys[at:].write_parquet(test)
    return train, test


def points(decisions: pl.DataFrame, matrix: pl.DataFrame) -> pl.DataFrame:
    """Give quality and cost a request of each policy at each operating point, on the test rows."""
    rows = decisions.join(matrix.select(*KEY, "model", "quality", "cost_usd"), on=[*KEY, "model"], how="left")
    weight = pl.col("propensity")
    return rows.group_by("policy", "operating_point").agg(
        ((pl.col("quality") * weight).sum() / weight.filter(pl.col("quality").is_not_null()).sum()).alias("quality"),
        ((pl.col("cost_usd") * weight).sum() / weight.filter(pl.col("cost_usd").is_not_null()).sum()).alias("cost_usd"),
    )


def singles(test: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Give cost and quality of each single model that has both on the test rows."""
    known = test.group_by("model").agg(pl.col("cost_usd").mean(), pl.col("quality").mean()).drop_nulls()
    return known["cost_usd"].to_numpy(), known["quality"].to_numpy()


def one(path: Path, seed: int, labels: str) -> list[str]:
    """Run one split and lay its figures out as rows of a table."""
    matrix = pl.read_parquet(path)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        train, test = split(matrix, folder, seed)
        bench.run(path, train, test, folder / "out", project.defaults() / "models", labels=labels)
        decisions = pl.read_parquet(folder / "out" / "decisions.parquet")
        held = matrix.join(pl.read_parquet(test), on=KEY, how="semi")
    if held["cost_usd"].is_null().all():
        price = pl.col("model").replace_strict(PAPER_USD_PER_MILLION, default=None, return_dtype=pl.Float64)
        held = held.with_columns(cost_usd=price)
    found = {(row["policy"], row["operating_point"]): row for row in points(decisions, held).iter_rows(named=True)}
    base = found["best_single", "all"]
    lines = []
    for policy in ("intelligent", "category_table"):
        curve = [row for (name, _), row in found.items() if name == policy]
        areas = frontier.areas(
            np.array([row["cost_usd"] for row in curve]),
            np.array([row["quality"] for row in curve]),
            *singles(held),
        )
        at = found[policy, "no_worse"]
        change, ratio = 100 * (at["quality"] - base["quality"]), at["cost_usd"] / base["cost_usd"]
        lines.append(
            f"{path.parent.name:<16} {seed:>4}  {policy:<15} {at['quality']:.4f} {change:+6.2f} pt  {ratio:6.3f}   "
            f"{areas.aiq_b:.4f}  {areas.zero_aiq_b:.4f}"
        )
    return lines


def main() -> None:
    """Print a line for each set, split and policy."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--sets", nargs="+", default=["zeroeval", "bfcl_2024_07", "mmlu_pro_chat", "routellm_evals"])
    arguments.add_argument("--splits", type=int, default=3)
    arguments.add_argument("--labels", choices=["full", "bandit"], default="full")
    given = arguments.parse_args()
    print(f"{'set':<16} {'seed':>4}  {'policy':<15} {'no_worse':>8} {'change':>7}     cost x   AIQ_b  zero router")
    for name in given.sets:
        for seed in range(given.splits):
            print("\n".join(one(given.folder / name / "outcomes.parquet", seed, given.labels)), flush=True)


if __name__ == "__main__":
    main()
