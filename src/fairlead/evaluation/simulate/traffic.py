"""When requests arrive, how long answers take, how often calls fail: shapes that public traces show, by quantiles.

The built-in numbers are facts read from these traces by `Marginals.of`. BurstGPT (CC-BY 4.0, a third party's hourly
sums): requests by hour of day. ServeGen (Apache-2.0): how far a ten-minute window strays from the two hours around it.
thefastest.ai (MIT), models with 40 or more measurements: time to the first token and tokens a second against the
model's median, without the tps = 999 sentinel. Error shares: Together's and Perplexity's in the LLMPerf leaderboard
(Apache-2.0; two providers whose quota had run out are left out), Alibaba's GenTD26, and a flaky endpoint, which is an
assumption. Outages: OpenAI's and Anthropic's APIs by their status pages (ICPE'25), 1,716 service-days, which count a
minute of a partial outage as .3.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from fairlead.errors import ReadError
from fairlead.evaluation.simulate.world import Floats, Integers, World

__all__ = ["FINE", "LEVELS", "Marginals", "OutageKind", "Rhythm", "arrivals", "draw", "durations"]

LEVELS: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999)
FINE: Final = (0.01, *(round(0.05 * step, 2) for step in range(1, 20)), 0.98, 0.99, 0.999)
_WINDOW_S: Final = 600
# Requests by weekday, Monday first. An assumption: the public traces at hand are too short to show a week.
_WEEKDAY: Final = (1.0, 1.05, 1.05, 1.05, 0.95, 0.55, 0.5)


@dataclass(frozen=True, slots=True)
class OutageKind:
    """Outages of a kind: how many a day a provider has, how long they last (quantiles), which share of calls fails."""

    a_day: float
    share: float
    minutes: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Marginals:
    """Distributions of arrivals, speeds and failures; ratios are tabulated at LEVELS."""

    source: str = "built in"
    hour: tuple[float, ...] = (
        *(940, 893, 572, 513, 368, 342, 194, 153, 178, 416, 879, 1287),
        *(1744, 1501, 1796, 1401, 1476, 1356, 1181, 1568, 1353, 1175, 1129, 1026),
    )
    window: tuple[float, ...] = (0.597, 0.77, 0.877, 0.956, 1.0, 1.04, 1.12, 1.19, 1.36, 1.55)
    ttft: tuple[float, ...] = (0.385, 0.511, 0.609, 0.804, 1.0, 1.35, 2.23, 3.17, 5.59, 24.7)
    speed: tuple[float, ...] = (0.199, 0.386, 0.527, 0.806, 1.0, 1.22, 1.74, 2.69, 9.34, 28.2)
    failure_share: tuple[float, ...] = (0.002, 0.013, 0.015, 0.05)
    outages: tuple[OutageKind, ...] = (
        OutageKind(0.01515, 1.0, (4.0, 7.0, 7.0, 19.0, 41.0, 57.0, 112.0, 175.0, 242.0, 258.0)),
        OutageKind(0.06002, 0.3, (1.04, 6.0, 8.4, 18.0, 51.0, 90.5, 191.0, 295.0, 426.0, 671.0)),
    )

    @classmethod
    def of(cls, folder: Path) -> Marginals:
        """Read the same shapes from a folder of traces, laid out as `<trace>/<file>.parquet`."""
        hour = _trace(folder, "burstgpt-aggregates/hour_of_day.parquet", "requests_per_hour", "hour").sort("hour")
        return replace(
            cls(),
            source=folder.name,
            hour=tuple(hour["requests_per_hour"].to_list()),
            window=_window(folder),
            ttft=_against_median(folder, "ttft_s"),
            speed=_against_median(folder, "tps"),
            failure_share=_failure_share(folder),
            outages=_outages(folder),
        )


def draw(table: tuple[float, ...], uniform: Floats, levels: tuple[float, ...] = LEVELS) -> Floats:
    """Draw from a table of quantiles at these levels, straight on a log scale between them."""
    return np.asarray(np.exp(np.interp(uniform, levels, np.log(table))), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Rhythm:
    """The rate of traffic in ten-minute windows: by hour of day, weekday and bursts."""

    edges: Integers  # seconds since 1970, when each window begins
    width: Floats
    rate: Floats

    @classmethod
    def of(cls, days: float, start: datetime, marginals: Marginals, rng: np.random.Generator) -> Rhythm:
        """Draw the bursts of so many days."""
        origin = round(start.timestamp())
        edges = origin + np.arange(0, max(round(days * 86400), 1), _WINDOW_S)
        hour = np.array(marginals.hour)[(edges // 3600) % 24]
        weekday = np.array(_WEEKDAY)[(edges // 86400 + 3) % 7]  # 1970-01-01 was a Thursday
        width: Floats = (np.minimum(edges + _WINDOW_S, origin + days * 86400) - edges).astype(np.float64)
        return cls(edges, width, hour * weekday * draw(marginals.window, rng.random(len(edges))))

    def at(self, moments: Integers) -> Floats:
        """Give the rate at moments (us since 1970) against the mean rate."""
        mean = float((self.rate * self.width).sum() / self.width.sum())
        return np.asarray(self.rate[np.searchsorted(self.edges, moments / 1e6, side="right") - 1] / mean)


def arrivals(n: int, rhythm: Rhythm, rng: np.random.Generator, gaps: tuple[float, ...] | None = None) -> Integers:
    """Give `n` moments in microseconds since 1970, in order.

    `gaps` is a table (at FINE) of the gaps between requests against their mean, for traffic that is more bursty than
    chance.
    """
    weight = rhythm.rate * rhythm.width
    if gaps is not None:  # gaps in a time in which the rate is even, put back into the hours of the day
        waited = np.cumsum(draw(gaps, rng.random(n + 1), FINE))
        reached = np.concatenate([[0.0], np.cumsum(weight)])
        bounds = np.append(rhythm.edges, rhythm.edges[-1] + rhythm.width[-1])
        even = np.interp(waited[:-1] / float(waited[-1]) * reached[-1], reached, bounds)
        return np.asarray(np.rint(even * 1e6), dtype=np.int64)
    window = rng.choice(len(rhythm.edges), n, p=weight / weight.sum())
    moment = rhythm.edges[window] + rng.random(n) * rhythm.width[window]
    return np.sort(np.rint(moment * 1e6).astype(np.int64))


def durations(world: World, marginals: Marginals, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Give the seconds to the last and to the first token, for each request at each endpoint.

    Measured durations stay as they are; the others are a first token plus the answer's length over the speed.
    """
    shape = world.quality.shape
    usual_ttft = np.array([one.ttft_s for one in world.endpoints])
    usual_speed = np.array([one.tokens_per_s for one in world.endpoints])
    ttft = usual_ttft * draw(marginals.ttft, rng.random(shape)) * (1 + world.tokens_in / 20_000)
    # The benchmark's answers of 20 tokens make speed look wilder than it is over a whole answer: a third of its spread.
    speed = usual_speed * draw(marginals.speed, rng.random(shape)) ** (1 / 3)
    drawn = ttft + world.tokens_out / speed
    total: Floats = np.where(np.isfinite(world.duration_s), world.duration_s, drawn)
    first: Floats = np.minimum(ttft, 0.8 * total)
    return total.round(6), first.round(6)


def _trace(folder: Path, name: str, *columns: str) -> pl.DataFrame:
    path = folder / name
    try:
        return pl.read_parquet(path, columns=list(columns))
    except (OSError, pl.exceptions.PolarsError) as fault:
        raise ReadError(f"{path}: not readable ({fault}); leave the traces out to use the built-in shapes") from fault


def _window(folder: Path) -> tuple[float, ...]:
    name = "servegen-2025/client_rate_10min.parquet"
    clients = _trace(folder, name, "category", "window_start_s", "rate_rps").filter(pl.col("category") == "language")
    windows = clients.group_by("window_start_s").agg(pl.col("rate_rps").cast(pl.Float64).sum()).sort("window_start_s")
    around = pl.col("rate_rps").rolling_mean(12, center=True)
    return _quantiles(windows.select(pl.col("rate_rps") / around).drop_nulls().to_series())


def _against_median(folder: Path, column: str) -> tuple[float, ...]:
    calls = _trace(folder, "thefastest-ai-2024/measurements.parquet", "model", column)
    calls = calls.filter(pl.len().over("model") >= 40, pl.col(column) > 0)
    if column == "tps":
        calls = calls.filter(pl.col("tps") < 999)
    return _quantiles(calls.select(pl.col(column) / pl.col(column).median().over("model")).to_series())


def _failure_share(folder: Path) -> tuple[float, ...]:
    calls = _trace(folder, "llmperf-leaderboard-2023/requests.parquet", "provider", "error_code")
    share = calls.group_by("provider").agg(pl.col("error_code").is_not_null().mean().alias("share"))
    sound = share.filter(pl.col("share") < 0.3)["share"].sort()  # where more fail, it was a quota that had run out
    if sound.is_empty():
        raise ReadError(f"{folder}: no provider in LLMPerf's requests answers; leave the traces out")
    return tuple(sound.to_list())


def _outages(folder: Path) -> tuple[OutageKind, ...]:
    columns = [f"{kind}_outage_minutes" for kind in ("major", "partial")]
    days = _trace(folder, "llm-outages-2024/daily_outage_minutes.parquet", "Service", *columns)
    days = days.filter(pl.col("Service").is_in(["api", "api.anthropic.com"]))
    found = []
    for column, share in zip(columns, (1.0, 0.3), strict=True):
        minutes = days.filter(pl.col(column) > 0)[column].cast(pl.Float64)
        found.append(OutageKind(len(minutes) / len(days), share, _quantiles(minutes)))
    return tuple(found)


def _quantiles(values: pl.Series) -> tuple[float, ...]:
    return tuple(max(float(value), 1e-6) for value in np.quantile(values.to_numpy(), LEVELS))
