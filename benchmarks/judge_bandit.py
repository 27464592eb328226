"""What is learned from a log alone, one endpoint's outcome a request, beside what the full matrix teaches.

    PYTHONPATH=src python benchmarks/judge_bandit.py ROUTING_FOLDER [--set NAME] [--requests 10000] [--splits 1]

Both learn from the same prompts with `fairlead bench`, once with every endpoint's outcome and once with one drawn
evenly. The value is AIQ_b on the other prompts: the mean height of the non-decreasing hull of cost and quality from
the cheapest to the best single model. Beside it, the share of what the full matrix gains over the cheapest model alone,
and over the zero router, the best mix of single models, which is a far harder measure.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
from routing_sets import KEY, points, singles

from fairlead import project
from fairlead.evaluation import bench, frontier


def value(path: Path, train: Path, test: Path, labels: str, seed: int) -> frontier.Areas:
    """Learn with full or bandit labels, and read the policy's curve on the test prompts."""
    with tempfile.TemporaryDirectory() as scratch:
        models = project.defaults() / "models"
        done = bench.run(path, train, test, Path(scratch), models, labels=labels, seed=seed)  # type: ignore[arg-type]
        print(f"  {labels}: learned in {done['seconds']} s", flush=True)
        decisions = pl.read_parquet(Path(scratch) / "decisions.parquet")
    held = pl.read_parquet(path).join(pl.read_parquet(test), on=KEY, how="semi")
    curve = points(decisions, held).filter(pl.col("policy") == "intelligent")
    return frontier.areas(curve["cost_usd"].to_numpy(), curve["quality"].to_numpy(), *singles(held))


def main() -> None:
    """Print a row a split."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--set", default="mmlu_pro_chat")
    arguments.add_argument("--requests", type=int, default=10_000)
    arguments.add_argument("--splits", type=int, default=1)
    given = arguments.parse_args()
    path = given.folder / given.set / "outcomes.parquet"
    keys = pl.read_parquet(path, columns=KEY).unique().sort(KEY)
    for seed in range(given.splits):
        mixed = keys.sample(fraction=1, shuffle=True, seed=seed)
        with tempfile.TemporaryDirectory() as scratch:
            train, test = Path(scratch) / "train.parquet", Path(scratch) / "test.parquet"
            mixed[: given.requests].write_parquet(train)
            mixed[given.requests :].write_parquet(test)
            print(
                f"{given.set}, split {seed}: {given.requests:,} to learn from, {len(mixed) - given.requests:,} to test"
            )
            logs, full = (value(path, train, test, labels, seed) for labels in ("bandit", "full"))
        held = pl.read_parquet(path).join(mixed[given.requests :], on=KEY, how="semi")
        cost, quality = singles(held)
        cheapest = float(quality[int(np.argmin(cost))])
        print(f"  AIQ_b from logs {logs.aiq_b:.4f}, from the full matrix {full.aiq_b:.4f}, zero {full.zero_aiq_b:.4f}")
        shares = [100 * (logs.aiq_b - floor) / (full.aiq_b - floor) for floor in (0.0, cheapest, full.zero_aiq_b)]
        print(f"  {shares[0]:.1f} % of the value; {shares[1]:.1f} % of the gain over the cheapest model", end="")
        print(f"; {shares[2]:.1f} % of that over the zero router")


if __name__ == "__main__":
    main()
