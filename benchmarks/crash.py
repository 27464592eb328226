"""Crashes, failing system calls and full disks during loads: nothing may be lost, doubled or damaged.

    python benchmarks/crash.py [kills] [faults] [order] [disk] [--kills 200] [--most N] [--seed 0] [--torn]

`kills`: three concurrent loaders over files that share lines, kill -9 at 200 random points, started again until done.
`faults`: each system call that changes a disk, of a first and of a second load, one at a time: killed there, EIO and
ENOSPC; then a clean load. `order`: what is durable before what. `disk`: a file system that is full at 20 sizes, then
grown. `--torn` commits in two steps, which the first two must find. Prints one JSON object and ends with 1 where
anything was wrong.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import crash_disk
import crash_faults
import crash_kills
import crash_lake
import crash_order

PARTS = ("kills", "faults", "order", "disk")


def main() -> None:
    """Run the parts that were asked for, each in a folder of its own."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all of them where none is named")
    arguments.add_argument("--kills", type=int, default=200)
    arguments.add_argument("--most", type=int, help="places of each system call; every one where it is not given")
    arguments.add_argument("--modes", nargs="*", choices=list(crash_faults.MODES), default=list(crash_faults.MODES))
    arguments.add_argument("--calls", nargs="*", choices=crash_faults.CALLS, default=crash_faults.CALLS)
    arguments.add_argument("--sizes", type=int, default=20)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--torn", action="store_true")
    asked = arguments.parse_args()
    if asked.torn:
        crash_lake.tear()
    found = {part: _part(part, asked) for part in asked.parts or PARTS}
    print(json.dumps(found, indent=1))
    sys.exit(any(one.get("wrong") or one.get("unclean") for one in found.values()))


def _part(part: str, asked: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix=f"fairlead-{part}-") as name:
        folder = Path(name)
        if part == "kills":
            return crash_kills.run(folder, asked.kills, asked.seed)
        reason = crash_disk.available() if part == "disk" else crash_faults.available()
        if reason:
            return {"skipped": reason}
        if part == "order":
            return crash_order.run(folder)
        if part == "faults":
            return crash_faults.run(folder, asked.modes, asked.most, tuple(asked.calls))
        return crash_disk.run(folder, asked.sizes)


if __name__ == "__main__":
    main()
