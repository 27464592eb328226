"""How fast LiteLLM's logs go into the lake, beside polars doing the same work in the same run, and a month's spend.

    python benchmarks/ingest.py [--rows 1000000] [--month 0] [--folder DIR] [--repeats 1]

Both take the log of benchmarks/spend_logs.py from JSON lines to typed, checked, deduplicated, priced Parquet by day, on
the cores this machine has. fairlead also sets aside lines that cannot be read, keeps what has no column, hashes the ids
of people and makes every file durable. polars gives up a whole file over one bad line, so it is given a file without
them; it takes the columns it needs out of the metadata, prices by a join, keeps no other field and syncs nothing.
Each run is a process of its own. With --month N, ten files of N / 10 rows are loaded one after the other, and a
month's spend by team, model and day is asked of the lake.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import spend_logs

TEXTS = (
    *("request_id", "api_key", "startTime", "endTime", "completionStartTime", "model", "user", "team_id", "metadata"),
    *("request_tags", "model_group", "model_id", "custom_llm_provider", "session_id", "status", "litellm_call_id"),
    *("cache_hit", "api_base"),
)
MONTH = """
SELECT team_id, response_model, CAST(start_time AS DATE) AS day, sum(cost_usd) AS usd, count(*) AS attempts
FROM attempts WHERE start_time >= TIMESTAMPTZ '2026-10-01' AND start_time < TIMESTAMPTZ '2026-11-01'
GROUP BY ALL ORDER BY ALL
"""


def with_fairlead(folder: Path, logs: list[Path]) -> dict[str, Any]:
    """Load the logs into a fresh project, as `fairlead ingest` does."""
    from fairlead import ingest, project

    here = project.init(folder / "project")
    start = time.perf_counter()
    done = ingest.load(here, logs)
    seconds = time.perf_counter() - start
    size = sum(path.stat().st_size for path in here.lake.rglob("*.parquet"))
    counts = {name: getattr(done, name) for name in ("read", "stored", "duplicates", "quarantined")}
    return {"seconds": seconds, "bytes_a_row": size / done.stored, **counts}


def with_polars(folder: Path, logs: list[Path]) -> dict[str, Any]:
    """Do the same with polars, as far as it goes."""
    import polars as pl

    text, number = pl.String, pl.Float64
    schema = {
        **dict.fromkeys(
            ("request_id", "api_key", "startTime", "endTime", "completionStartTime", "model", "user"), text
        ),
        **dict.fromkeys(
            ("team_id", "metadata", "request_tags", "model_group", "model_id", "custom_llm_provider"), text
        ),
        **dict.fromkeys(("session_id", "status", "litellm_call_id", "cache_hit", "api_base"), text),
        **dict.fromkeys(("prompt_tokens", "completion_tokens", "total_tokens"), pl.Int64),
        "spend": number,
    }
    prices = pl.LazyFrame(
        [(name, a, b, c) for _, name, a, b, c in spend_logs.MODELS],
        orient="row",
        schema={"name": text, "price_in": number, "price_out": number, "price_cached": number},
    )
    start = time.perf_counter()
    cached = pl.col("metadata").str.json_path_match("$.usage_object.prompt_tokens_details.cached_tokens").cast(pl.Int64)
    times = pl.col("startTime", "endTime", "completionStartTime").str.to_datetime(time_zone="UTC")
    answer = pl.col("completion_tokens") * pl.col("price_out")
    plain = (pl.col("prompt_tokens") - pl.col("cached")) * pl.col("price_in")
    frame = (
        pl.scan_ndjson(logs, schema=schema)
        .with_columns(times, cached=cached)
        .filter(pl.col("prompt_tokens") >= 0, pl.col("startTime") > pl.datetime(2000, 1, 1, time_zone="UTC"))
        .with_columns(name=pl.col("model").str.split("/").list.last(), day=pl.col("startTime").dt.date())
        .join(prices, on="name", how="left")
        .with_columns(usd=plain + pl.col("cached") * pl.col("price_cached") + answer)
        .unique("request_id", keep="any")
        .sort("startTime")
        .drop("metadata", "price_in", "price_out", "price_cached")
        .collect()
    )
    out = folder / "polars"
    for (day,), part in frame.partition_by("day", as_dict=True).items():
        (out / f"day={day}").mkdir(parents=True, exist_ok=True)
        part.write_parquet(out / f"day={day}" / "0.parquet", compression="zstd")
    seconds = time.perf_counter() - start
    size = sum(path.stat().st_size for path in out.rglob("*.parquet"))
    return {"seconds": seconds, "bytes_a_row": size / frame.height, "stored": frame.height}


def month(folder: Path, logs: list[Path]) -> dict[str, Any]:
    """Ask for a month's spend of what `with_fairlead` loaded into this folder."""
    from fairlead import project, store

    del logs
    con = store.open_lake(project.open_project(folder / "project").lake).connect()
    con.execute("SET memory_limit = '1GB'")
    seconds = []
    for _ in range(4):
        start = time.perf_counter()
        found = store.query(con, MONTH)
        seconds.append(time.perf_counter() - start)
    return {"first_s": seconds[0], "then_s": min(seconds[1:]), "groups": found.height, "usd": float(found["usd"].sum())}


def alone(what: str, folder: Path, logs: list[Path]) -> dict[str, Any]:
    """Run one of the above in a process of its own, and add its peak memory."""
    command = [sys.executable, __file__, "--run", what, "--folder", str(folder), *map(str, logs)]
    environment = {**os.environ, "FAIRLEAD_HASH_KEY": "benchmark"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Make the logs, run everything, print the table."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rows", type=int, default=1_000_000)
    arguments.add_argument("--month", type=int, default=0)
    arguments.add_argument("--folder", type=Path)
    arguments.add_argument("--repeats", type=int, default=1)
    arguments.add_argument("--run", help=argparse.SUPPRESS)
    arguments.add_argument("logs", nargs="*", type=Path, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.run:
        found = globals()[given.run](given.folder, given.logs)
        print(json.dumps({**found, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
        return
    folder = given.folder or Path(tempfile.mkdtemp(prefix="fairlead-ingest-"))
    folder.mkdir(parents=True, exist_ok=True)
    if given.rows:
        compare(folder, given.rows, given.repeats)
    if given.month:
        ten_files(folder, given.month)
    if given.folder is None:
        shutil.rmtree(folder)


def compare(folder: Path, rows: int, repeats: int) -> None:
    """Load the same calls with both, in turn."""
    log, clean = folder / "log.jsonl", folder / "clean.jsonl"
    for path in (log, clean):
        if not path.is_file():
            spend_logs.write(path, rows, clean=path is clean)
    print(f"{rows:,} calls, {log.stat().st_size / rows:,.0f} bytes each, {os.cpu_count()} cores")
    rates: dict[str, list[float]] = {"with_fairlead": [], "with_polars": []}
    for _ in range(repeats):
        for what, path in (("with_fairlead", log), ("with_polars", clean)):
            shutil.rmtree(folder / "project", ignore_errors=True)
            shutil.rmtree(folder / "polars", ignore_errors=True)
            found = alone(what, folder, [path])
            lines = found.get("read") or rows * 1.02
            rates[what].append(lines / found["seconds"])
            print(
                f"{what:14} {lines / found['seconds']:10,.0f} rows/s  {found['bytes_a_row']:6.1f} bytes a row"
                f"  peak {found['peak_mb']:6,.0f} MB  { ({k: v for k, v in found.items() if isinstance(v, int)}) }",
                flush=True,
            )
    print(f"fairlead / polars: {max(rates['with_fairlead']) / max(rates['with_polars']):.1f}x, best of {repeats} each")


def ten_files(folder: Path, rows: int) -> None:
    """Load ten files, one month's traffic each a tenth of it, and ask for the month."""
    shutil.rmtree(folder / "project", ignore_errors=True)
    logs = []
    for number in range(10):
        logs.append(folder / f"part-{number}.jsonl")
        if not logs[-1].is_file():
            spend_logs.write(logs[-1], rows // 10, seed=number + 1)
    found = alone("with_fairlead", folder, logs)
    print(
        f"{found['read']:,} lines in ten files over the same month: {found['read'] / found['seconds']:,.0f} rows/s,"
        f" {found['bytes_a_row']:.1f} bytes a row, peak {found['peak_mb']:,.0f} MB",
        flush=True,
    )
    asked = alone("month", folder, [])
    print(
        f"a month's spend by team, model and day: {asked['first_s']:.2f} s, then {asked['then_s']:.2f} s;"
        f" {asked['groups']:,} groups, peak {asked['peak_mb']:,.0f} MB"
    )


if __name__ == "__main__":
    main()
