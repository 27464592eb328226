"""What a server does while snapshots come every second, every other one bad, and while what is around it fails.

    python benchmarks/serve_faults.py [--connections 1000] [--seconds 60] [--phase 5] [--rate 1500] [--skip-swaps]

First `--connections` connections ask as fast as they are answered while a good and a bad snapshot are published every
second (cut short, a bit flipped, forged, an older version): each version takes one endpoint, so an answer that is lost,
wrong or mixed shows. Then arrivals at random (`--rate` a second, timed from when they were due) while Redis is well,
hangs (SIGSTOP), is killed, and while the folder of snapshots is gone: what the faults add to the slowest answers. The
generator runs on the same machine, on the last core; the server on the first. Ends with 1 where a decision was wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import hot_swap  # noqa: E402
from serve_client import HEAD, load  # noqa: E402

from fairlead.scoring.snapshot import CURRENT  # noqa: E402


def publish(folder: Path, every_s: float, stop: threading.Event, told: dict[str, Any]) -> None:
    """Publish a good and a bad snapshot every so many seconds."""
    rng, version, older = random.Random(0), 1, hot_swap.made(1).to_bytes()
    path = folder / CURRENT
    while not stop.wait(every_s / 2):
        version += 1
        data = hot_swap.made(version).to_bytes()
        part = path.with_suffix(".part")
        part.write_bytes(data)
        os.replace(part, path)
        told["good"] = told.get("good", 0) + 1
        stop.wait(every_s / 2)
        how = ("cut", "flip", "forged", "older")[version % 4]
        path.write_bytes(hot_swap.spoilt(data, older, how, rng))
        told["bad"] = told.get("bad", 0) + 1


def swaps(port: int, folder: Path, connections: int, seconds: float) -> dict[str, Any]:
    """Ask over many connections while snapshots come, and check every answer."""
    told: dict[str, Any] = {}
    stop = threading.Event()
    publisher = threading.Thread(target=publish, args=(folder, 1.0, stop, told))
    request = HEAD % (b"/v1/decide", 2, b"{}")
    pool, poll = {}, select.epoll()
    for _ in range(connections):
        one = socket.create_connection(("127.0.0.1", port))
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pool[one.fileno()] = one
        poll.register(one.fileno(), select.EPOLLIN)
        one.sendall(request)
    publisher.start()
    end, answers, wrong, lost, versions, open_ = time.monotonic() + seconds, 0, list[str](), 0, set[int](), len(pool)
    while open_ and time.monotonic() < end + 20:
        for file, _ in poll.poll(1.0):
            got = pool[file].recv(1 << 16)
            told_body = got.partition(b"\r\n\r\n")[2]
            if not got.startswith(b"HTTP/1.1 200") or not told_body.endswith(b"}"):
                wrong.append(repr(got[:200]))
                lost += not got
            else:
                one = json.loads(told_body)
                version = int(one["policy_version"].partition("+")[0])
                versions.add(version)
                answers += 1
                if one["kind"] != "policy" or one["endpoint"] != hot_swap.NAMES[version % len(hot_swap.NAMES)]:
                    wrong.append(repr(one))
            if time.monotonic() < end and got:
                pool[file].sendall(request)
            else:
                poll.unregister(file)
                open_ -= 1
    stop.set()
    publisher.join()
    return {"answers": answers, "wrong": wrong[:3], "lost": lost + open_, "versions_seen": len(versions), **told}


def main() -> None:
    """Run both parts, and print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--phase", type=float, default=5)
    parser.add_argument("--rate", type=float, default=1500)
    parser.add_argument("--skip-swaps", action="store_true")
    given = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[-1]})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "published"
        hot_swap.made(1).write(folder / CURRENT)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            redis_port = free.getsockname()[1]
        redis = subprocess.Popen(
            [shutil.which("redis-server") or sys.exit("no redis-server"), "--port", str(redis_port), "--save", ""],
            stdout=subprocess.DEVNULL,
        )
        time.sleep(1)
        arguments = ["--snapshot", str(folder), "--port", "0", "--redis", f"redis://127.0.0.1:{redis_port}/0"]
        code = "from fairlead.cli import main; main()"
        command = [sys.executable, "-c", code, "serve", *arguments, "--max-wait-ms", "5000"]
        pin = lambda: os.sched_setaffinity(0, {cores[0]})  # noqa: E731
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=pin)  # noqa: PLW1509
        assert server.stdout is not None
        port = int(server.stdout.readline().rpartition(":")[2])
        failed = False
        if not given.skip_swaps:
            found = swaps(port, folder, given.connections, given.seconds)
            failed = bool(found["wrong"] or found["lost"])
            print(json.dumps(found, indent=1), flush=True)
            hot_swap.made(10**6).write(folder / CURRENT)
            time.sleep(2)

        def phase(what: str) -> None:
            found: Any = load(f"127.0.0.1:{port}", [b"{}"], "/v1/decide", 64, given.phase, given.rate)
            times = "  ".join(f"{name} {value:7.2f}" for name, value in found["ms"].items())
            print(f"{what:28} {times} ms  {found['statuses']} unanswered {found['unanswered']}", flush=True)

        phase("warming up")
        phase("all is well")
        phase("all is well, again")
        redis.send_signal(signal.SIGSTOP)
        phase("Redis hangs")
        redis.send_signal(signal.SIGCONT)
        redis.kill()
        phase("Redis is dead")
        folder.rename(folder.with_name("gone"))
        phase("no folder of snapshots either")
        server.terminate()
        server.wait(30)
        redis.wait(10)
    sys.exit(failed)


if __name__ == "__main__":
    main()
