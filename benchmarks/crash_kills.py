"""Three loaders at once over files that share lines, killed at random points and started again until they are done."""

from __future__ import annotations

import os
import random
import signal
import time
from functools import partial
from pathlib import Path
from typing import Any

import crash_lake as lake

LOADERS, A_ROUND = 3, 8


def run(folder: Path, kills: int, seed: int) -> dict[str, Any]:
    """Kill `kills` times in rounds of a fresh lake each; give what was not as it must be."""
    chance = random.Random(seed)
    paths, calls, bad = lake.logs(folder / "logs", files=5, lines=60, overlap=20)
    took = _alone(lake.fresh(folder, "alone"), paths)
    landed, rounds, wrong = 0, 0, []
    while landed < kills and rounds < kills:
        rounds += 1
        root = lake.fresh(folder, f"round-{rounds}")
        landed += _round(root, paths, chance, min(A_ROUND, kills - landed), took)
        seen = lake.found(root)
        if seen != lake.expected(calls, bad, len(paths)):
            wrong.append({"round": rounds, **seen})
    return {"kills": landed, "rounds": rounds, "wrong": wrong}


def _alone(root: Path, paths: list[Path]) -> float:
    began = time.monotonic()
    code = lake.ended(lake.child(partial(lake.load, root, paths)))
    if code:
        raise SystemExit(f"a load that nobody disturbs ends with {code}")
    return time.monotonic() - began


def _round(root: Path, paths: list[Path], chance: random.Random, kills: int, took: float) -> int:
    orders = [chance.sample(paths, len(paths)) for _ in range(LOADERS)]
    running = {lake.child(partial(lake.load, root, order)): order for order in orders}
    landed = 0
    while running:
        if landed < kills:
            time.sleep(chance.random() * took * 0.3)
            pid = chance.choice(list(running))
            os.kill(pid, signal.SIGKILL)
        else:
            pid = next(iter(running))
        code = lake.ended(pid)
        order = running.pop(pid)
        landed += code == -signal.SIGKILL
        if code not in (lake.DONE, -signal.SIGKILL):
            raise SystemExit(f"a load ended by itself with {code}; this is a fault of its own")
        if code != lake.DONE:
            running[lake.child(partial(lake.load, root, order))] = order
        elif landed < kills and not running:
            break
    return landed
