"""How fast features are built from a lake, and joined to every attempt as of its start.

    python benchmarks/features_speed.py [--rows 1000000] [--folder DIR]

The lake is benchmarks/spend_logs.py's log, loaded by `fairlead ingest`. `build` is what `fairlead build` does: every
table of features/, its grain checked. `join` is what training reads. Busy seconds are of all cores together: on a
shared machine they, and not the wall, say what two free cores would take.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import spend_logs

from fairlead import features, ingest, project
from fairlead.training import spec


def timed(what: str, rows: int, work: Callable[[], Any]) -> Any:
    """Do it, and print how many rows a second that is."""
    wall, busy = time.perf_counter(), time.process_time()
    found = work()
    wall, busy = time.perf_counter() - wall, time.process_time() - busy
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{what:6} {wall:6.2f} s wall, {busy:6.2f} s busy: {rows / wall:10,.0f} rows/s, "
        f"{2 * rows / busy:10,.0f} on two free cores; peak {peak:,.0f} MB",
        flush=True,
    )
    return found


def main() -> None:
    """Make the lake where there is none yet, build, join."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rows", type=int, default=1_000_000)
    arguments.add_argument("--folder", type=Path)
    given = arguments.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="fairlead-features-"))
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / "project").is_dir():
        here = project.open_project(folder / "project")
    else:
        log = folder / "log.jsonl"
        spend_logs.write(log, given.rows)
        here = project.init(folder / "project")
        ingest.load(here, [log])
    for _ in range(2):
        timed("build", given.rows, lambda: features.build(here))
    joined = timed("join", given.rows, lambda: features.join(here, states=spec.tables_of(here.models)))
    asked = len(joined.request_columns), len(joined.state_columns)
    print(f"{joined.rows.height:,} attempts, {asked[0]} request and {asked[1]} state columns")


if __name__ == "__main__":
    main()
