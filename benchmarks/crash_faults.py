"""Every system call that changes a disk, one at a time: killed there, or answered with an error (needs strace)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import crash_lake as lake

CALLS = (
    *("write", "pwrite64", "fsync", "fdatasync", "rename", "renameat2", "unlink", "ftruncate", "mkdir", "link"),
    "openat",
)
MODES = {"kill": "signal=SIGKILL", "eio": "error=EIO", "enospc": "error=ENOSPC"}
OPENS = re.compile(r"O_WRONLY|O_RDWR|O_CREAT")


def available() -> str | None:
    """Say why faults cannot be injected here; None where they can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    pid, out = _traced(lambda: None, ["-e", "trace=write"], os.devnull)
    return None if lake.ended(pid) == lake.DONE and "attached" in out else f"strace may not trace here: {out.strip()}"


def run(folder: Path, modes: list[str], most: int | None = None, calls: tuple[str, ...] = CALLS) -> dict[str, Any]:
    """Inject each mode at every call (or `most` of them, evenly) of a first load and of a second one."""
    paths, good, bad = lake.logs(folder / "logs", files=1, lines=2, overlap=0)
    result: dict[str, Any] = {"injected": 0, "hit": 0, "wrong": [], "unclean": Counter(), "calls": {}}
    for stage in ("first", "second"):
        before = lake.fresh(folder, f"before-{stage}")
        if stage == "second":
            (folder / "other.jsonl").write_text("".join(map(lake.line, (1, 2))))
            assert lake.ended(lake.child(partial(lake.load, before, [folder / "other.jsonl"]))) == lake.DONE
        want = lake.expected(good + (stage == "second"), bad, len(paths) + (stage == "second"))
        counted = _counted(folder, before, paths)
        result["calls"][stage] = {call: len(places) for call, places in counted.items()}
        for call in calls:
            places = counted.get(call, [])
            step = 1 if most is None else max(1, -(-len(places) // most))
            for place in places[::step]:
                for mode in modes:
                    _inject(folder, before, paths, call, place, mode, want, result)
            lake.say(f"{stage} load, {call}: {len(places[::step])} of {len(places)} places")
    result["unclean"] = dict(result["unclean"])
    return result


def _inject(
    folder: Path, before: Path, paths: list[Path], call: str, place: int, mode: str, want: Any, result: dict[str, Any]
) -> None:
    root = folder / "injected"
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(before, root)
    how = ["-e", f"trace={call}", "-e", f"inject={call}:{MODES[mode]}:when={place}"]
    pid, _ = _traced(partial(lake.load, root, paths), how, os.devnull, root / "error.txt")
    code = lake.ended(pid)
    result["injected"] += 1
    result["hit"] += code != lake.DONE
    if code == lake.UNCLEAN:
        last = (root / "error.txt").read_text().strip().splitlines()[-1] if (root / "error.txt").exists() else "?"
        result["unclean"][f"{call} {mode}: {last[:90]}"] += 1
    again = lake.ended(lake.child(partial(lake.load, root, paths), root / "error.txt"))
    seen = lake.found(root) if again == lake.DONE else {"the load after it": again}
    if seen != want:
        result["wrong"].append({"call": call, "place": place, "mode": mode, "ended": code, **seen})


def _counted(folder: Path, before: Path, paths: list[Path]) -> dict[str, list[int]]:
    """Give the places of each call in an undisturbed load; of the opens, those that may write."""
    root, log = folder / "counted", folder / "counted.log"
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(before, root)
    pid, _ = _traced(partial(lake.load, root, paths), ["-e", f"trace={','.join(CALLS)}"], str(log))
    assert lake.ended(pid) == lake.DONE
    seen: Counter[str] = Counter()
    places: dict[str, list[int]] = {}
    for _, _, call, rest in lines_of(log):
        seen[call] += 1
        if call != "openat" or OPENS.search(rest):
            places.setdefault(call, []).append(seen[call])
    return places


def lines_of(log: Path) -> list[tuple[int, int, str, str]]:
    """Give the calls that a process and its threads made: (position, thread, name, what follows)."""
    found = []
    for position, text in enumerate(log.read_text(errors="replace").splitlines()):
        match = re.match(r"(\d+)\s+(\w+)\((.*)", text)
        if match:
            found.append((position, int(match[1]), match[2], match[3]))
    return found


def traced_load(root: Path, paths: list[Path], log: Path) -> int:
    """Load with every change of the disk written to `log`, and give the process's id."""
    pid, _ = _traced(partial(lake.load, root, paths), ["-y", "-e", f"trace={','.join(CALLS)}"], str(log))
    assert lake.ended(pid) == lake.DONE
    return pid


def _traced(work: Any, how: list[str], log: str, errors: Path | None = None) -> tuple[int, str]:
    """Start work under strace and wait for strace to end; the process is left to be waited for."""
    held, opened = os.pipe()
    pid = lake.child(work, errors, gate=held)
    command = ["strace", "-f", "-o", log, *how, "-p", str(pid)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as tracer:
        assert tracer.stderr is not None
        told = tracer.stderr.readline()
        os.write(opened, b"x")
        told += tracer.stderr.read()
    os.close(held)
    os.close(opened)
    return pid, told
