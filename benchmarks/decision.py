"""How long a whole decision takes, from the prompt string to the endpoint, beside LiteLLM's router on the same prompts.

    python benchmarks/decision.py [--litellm PYTHON] [--prompts 1000] [--rounds 5] [--folder DIR]

`Router.decide` reads the prompt, evaluates five forests of 200 trees of 31 leaves at 24 endpoints, applies the rules,
the live state and an exploring `intelligent`, draws, and counts the call in flight. Runs: with numba and without, and
with a text projection and two networks for quality as well. LiteLLM's router picks among 24 deployments in its own
environment (`benchmarks/litellm_select.py`), which has to be given. Each run is a process of its own on one core, all
in turns; medians and 99th percentiles are the best of the rounds, since a busy machine only ever adds.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
WARM = 200
OURS = {"numba": False, "numpy": False, "numba, networks": True, "numpy, networks": True}


def measure(path: Path, prompts: list[str]) -> dict[str, Any]:
    """Time decisions with the snapshot in a folder, in this process."""
    from fairlead import Request, Router

    router = Router(path)
    asked = [
        Request(id=f"r-{at}", text=text, route=f"route {at % 12}", tools=at % 4) for at, text in enumerate(prompts)
    ]
    for request in [*asked, *asked][:WARM]:
        router.decide(request)
    took = []
    for request in asked:
        start = time.perf_counter_ns()
        router.decide(request)
        took.append((time.perf_counter_ns() - start) / 1000)
    status = Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0]
    return {"us": took, "rss_mb": int(status) / 1024, "faults": router.status().faults}


def child(command: list[str], prompts: list[str], **environment: str) -> dict[str, Any]:
    """Run one measurement on one core."""
    done = subprocess.run(
        command,
        input=json.dumps(prompts),
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **environment},
        preexec_fn=lambda: os.sched_setaffinity(0, {max(os.sched_getaffinity(0))}),
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measure in turns, and print medians, 99th percentiles and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--litellm", help="an interpreter that has litellm")
    parser.add_argument("--prompts", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "fairlead-decision")
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.run:
        print(json.dumps(measure(given.run, json.load(sys.stdin))))
        return
    import decision_data as data

    from fairlead.scoring.snapshot import CURRENT

    grown = data.grow(given.folder)
    for dense in (False, True):
        data.snapshot(grown, dense=dense).write(given.folder / str(dense) / CURRENT)
    asked = data.prompts(given.prompts, 7)
    times: dict[str, list[list[float]]] = {}
    memory: dict[str, float] = {}
    for _ in range(given.rounds):
        for name, dense in OURS.items():
            command = [sys.executable, __file__, "--run", str(given.folder / str(dense))]
            found = child(command, asked, FAIRLEAD_ENGINE="numpy" if name.startswith("numpy") else "")
            if found["faults"]:
                raise SystemExit(f"{name}: {found['faults']} decisions failed inside")
            times.setdefault(name, []).append(found["us"])
            memory[name] = found["rss_mb"]
        if given.litellm:
            found = child([given.litellm, str(HERE / "litellm_select.py")], asked)
            for name, took in found["us"].items():
                times.setdefault(f"LiteLLM {found['version']} {name}", []).append(took)
    table(times, memory)


def table(times: dict[str, list[list[float]]], memory: dict[str, float]) -> None:
    """Print a line each, and how many times longer than ours it takes."""
    best = {
        name: (min(_at(one, 0.5) for one in runs), min(_at(one, 0.99) for one in runs)) for name, runs in times.items()
    }
    for name, (median, p99) in best.items():
        ratio = f"{median / best['numba'][0]:6.1f}x numba  {median / best['numpy'][0]:6.1f}x numpy"
        print(f"{name:44} median {median:9.1f} us   99 % {p99:9.1f} us   {ratio}   {memory.get(name, 0):4.0f} MB")


def _at(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


if __name__ == "__main__":
    main()
