"""What live state costs a decision: nanoseconds of view, begin and end, alone and in company.

    python benchmarks/live_state.py [--calls 20000] [--endpoints 6] [--workers 4]

Each line gives the median, the 99th percentile and the longest of --calls: `view` as a decision calls it, `begin` after
it, `end` with the outcome. `processes` share a folder in memory, and all are busy. `redis up` exchanges every 100 ms
with a server on loopback, and `redis hung` does while that server is stopped (SIGSTOP): the longest wait there is the
figure to look at, and it must be no other than alone. On a busy machine the longest is the scheduler's: `counting`
takes about as long as `begin` and waits for nothing by itself.
"""

from __future__ import annotations

import argparse
import multiprocessing
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fairlead.scoring import Outcome
from fairlead.scoring.live import Live, Shared
from fairlead.serve import Exchange, connect

WHAT = ("view", "begin", "end", "counting")


def measure(live: Live, calls: int, tag: str = "") -> list[list[int]]:
    """Give how long each call took, in ns, for each of WHAT."""
    clock, names = time.perf_counter_ns, live.endpoints
    took: list[list[int]] = [[], [], [], []]
    for number in range(calls):
        place, request = number % len(names), f"{tag}{number}"
        outcome = Outcome(endpoint=names[place], request_id=request, duration_s=0.5)
        one = clock()
        live.view()
        two = clock()
        live.begin(place, request, 500)
        three = clock()
        live.end(outcome)
        four = clock()
        for _ in range(400):
            pass
        five = clock()
        for kept, ns in zip(took, (two - one, three - two, four - three, five - four), strict=True):
            kept.append(ns)
    return took


def in_threads(live: Live, calls: int, threads: int) -> list[list[int]]:
    """Do the same from several threads at once."""
    parts: list[list[list[int]]] = []
    workers = [
        threading.Thread(target=lambda tag=tag: parts.append(measure(live, calls // threads, f"{tag}-")))
        for tag in range(threads)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return [[ns for part in parts for ns in part[what]] for what in range(len(WHAT))]


def show(label: str, took: list[list[int]]) -> None:
    """Print one line."""
    cells = []
    for times in took:
        times.sort()
        middle, high, most = times[len(times) // 2], times[int(len(times) * 0.99)], times[-1]
        cells.append(f"{middle:>7,} {high:>9,} {most:>11,}")
    print(f"{label:<22}" + "   ".join(cells), flush=True)


def _busy(folder: str, names: tuple[str, ...], stop: object) -> None:
    live = Live(names, shared=Shared(folder))
    number = 0
    while not stop.is_set():  # type: ignore[attr-defined]
        number += 1
        live.begin(number % len(names), str(number), 500)
        time.sleep(0.005)
        live.end(Outcome(endpoint=names[number % len(names)], request_id=str(number), duration_s=0.5))


@contextmanager
def neighbours(names: tuple[str, ...], workers: int) -> Iterator[Live]:
    """Give a worker among `workers` that share a folder."""
    spawn = multiprocessing.get_context("spawn")
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        stop = spawn.Event()
        others = [spawn.Process(target=_busy, args=(folder, names, stop)) for _ in range(workers - 1)]
        for one in others:
            one.start()
        live = Live(names, shared=Shared(folder))
        while live.view().turns.sum() < 3 * workers:
            time.sleep(0.01)
        yield live
        stop.set()
        for one in others:
            one.join()
        live.close()


@contextmanager
def server() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Give the address and the process of a Redis server on loopback."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            yield f"redis://127.0.0.1:{port}", process
        finally:
            process.kill()
            process.wait()


def with_redis(names: tuple[str, ...], run: Callable[[Live], list[list[int]]]) -> None:
    """Measure while a server answers, and while it hangs."""
    with server() as (url, process):
        live, other = Live(names), Live(names)
        # A longer budget where the machine is busy: what is measured here is that nobody waits for it.
        exchanges = [Exchange(one, connect(url, 0.1), budget_s=0.1) for one in (live, other)]
        while not all(exchange.step() for exchange in exchanges):
            time.sleep(0.05)
        for exchange in exchanges:
            exchange.start()
        show("redis up", run(live))
        process.send_signal(signal.SIGSTOP)
        # Pauses of a second would hide what an exchange that hangs costs: here it hangs nearly all of the time.
        for exchange in exchanges:
            exchange.stop()
        hung = [Exchange(one, connect(url, 0.02), pause_s=0.001).start() for one in (live, other)]
        show("redis hung", run(live))
        for exchange in hung:
            exchange.stop()
        print(f"  the exchange said: {hung[0].failure}")


def main() -> int:
    """Print a line a case."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--calls", type=int, default=20_000)
    arguments.add_argument("--endpoints", type=int, default=6)
    arguments.add_argument("--workers", type=int, default=4)
    given = arguments.parse_args()
    names = tuple(f"provider/model-{number}" for number in range(given.endpoints))

    print(f"{given.endpoints} endpoints; ns: median, 99 %, longest")
    print(" " * 22 + "   ".join(f"{what:^29}" for what in WHAT))
    show("one thread", measure(Live(names), given.calls))
    show("four threads", in_threads(Live(names), given.calls, 4))
    with neighbours(names, given.workers) as live:
        show(f"{given.workers} processes", measure(live, given.calls))
    if shutil.which("redis-server") is None:
        print("no redis-server here: install Debian's package redis-server")
        return 0
    with_redis(names, lambda live: measure(live, given.calls))
    return 0


if __name__ == "__main__":
    sys.exit(main())
