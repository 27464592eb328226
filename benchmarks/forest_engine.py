"""How fast, how small and how exact is the forest engine, beside LightGBM itself and lleaves?

    python benchmarks/forest_engine.py [--lleaves PYTHON] [--rows 100000] [--folder DIR]

One decision is one request at 24 endpoints in five forests of 200 trees of 31 leaves over 32 request features and 10 of
the endpoint. Everything is measured side by side in one run on one core, in turns; medians and 99th percentiles are the
best of the turns, since a busy machine only ever adds. The forests are trained once and kept in the folder.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import forest_data as data
import numpy as np

from fairlead.scoring.predict import Predictor
from fairlead.scoring.snapshot import Snapshot

Array = np.ndarray[Any, Any]
PROBE = """
import json, os, sys, time
before = time.perf_counter()
from fairlead.scoring.predict import Predictor
from fairlead.scoring.snapshot import Snapshot
from pathlib import Path
imported = time.perf_counter()
one = Predictor(Snapshot.read(Path(sys.argv[1])))
first = time.perf_counter()
rss = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmRSS"))
loads = []
for _ in range(20):
    begin = time.process_time()
    one = Predictor(Snapshot.read(Path(sys.argv[1])))
    loads.append(time.process_time() - begin)
names = {"rss_mb": int(rss) / 1024, "import_s": imported - before, "first_load_ms": (first - imported) * 1e3,
         "load_cpu_ms_median": sorted(loads)[10] * 1e3, "load_cpu_ms_best": min(loads) * 1e3, "kind": one.engine.kind}
print(json.dumps(names))
"""


def main() -> None:
    """Measure, print and say which targets were missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lleaves", help="an interpreter that has lleaves and an llvmlite it works with")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--trees", type=int, default=200)
    parser.add_argument("--leaves", type=int, default=31)
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--calls", type=int, default=400, help="decisions of each engine in a turn")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "fairlead-forest-engine")
    asked = parser.parse_args()
    boosters = data.grow(asked.folder, asked.rows, asked.trees, asked.leaves)
    made = data.snapshot(boosters, asked.trees)
    path = asked.folder / "snapshot.safetensors"
    made.write(path)
    text = sum(len(one.model_to_string().encode()) for one in boosters)
    print(f"snapshot {path.stat().st_size:,} bytes, LightGBM text {text:,} bytes: 1/{text / path.stat().st_size:.1f}")
    for kind in ("numba", "numpy"):
        print("fresh process:", json.dumps(_fresh(path, kind)))
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    _single(asked, boosters, made)
    _replay(boosters, made, asked.turns)


def _fresh(path: Path, kind: str) -> dict[str, Any]:
    environment = {**os.environ, "FAIRLEAD_ENGINE": kind}
    done = subprocess.run(
        [sys.executable, "-c", PROBE, str(path)], check=True, capture_output=True, text=True, env=environment
    )
    found = json.loads(done.stdout)
    return {name: round(value, 1) if isinstance(value, float) else value for name, value in found.items()}


def _single(asked: argparse.Namespace, boosters: list[Any], made: Snapshot) -> None:
    rows = data.requests(np.random.default_rng(7), 200)
    crossed = np.where(data.OF_REQUEST, rows[:, None, :], made.endpoint_rows[None])
    engines = {kind: Predictor(made, kind=kind) for kind in ("numba", "numpy")}

    def lightgbm(call: int) -> Array:
        row = crossed[call % 200]
        return np.stack([one.predict(row, raw_score=True, num_threads=1) for one in boosters])

    measured: dict[str, Callable[[int], Any]] = {"LightGBM Booster.predict": lightgbm}
    for kind, one in engines.items():
        measured[f"ours, {kind}: sums"] = lambda call, one=one: one.engine.raw(rows[call % 200])
        measured[f"ours, {kind}: predictions"] = lambda call, one=one: one.one(
            rows[call % 200], route=rows[call % 200, 30]
        )
    off = {
        kind: max(float(np.abs(one.engine.raw(rows[at]) - lightgbm(at)).max()) for at in range(200))
        for kind, one in engines.items()
    }
    print("largest difference from LightGBM:", {kind: f"{value:.1e}" for kind, value in off.items()})
    other = _Lleaves(asked.lleaves, asked.folder, crossed, asked) if asked.lleaves else None
    taken: dict[str, list[Array]] = {}
    for _ in range(asked.turns):
        for name, call in measured.items():
            taken.setdefault(name, []).append(_timed(call, asked.calls))
        if other:
            taken.setdefault("lleaves predict", []).append(other.timed(asked.calls))
    _table(taken)
    if other:
        other.process.kill()


def _timed(call: Callable[[int], Any], calls: int) -> Array:
    clock, taken = time.perf_counter_ns, np.empty(calls)
    for at in range(calls):
        begin = clock()
        call(at)
        taken[at] = clock() - begin
    return taken / 1000


def _table(taken: dict[str, list[Array]]) -> None:
    medians = {name: min(float(np.median(turn)) for turn in turns) for name, turns in taken.items()}
    tails = {name: min(float(np.percentile(turn, 99)) for turn in turns) for name, turns in taken.items()}
    print(f"{'one decision, microseconds':34}{'median':>10}{'p99':>10}{'times faster, by turn (median of ratios)':>44}")
    for name, median in medians.items():
        ratio = {
            peer: np.median([np.median(b) / np.median(a) for a, b in zip(taken[name], taken[peer], strict=True)])
            for peer in ("LightGBM Booster.predict", "lleaves predict")
            if peer in taken
        }
        said = ", ".join(f"{value:.1f} x {peer.split()[0]}" for peer, value in ratio.items())
        print(f"{name:34}{median:10.1f}{tails[name]:10.1f}{said:>44}")


def _replay(boosters: list[Any], made: Snapshot, turns: int) -> None:
    """Replay a batch at every endpoint, with two threads each."""
    cores = sorted(os.sched_getaffinity(0) | set(range(os.cpu_count() or 1)))[:2]
    os.sched_setaffinity(0, set(cores))
    rows = data.requests(np.random.default_rng(8), 4000)
    few = np.where(data.OF_REQUEST, rows[:250, None, :], made.endpoint_rows[None]).reshape(-1, rows.shape[1])
    engines = {kind: Predictor(made, kind=kind).engine for kind in ("numba", "numpy")}
    best: dict[str, list[float]] = {}
    for _ in range(turns):
        begin = time.perf_counter()
        expected = np.stack([one.predict(few, raw_score=True, num_threads=len(cores)) for one in boosters], axis=1)
        best.setdefault("LightGBM", []).append((time.perf_counter() - begin) / 250 * 1e6)
        for kind, engine in engines.items():
            part = rows if kind == "numba" else rows[:500]
            begin = time.perf_counter()
            got = engine.raw_batch(part, threads=len(cores))
            best.setdefault(f"ours, {kind}", []).append((time.perf_counter() - begin) / len(part) * 1e6)
            off = np.abs(got[:250].swapaxes(1, 2).reshape(expected.shape) - expected).max()
    print(f"replay on {len(cores)} threads, microseconds a request (best; largest difference {off:.1e}):")
    for name, values in best.items():
        ratio = np.median(np.array(best["LightGBM"]) / np.array(values))
        least = min(best["LightGBM"]) / min(values)
        print(f"{name:34}{min(values):10.1f}{ratio:20.1f} x LightGBM (median of turns), {least:.1f} of the best")


class _Lleaves:
    def __init__(self, python: str, folder: Path, rows: Array, asked: argparse.Namespace) -> None:
        np.save(folder / "rows.npy", rows)
        models = [str(folder / f"{head}-{asked.rows}-{asked.trees}x{asked.leaves}.txt") for head in data.HEADS]
        script = Path(__file__).with_name("forest_lleaves.py")
        self.process = subprocess.Popen(
            [python, str(script), str(folder / "rows.npy"), *models],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        print("lleaves:", json.loads(self._answer())["compile_s"], "s to compile or read from its cache")

    def timed(self, calls: int) -> Array:
        """Have it time so many decisions."""
        assert self.process.stdin
        self.process.stdin.write(f"{calls}\n")
        self.process.stdin.flush()
        return np.array(json.loads(self._answer()))

    def _answer(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline()


if __name__ == "__main__":
    main()
