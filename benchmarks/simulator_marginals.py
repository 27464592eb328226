"""How far simulated marginals are from the traces they are drawn after, beside what a textbook shape would give.

    python benchmarks/simulator_marginals.py TRACES [--out FOLDER] [--seed 0]

TRACES is a folder of public traces, laid out as `<trace>/<file>.parquet`. Each line compares a trace with as many (at
least 2,000) simulated values by the Kolmogorov-Smirnov distance (the greatest gap between the two cumulative shares)
and by their ninth deciles; `plain` is the same for an exponential (gaps, outages) or log-normal (the others) of the
trace's own mean and spread. The simulator takes its built-in numbers, not the traces. Below stand the growth of latency
by call in flight, which is computed here from two benchmarks, and what a simulated load makes of it. With --out, the
cumulative shares are drawn into FOLDER/simulator_marginals.png.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from fairlead.evaluation.simulate import failures, synthetic
from fairlead.evaluation.simulate.load import TOKEN_GROWTH, TTFT_GROWTH, Load, meet, stretched
from fairlead.evaluation.simulate.shapes import SHAPES, shaped
from fairlead.evaluation.simulate.timeline import Outage
from fairlead.evaluation.simulate.traffic import Marginals, Rhythm, arrivals, durations

NOON = datetime(2026, 10, 5, 12, tzinfo=UTC)
TRACE = {"azure-conv": ("azure-llm-inference-2023", "service", "conv"),
         "azure-code": ("azure-llm-inference-2023", "service", "code"),
         "mooncake": ("mooncake-fast25", "trace", "conversation")}  # fmt: skip
NAMES = {"timestamp_ms": "timestamp", "input_length": "input_tokens", "output_length": "output_tokens"}
SIZES = ("7b", "13b", "70b")


class Pair(NamedTuple):
    """A marginal: of a trace, simulated, and by a textbook shape."""

    name: str
    trace: np.ndarray
    made: np.ndarray
    plain: np.ndarray


def lengths_and_gaps(folder: Path, seed: int) -> Iterator[Pair]:
    """Compare tokens and gaps of each shape."""
    rng = np.random.default_rng(seed)
    for name, (file, column, value) in TRACE.items():
        calls = pl.read_parquet(folder / file / "trace.parquet").filter(pl.col(column) == value)
        calls = calls.rename(NAMES, strict=False).sort("timestamp")
        world = shaped(synthetic.make(4_000, 4, np.random.default_rng(seed)), SHAPES[name])
        for field, made in (("input_tokens", world.tokens_in), ("output_tokens", world.tokens_out)):
            trace = calls[field].to_numpy().astype(float)
            yield Pair(f"{name} {field}", trace, made.ravel().astype(float), lognormal(trace, rng))
        if SHAPES[name].gaps is not None:
            gaps = calls["timestamp"].cast(pl.Int64).diff().drop_nulls().to_numpy().astype(float)
            moments = arrivals(len(calls), Rhythm.of(1 / 24, NOON, Marginals(), rng), rng, SHAPES[name].gaps)
            made = np.diff(moments).astype(float)
            yield Pair(f"{name} gaps / mean", gaps / gaps.mean(), made / made.mean(), rng.exponential(1, len(gaps)))


def latencies(folder: Path, seed: int) -> Iterator[Pair]:
    """Compare the time to the first token and the tokens a second with their medians."""
    rng = np.random.default_rng(seed)
    world = synthetic.make(4_000, 4, rng)
    last, first = durations(world, Marginals(), rng)
    usual = np.array([one.ttft_s for one in world.endpoints]) * (1 + world.tokens_in / 20_000)
    calls = pl.read_parquet(folder / "thefastest-ai-2024" / "measurements.parquet")
    calls = calls.filter(pl.len().over("model") >= 40, pl.col("ttft_s") > 0)
    ttft = calls.select(pl.col("ttft_s") / pl.col("ttft_s").median().over("model")).to_series().to_numpy()
    yield Pair("first token / median", ttft, (first / usual).ravel(), lognormal(ttft, rng))
    # A whole answer varies less than thefastest.ai's 20 tokens: LLMPerf's answers of 150 are compared.
    whole = pl.read_parquet(folder / "llmperf-leaderboard-2023" / "requests.parquet")
    whole = whole.filter(pl.col("error_code").is_null())
    speed = pl.col("output_tokens_per_s")
    trace = whole.select(speed / speed.median().over("provider", "size")).to_series().to_numpy()
    long = world.tokens_out > 100
    made = [np.where(long, world.tokens_out / last, np.nan)[:, place] for place in range(4)]
    ratios = np.concatenate([one / np.nanmedian(one) for one in made])
    yield Pair("tokens a second / median", trace, ratios[np.isfinite(ratios)], lognormal(trace, rng))


def outages(folder: Path, seed: int) -> Iterator[Pair]:
    """Compare how long outages last, and print how often they come."""
    rng = np.random.default_rng(seed)
    days = pl.read_parquet(folder / "llm-outages-2024" / "daily_outage_minutes.parquet")
    days = days.filter(pl.col("Service").is_in(["api", "api.anthropic.com"]))
    drawn = failures.faults(["one"], np.array([0, round(40_000 * 86400e6)]), (), Marginals(), rng).outages
    for name, share in (("major", 1.0), ("partial", 0.3)):
        trace = days.filter(pl.col(f"{name}_outage_minutes") > 0)[f"{name}_outage_minutes"].to_numpy().astype(float)
        mine: list[Outage] = [one for one in drawn if one.share == share]
        made = np.array([(one.end_us - one.begin_us) / 60e6 for one in mine])
        print(f"{name} outages a service-day: trace {len(trace) / len(days):.4f}, made {len(mine) / 40_000:.4f}")
        yield Pair(f"{name} outage minutes", trace, made, rng.exponential(trace.mean(), 2_000))


def hours_and_errors(folder: Path, seed: int) -> None:
    """Print the traffic by hour of day and the shares of failure, side by side."""
    rng = np.random.default_rng(seed)
    real = pl.read_parquet(folder / "burstgpt-aggregates" / "hour_of_day.parquet").sort("hour")
    shares = real["requests_per_hour"].to_numpy() / real["requests_per_hour"].sum()
    made = arrivals(50_000, Rhythm.of(28, NOON, Marginals(), rng), rng) // 3_600_000_000 % 24
    gap = np.abs(np.bincount(made, minlength=24) / len(made) - shares).sum() / 2
    print(f"requests by hour of day: total variation {gap:.3f} (even hours: {np.abs(shares - 1 / 24).sum() / 2:.3f})")
    calls = pl.read_parquet(
        folder / "llmperf-leaderboard-2023" / "requests.parquet", columns=["provider", "error_code"]
    )
    told = calls.group_by("provider").agg(pl.col("error_code").is_not_null().mean().alias("share"))
    known = sorted(one for one in told["share"].to_list() if one < 0.3)
    gentd = pl.read_parquet(folder / "alibaba-gentd26" / "lora_requests.parquet")["predict_status"]
    start, k = np.arange(40_000) * 60_000_000, 4
    faulty = failures.faults([f"{place}" for place in range(k)], start, (), Marginals(outages=()), rng)
    there, took = np.ones((len(start), k), dtype=bool), np.ones((len(start), k))
    tries = failures.play(start // 60_000_000 % k, start, took, took / 2, there, faulty, rng)
    firsts = tries.number == 0
    seen = sorted((tries.failure[firsts & (tries.endpoint == place)] >= 0).mean() for place in range(k))
    failed = (gentd == "FAILED").mean()
    told = [", ".join(f"{one:.4f}" for one in shares) for shares in (known, seen)]
    print(f"share of failures: LLMPerf's providers {told[0]}; GenTD26 {failed:.4f}; simulated endpoints {told[1]}")


def growth(folder: Path, seed: int) -> None:
    """Print how much slower five calls at once are than one, and what the simulated load makes of four others."""
    one = pl.read_parquet(folder / "thefastest-ai-2024" / "measurements.parquet")
    one = one.filter(
        pl.col("tps") < 999, pl.col("model").str.contains(r"(?i)^(?:together|api\.|fireworks)")
    ).with_columns(
        pl.col("model").str.extract(r"(?i)(together|fireworks)").str.to_lowercase().alias("host"),
        pl.col("model").str.extract(r"(?i)llama-(?:v2|2)-(\d+b)").alias("size"),
    )
    one = one.drop_nulls(["host", "size"]).group_by("host", "size").agg(pl.col("ttft_s", "tps").median())
    five = pl.read_parquet(folder / "llmperf-leaderboard-2023" / "requests.parquet")
    five = five.filter(pl.col("error_code").is_null()).group_by(pl.col("provider").alias("host"), "size")
    five = five.agg(
        pl.col("ttft_s").median().alias("ttft_5"), (1 / pl.col("inter_token_latency_s")).median().alias("tps_5")
    )
    both = one.join(five, on=["host", "size"]).sort("host", "size")
    ttft, tps = (both["ttft_5"] / both["ttft_s"]).to_numpy(), (both["tps_5"] / both["tps"]).to_numpy()
    print("five calls at once against one, Llama 2 at " + ", ".join(
        f"{host} {size}: first token x{slow:.2f}, tokens a second x{fast:.2f}"
        for host, size, slow, fast in zip(both["host"], both["size"], ttft, tps, strict=True)))  # fmt: skip
    a_call = (np.median(ttft) - 1) / 4, (1 / np.median(tps) - 1) / 4
    print(f"  growth by call: first token {a_call[0]:.3f} (built in {TTFT_GROWTH}),", end=" ")
    print(f"a token {a_call[1]:.3f} ({TOKEN_GROWTH})")
    rng = np.random.default_rng(seed)
    world = synthetic.make(8_000, 2, rng)
    last, first = durations(world, Marginals(), rng)
    rhythm = Rhythm.of(14, NOON, Marginals(), rng)
    moments = arrivals(len(world), rhythm, rng)
    for load in (Load(in_flight=4, slots=16), Load(in_flight=12, slots=16), Load(in_flight=16, slots=16)):
        met = meet(load, moments, last.mean(axis=0), rhythm, rng)
        slow, wait = stretched(last, first, np.ones(last.shape), met)
        assert met is not None
        first_by, whole_by = wait / first, slow / last
        print(
            f"  simulated, {load.in_flight:g} in flight, {load.slots} slots: first token x{np.median(first_by):.2f} "
            f"at the median, x{np.quantile(first_by, 0.95):.2f} at p95; whole answer x{np.median(whole_by):.2f}; "
            f"{np.mean(met.wait_s > 0):.1%} wait for a slot"
        )


def lognormal(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw from the log-normal with the mean and spread of the values' logarithms."""
    logs = np.log(np.maximum(values, 1e-9))
    return np.exp(rng.normal(logs.mean(), logs.std(), max(len(values), 2_000)))


def distance(one: np.ndarray, two: np.ndarray) -> float:
    """Give the Kolmogorov-Smirnov distance of two samples."""
    every = np.concatenate([one, two])
    shares = [np.searchsorted(np.sort(each), every, side="right") / len(each) for each in (one, two)]
    return float(np.abs(shares[0] - shares[1]).max())


def picture(pairs: list[Pair], out: Path) -> None:
    """Draw the cumulative shares, a panel for each marginal."""
    import altair as alt

    panels = []
    for pair in pairs:
        rows: list[dict[str, Any]] = []
        for who, values in (("trace", pair.trace), ("simulated", pair.made), ("plain", pair.plain)):
            levels = np.linspace(0.002, 0.998, 250)
            found = np.quantile(np.maximum(values, 1e-4), levels)
            rows += [{"of": who, "value": x, "share": y} for x, y in zip(found.tolist(), levels.tolist(), strict=True)]
        low = max(min(row["value"] for row in rows if row["of"] == "trace"), 1e-4)
        high = max(row["value"] for row in rows if row["of"] == "trace")
        base = alt.Chart(alt.Data(values=rows)).mark_line(clip=True).encode(
            x=alt.X("value:Q", title=None, scale=alt.Scale(type="log", domain=[low, high])),
            y=alt.Y("share:Q", title="cumulative share"),
            color=alt.Color("of:N", title=None, sort=["trace", "simulated", "plain"]),
            strokeDash=alt.StrokeDash("of:N", legend=None, sort=["trace", "simulated", "plain"]),
        )  # fmt: skip
        panels.append(base.properties(width=260, height=170, title=pair.name))
    out.mkdir(parents=True, exist_ok=True)
    alt.concat(*panels, columns=4).save(out / "simulator_marginals.png", scale_factor=1.5)


def main() -> None:
    """Compare, print and draw."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("traces", type=Path)
    asked.add_argument("--out", type=Path)
    asked.add_argument("--seed", type=int, default=0)
    given = asked.parse_args()
    pairs = [
        *lengths_and_gaps(given.traces, given.seed),
        *latencies(given.traces, given.seed),
        *outages(given.traces, given.seed),
    ]
    print(f"{'marginal':28} {'n':>7}  {'distance':>8} {'plain':>6}   p90: {'trace':>9} {'made':>9} {'plain':>9}")
    for pair in pairs:
        tail = [np.quantile(one, 0.9) for one in (pair.trace, pair.made, pair.plain)]
        near, far = distance(pair.trace, pair.made), distance(pair.trace, pair.plain)
        row = f"{pair.name:28} {len(pair.trace):7}  {near:8.3f} {far:6.3f}        "
        print(row + " ".join(f"{one:9.4g}" for one in tail))
    hours_and_errors(given.traces, given.seed)
    growth(given.traces, given.seed)
    if given.out:
        picture(pairs, given.out)


if __name__ == "__main__":
    main()
