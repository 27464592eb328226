"""How fast LiteLLM's logs go into the lake, beside polars doing the same work in the same run, and a month's spend.

    python benchmarks/ingest.py [--rows 1000000] [--month 0] [--folder DIR] [--repeats 1]

All take the log of benchmarks/spend_logs.py from JSON lines to typed, checked, deduplicated, priced Parquet by day, on
the cores this machine has. `with_polars` does the same work as fairlead, bad lines, other fields, hashes and syncs
included; `polars_lazy` is a sketch that is given a file without bad lines and leaves all of that out. What each does
and does not stands in benchmarks/ingest_polars.py.
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

MONTH = """
SELECT team_id, response_model, event_date AS day, sum(cost_usd) AS usd, count(*) AS attempts
FROM attempts WHERE event_date BETWEEN DATE '2026-10-01' AND DATE '2026-10-31'
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
    """Do the same work with polars."""
    import ingest_polars

    return ingest_polars.same_work(folder, logs)


def polars_lazy(folder: Path, logs: list[Path]) -> dict[str, Any]:
    """Do the least with polars that could be called the same."""
    import ingest_polars

    return ingest_polars.lazy(folder, logs)


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
    rates: dict[str, list[float]] = {"with_fairlead": [], "with_polars": [], "polars_lazy": []}
    for _ in range(repeats):
        for what, path in (("with_fairlead", log), ("with_polars", log), ("polars_lazy", clean)):
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
    for other in ("with_polars", "polars_lazy"):
        ratio = max(rates["with_fairlead"]) / max(rates[other])
        print(f"fairlead / {other}: {ratio:.1f}x, best of {repeats} each")


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
