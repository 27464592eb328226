"""Time to first token on a public trace: recency and online conformal against each endpoint's own quantile.

    python benchmarks/first_token.py TRACES_FOLDER [--learned 0.6] [--half-life-days 2]

The trace is thefastest.ai's (139 models, 3 regions, 5,985 calls, 18 days). The naive forecast is the quantile of the
endpoint's calls in the first part of the time; both forecast the rest. Change of the pinball loss in percent with a
95 % interval by bootstrap over moments of measuring, in seconds and in logarithms, and coverage of both.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import polars as pl

from fairlead.training import recency


def pinball(actual: np.ndarray, predicted: np.ndarray, alpha: float) -> np.ndarray:
    """Give each row's pinball loss."""
    over = actual - predicted
    return np.maximum(alpha * over, (alpha - 1) * over)


def main() -> None:
    """Print a line for each quantile."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--learned", type=float, default=0.6)
    arguments.add_argument("--half-life-days", type=float, default=2.0)
    given = arguments.parse_args()
    rows = pl.read_parquet(given.folder / "thefastest-ai-2024" / "measurements.parquet")
    rows = rows.filter(pl.col("ttft_s") > 0).sort("run_time")
    begun = rows["run_time"].dt.epoch("us").to_numpy() / 1e6
    seconds = rows["ttft_s"].to_numpy()
    _, model = np.unique(rows["model"].to_numpy().astype(str), return_inverse=True)
    _, endpoint = np.unique((rows["model"] + "@" + rows["region"]).to_numpy().astype(str), return_inverse=True)
    early = begun <= np.quantile(begun, given.learned)
    held = ~early & np.isin(endpoint, np.unique(endpoint[early]))
    _, moment = np.unique(begun[held], return_inverse=True)
    rng = np.random.default_rng(0)
    draws = rng.integers(0, moment.max() + 1, (500, moment.max() + 1))
    print(f"{'alpha':<6} {'seconds, %':>22}  {'log, %':>22}  coverage (naive)   {int(held.sum()):,} calls")
    for alpha in (0.5, 0.9, 0.95):
        told = recency.forecast(
            np.log(seconds), endpoint, model, begun, begun + seconds, alpha, given.half_life_days * 86_400
        )
        at = {k: np.quantile(seconds[early & (endpoint == k)], alpha) for k in np.unique(endpoint[early])}
        ours, naive = np.exp(told[held]), np.array([at[k] for k in endpoint[held]])
        shown = []
        for turn in (np.asarray, np.log):
            losses = [np.bincount(moment, pinball(turn(seconds[held]), turn(one), alpha)) for one in (ours, naive)]
            ratios = losses[0][draws].sum(axis=1) / losses[1][draws].sum(axis=1)
            found = [losses[0].sum() / losses[1].sum(), *np.quantile(ratios, [0.025, 0.975])]
            shown.append("{:6.1f} [{:5.1f}, {:5.1f}]".format(*(100 * (one - 1) for one in found)))
        covered = [float((seconds[held] <= one).mean()) for one in (ours, naive)]
        print(f"{alpha:<6} {shown[0]}  {shown[1]}  {covered[0]:.3f} ({covered[1]:.3f})")


if __name__ == "__main__":
    main()
