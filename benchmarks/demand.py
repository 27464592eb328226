"""How good are demand forecasts on public traces, beside the last value and the same time yesterday?

    python benchmarks/demand.py TRACES_FOLDER

TRACES_FOLDER holds `burstgpt-aggregates/week1_minute_tokens_per_s.parquet` (tokens of one week, minutes without traffic
are missing and count as zero), `servegen-2025/client_rate_10min.parquet` (request rates of two weeks, whole models and
single clients) and `azure-llm-inference-2023/trace.parquet` (one hour: too short, and said to be). A row is a series
and a target: the amount in the ten minutes that end `ahead` windows on (`10m at`), or the whole of the span (`sum`).
Every forecast is made from the windows before it alone; the first two days are not scored, `late` is the last 30 %.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import demand_learned as learned
import numpy as np
import polars as pl

from fairlead.training.demand import blend, intervals

WARM_UP = 300
TARGETS = ((1, 1, "10m at 10m"), (6, 1, "10m at 1h"), (6, 6, "sum of 1h"), (144, 144, "sum of 24h"))


def series(folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Give the traces as amounts by ten minutes."""
    minutes = pl.read_parquet(folder / "burstgpt-aggregates/week1_minute_tokens_per_s.parquet")
    rate = np.zeros(7 * 1440)
    rate[minutes["minute"].to_numpy()] = minutes["tokens_per_s"].to_numpy()
    yield "BurstGPT tokens", rate.reshape(-1, 10).mean(axis=1)
    rates = pl.read_parquet(folder / "servegen-2025/client_rate_10min.parquet")
    rates = rates.filter(pl.col("category") == "language").with_columns(pl.col("rate_rps").cast(pl.Float64))
    for model in ("m-large", "m-mid", "m-small"):
        own = rates.filter(pl.col("model") == model)
        whole = own.group_by("window_start_s").agg(pl.col("rate_rps").sum()).sort("window_start_s")
        yield f"ServeGen {model}", whole["rate_rps"].to_numpy()
    own = rates.filter(pl.col("model") == "m-small")
    largest = own.group_by("client_id").agg(pl.col("rate_rps").sum()).sort("rate_rps", descending=True)
    for place in (0, 4, 12):
        client = largest["client_id"][place]
        alone = own.filter(pl.col("client_id") == client).sort("window_start_s")
        yield f"ServeGen client {client}", alone["rate_rps"].to_numpy()


def wape(guess: np.ndarray, actual: np.ndarray, rows: np.ndarray) -> float:
    """Sum of errors over sum of amounts."""
    return float(np.abs(guess[rows] - actual[rows]).sum() / actual[rows].sum())


def main() -> None:
    """Print a row for each series and target."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("traces", type=Path)
    asked.add_argument("--learned", action="store_true", help="fit LightGBM beside the blend, refitted each day")
    given = asked.parse_args()
    print(
        "| series | target | WAPE | late | last value | late | same time yesterday | late | LightGBM | "
        "coverage of 90 % | width / mean |\n|---|---|---|---|---|---|---|---|---|---|---|"
    )
    for name, values in series(given.traces):
        y = values[:, None]
        for ahead, span, target in TARGETS:
            made = blend.run(y, ahead, span)
            bounds = intervals.track(made.forecast, made.actual, ahead, 0.9)
            rows = np.arange(max(WARM_UP, 144 + ahead), len(y) - ahead)
            late = rows[rows >= 0.7 * len(y)]
            found = []
            for guess in (made.forecast, blend.last_value(y, span), blend.seasonal_naive(y, ahead, span)):
                found += [wape(guess, made.actual, part) for part in (rows, late)]
            forest = "not fitted"
            if given.learned:
                fitted = learned.backtest(y, made.forecast, ahead, span)
                forest = f"{wape(fitted.forecast, made.actual, rows):.3f}, {'wins' if fitted.wins else 'loses'}"
            actual = made.actual[rows]
            inside = ((actual >= bounds.low[rows]) & (actual <= bounds.high[rows])).mean()
            width = (bounds.high[rows] - bounds.low[rows]).mean() / actual.mean()
            numbers = " | ".join(f"{one:.3f}" for one in found)
            print(f"| {name} | {target} | {numbers} | {forest} | {inside:.3f} | {width:.2f} |")
    hour = pl.read_parquet(given.traces / "azure-llm-inference-2023/trace.parquet")["timestamp"]
    minutes = (hour.max() - hour.min()).total_seconds() / 60  # type: ignore[operator,union-attr]
    print(
        f"Azure 2023: {minutes:.0f} minutes, so {minutes // 10:.0f} windows; two days are needed before one is scored."
    )


if __name__ == "__main__":
    main()
