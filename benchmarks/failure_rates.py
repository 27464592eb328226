"""Predicted failures against the share of all calls: log-loss on a public trace and on simulated logs with outages.

    python benchmarks/failure_rates.py [TRACES_FOLDER] [--requests 8000] [--days 14] [--half-life-hours 6]

The trace is GenTD26's (26,823 requests of an image service, 87 models; the outcome of each is known when it ended). The
simulated logs are those of `fairlead simulate` at six endpoints, with rate limits, time-outs and outages. Rates are as
they were known when each call began; the shares of all calls and of each endpoint know the whole log, and so flatter
themselves. Log-loss in nats a call.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

import numpy as np
import polars as pl

from fairlead import features, ingest
from fairlead import project as projects
from fairlead.evaluation import simulate
from fairlead.training import logs, rates


def report(
    name: str,
    failed: np.ndarray,
    begun: np.ndarray,
    ended: np.ndarray,
    endpoint: np.ndarray,
    groups: list,
    half_life_s: float,
) -> None:
    """Print a line: log-losses, and the gain over the share of all calls with its 95 % interval by day."""
    fitted = rates.fit(failed, begun, ended, endpoint, groups, half_life_s)
    known = fitted.logit[rates.state_at(fitted, begun), endpoint]
    share = np.clip(np.bincount(endpoint, failed) / np.maximum(np.bincount(endpoint), 1), 1e-4, 1 - 1e-4)[endpoint]
    whole = np.full(len(failed), failed.mean())
    ours = np.logaddexp(0, known) - failed * known
    of_all, of_each = (-(failed * np.log(one) + (1 - failed) * np.log(1 - one)) for one in (whole, share))
    _, day = np.unique((begun // 86_400).astype(int), return_inverse=True)
    gain = np.bincount(day, of_all - ours)
    draws = np.random.default_rng(0).integers(0, len(gain), (2000, len(gain)))
    low, high = np.quantile(gain[draws].sum(axis=1) / np.bincount(day)[draws].sum(axis=1), [0.025, 0.975])
    print(
        f"{name:<12} {len(failed):>7,} calls, {100 * failed.mean():.2f} % failed: rates {ours.mean():.4f}, all "
        f"{of_all.mean():.4f}, each endpoint's {of_each.mean():.4f}; gain over all {(of_all - ours).mean():.4f} "
        f"[{low:.4f}, {high:.4f}]"
    )


def trace(folder: Path, half_life_s: float) -> None:
    """Read GenTD26's requests."""
    rows = pl.read_parquet(folder / "alibaba-gentd26" / "lora_requests.parquet")
    rows = rows.filter(pl.col("predict_status").is_in(["SUCCEED", "FAILED"])).sort("gmt_create")
    begun = rows["gmt_create"].cast(pl.Datetime("us")).dt.epoch("us").to_numpy() / 1e6
    ended = begun + rows["exec_time_seconds"].cast(pl.Float64).fill_null(0).to_numpy()
    _, model = np.unique(
        rows["checkpoint_model_version_id"].cast(pl.String).fill_null("").to_numpy().astype(str), return_inverse=True
    )
    failed = (rows["predict_status"] == "FAILED").to_numpy().astype(float)
    count = int(model.max()) + 1
    report("GenTD26", failed, begun, ended, model, [np.zeros(count, int)] * 3, half_life_s)


def simulated(requests: int, days: float, half_life_s: float) -> None:
    """Simulate a log, ingest it, and read its failures as `train` does."""
    with tempfile.TemporaryDirectory() as scratch:
        here = projects.init(Path(scratch) / "project")
        made = simulate.run(here.root / "gateway", requests=requests, endpoints=6, exploration=0.3, days=days)
        shutil.copy(made.prices, here.contract)
        ingest.load(here, [made.log])
        frame = logs.frame_of(features.join(here))
    kept = np.flatnonzero(np.isfinite(frame.targets["failed"]))
    groups = [
        np.unique(np.array(one), return_inverse=True)[1] for one in (frame.providers, frame.models, frame.regions)
    ]
    assert frame.ended is not None
    told = (frame.targets["failed"][kept], frame.time[kept], frame.ended[kept], frame.endpoint[kept])
    report("simulated", *told, groups, half_life_s)


def main() -> None:
    """Print a line for each log."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path, nargs="?")
    arguments.add_argument("--requests", type=int, default=8000)
    arguments.add_argument("--days", type=float, default=14)
    arguments.add_argument("--half-life-hours", type=float, default=6)
    given = arguments.parse_args()
    if given.folder:
        trace(given.folder, 3600 * given.half_life_hours)
    simulated(given.requests, given.days, 3600 * given.half_life_hours)


if __name__ == "__main__":
    main()
