"""What the scoring API takes over HTTP, beside FastAPI and pydantic around the same decision.

    python benchmarks/serve_load.py [--seconds 5] [--rounds 2] [--folder DIR] [--only NAME ...] [--rates 2000 5000 ...]

The decision is that of `decision.py`: 24 endpoints, five forests of 200 trees of 31 leaves, all text features. One
worker runs on one core and the generator (`serve_client.py`) on the other; two workers share both with it. The
generator and the server are on the same machine, so each figure is less than a machine of its own would reach: `cpu`,
the server's own processor time for each answer, is what the generator does not touch. The best of the rounds counts.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
OURS = (
    "import sys, msgspec; from fairlead.serve.settings import Settings; from fairlead.serve.workers import serve;"
    "serve(msgspec.json.decode(sys.argv[1], type=Settings))"
)
TICKS = os.sysconf("SC_CLK_TCK")


@contextmanager
def server(command: list[str], port: int, core: int | None) -> Iterator[int]:
    """Run a server, and wait until it answers; on one core where one is named."""
    pin = (lambda: os.sched_setaffinity(0, {core})) if core is not None else None
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    process = subprocess.Popen(command, preexec_fn=pin, env=environment)  # noqa: PLW1509
    try:
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        time.sleep(1)
        yield process.pid
    finally:
        process.terminate()
        process.wait(30)


def cpu_s(pid: int) -> float:
    """Give the processor time of a process and its children, in seconds."""
    total = 0
    for one in [pid, *children(pid)]:
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def children(pid: int) -> list[int]:
    """Give the processes that a process has started."""
    told = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [found for one in told for found in (int(one), *children(int(one)))]


def ask(port: int, bodies: list[Any], **how: Any) -> dict[str, Any]:
    """Run the generator on the last core."""
    given = [word for name, value in how.items() for word in (f"--{name}", str(value))]
    command = [sys.executable, str(HERE / "serve_client.py"), f"127.0.0.1:{port}", *given]
    done = subprocess.run(command, input=json.dumps(bodies), capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def measure(pid: int, port: int, bodies: list[Any], many: int = 1, **how: Any) -> dict[str, Any]:
    """Warm the server up, load it, and say what each answer cost it."""
    ask(port, bodies, connections=16, seconds=1, path=how.get("path", "/v1/decide"), core=how["core"])
    before = cpu_s(pid)
    found = ask(port, bodies, **how)
    found["cpu_us"] = (cpu_s(pid) - before) / max(1, found["answers"] * many) * 1e6
    found["decisions_per_s"] = found["per_s"] * many
    return found


def main() -> None:
    """Measure in turns, and print the best of each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "fairlead-decision")
    parser.add_argument("--only", nargs="*", default=["one", "fastapi", "two", "batch", "open", "spool", "more"])
    parser.add_argument("--rates", nargs="*", type=float, default=[1000, 2000, 4000, 6000, 8000, 10000])
    parser.add_argument("--port", type=int, default=18123)
    given = parser.parse_args()
    import decision_data as data

    from fairlead.scoring.snapshot import CURRENT

    folder = given.folder / "serve"
    data.snapshot(data.grow(given.folder)).write(folder / CURRENT)
    singles = [
        {"text": text, "route": f"route {at % 12}", "tools": at % 4} for at, text in enumerate(data.prompts(1000, 7))
    ]
    batches = [{"requests": [singles[(at * 64 + one) % 1000] for one in range(64)]} for at in range(16)]
    server_core, core = min(os.sched_getaffinity(0)), max(os.sched_getaffinity(0))
    best: dict[str, dict[str, Any]] = {}

    def settings(**more: Any) -> list[str]:
        limits = {"wait_s": 10.0}  # nothing is refused: what is measured is the whole of it
        told = {"snapshot": str(folder), "port": given.port, "limits": limits, **more}
        return [sys.executable, "-c", OURS, json.dumps(told)]

    def keep(name: str, found: dict[str, Any]) -> None:
        print(
            f"{name:34} {found['decisions_per_s']:9,.0f}/s  cpu {found['cpu_us']:6.1f} us  "
            f"p50 {found['ms']['p50']:7.2f}  p99 {found['ms']['p99']:8.2f}  "
            f"max {found['ms']['max']:8.1f} ms  {found['statuses']} "
            f"unanswered {found['unanswered']}",
            flush=True,
        )
        if name not in best or found["decisions_per_s"] > best[name]["decisions_per_s"]:
            best[name] = found

    for _ in range(given.rounds):
        if {"one", "batch", "open"} & set(given.only):
            with server(settings(), given.port, server_core) as pid:
                if "one" in given.only:
                    for count in (64, 1000):
                        keep(
                            f"one worker, {count} connections",
                            measure(pid, given.port, singles, connections=count, seconds=given.seconds, core=core),
                        )
                if "batch" in given.only:
                    keep(
                        "one worker, batches of 64",
                        measure(
                            pid,
                            given.port,
                            batches,
                            64,
                            connections=4,
                            seconds=given.seconds,
                            core=core,
                            path="/v1/decide/batch",
                        ),
                    )
                if "open" in given.only:
                    for rate in given.rates:
                        keep(
                            f"one worker, open loop {rate:,.0f}/s",
                            measure(
                                pid, given.port, singles, connections=256, seconds=given.seconds, core=core, rate=rate
                            ),
                        )
        if "fastapi" in given.only:
            command = [sys.executable, str(HERE / "serve_fastapi.py"), str(folder), str(given.port)]
            with server(command, given.port, server_core) as pid:
                for count in (64, 1000):
                    keep(
                        f"FastAPI, {count} connections",
                        measure(pid, given.port, singles, connections=count, seconds=given.seconds, core=core),
                    )
        if "spool" in given.only:
            spool = given.folder / "spool"
            shutil.rmtree(spool, ignore_errors=True)
            with server(settings(spool=str(spool)), given.port, server_core) as pid:
                keep(
                    "one worker with a spool, 64",
                    measure(pid, given.port, singles, connections=64, seconds=given.seconds, core=core),
                )
        if "more" in given.only:
            with server(settings(limits={"wait_s": 0.1}), given.port, server_core) as pid:
                for rate in (15_000, 25_000):  # more than it can do: what it does not refuse has to be in time
                    keep(
                        f"too much: open loop {rate:,}/s",
                        measure(
                            pid, given.port, singles, connections=1000, seconds=given.seconds, core=core, rate=rate
                        ),
                    )
        if "two" in given.only:
            with server(settings(workers=2), given.port, None) as pid:
                keep(
                    "two workers, 64 connections",
                    measure(pid, given.port, singles, connections=64, seconds=given.seconds, core=core),
                )
    print("best of the rounds, with load on the machine of", os.getloadavg())
    for name, found in best.items():
        ratio = ""
        own = best.get(name.replace("FastAPI", "one worker"))
        if name.startswith("FastAPI") and own:
            by_rate, by_cpu = own["decisions_per_s"] / found["decisions_per_s"], found["cpu_us"] / own["cpu_us"]
            ratio = f"   ours {by_rate:.1f}x by rate, {by_cpu:.1f}x by cpu"
        print(f"{name:34} {found['decisions_per_s']:9,.0f}/s  cpu {found['cpu_us']:6.1f} us{ratio}")


if __name__ == "__main__":
    main()
