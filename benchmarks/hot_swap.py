"""One good and one bad publish every second while decisions are made: no decision may be wrong or lost.

    python benchmarks/hot_swap.py [--seconds 60] [--threads 2] [--every 1.0] [--seed 0]

Each version is published with a policy that always takes one endpoint, which follows from the version, so a decision
that mixed two snapshots shows. Bad files are cut short, have a bit flipped, are forged (changed with the digest of the
old content), or are an older version; each must be refused with a reason and leave decisions as they were. Prints one
JSON object and ends with 1 where a decision was wrong or a bad file was taken.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import threading
import time
from pathlib import Path

from msgspec import structs

from fairlead import Request, Router, Snapshot
from fairlead.scoring.builtin import builtin
from fairlead.scoring.snapshot import CURRENT

NAMES = [f"provider/model-{number}" for number in range(24)]


def made(version: int) -> Snapshot:
    """Give the snapshot of a version, which always chooses the endpoint that its version says."""
    plain = builtin(NAMES)
    only = {"weights": {NAMES[version % len(NAMES)]: 1.0}}
    return structs.replace(plain, manifest=structs.replace(plain.manifest, version=version, parameters=only))


def spoilt(data: bytes, older: bytes, how: str, rng: random.Random) -> bytes:
    """Spoil a published file in one of the ways that a disk or an attacker does."""
    if how == "cut":
        return data[: rng.randrange(len(data))]
    if how == "flip":
        place = rng.randrange(len(data))
        return data[:place] + bytes([data[place] ^ (1 << rng.randrange(8))]) + data[place + 1 :]
    if how == "forged":
        return data.replace(NAMES[3].encode(), NAMES[4].encode(), 1)
    return older


def main() -> None:
    """Publish from this thread while others decide."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seconds", type=float, default=60)
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--every", type=float, default=1.0)
    arguments.add_argument("--seed", type=int, default=0)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as name:
        found = run(Path(name), given.seconds, given.threads, given.every, random.Random(given.seed))
    print(json.dumps(found, indent=1))
    sys.exit(bool(found["wrong"] or found["bad_taken"]))


def run(folder: Path, seconds: float, threads: int, every_s: float, rng: random.Random) -> dict[str, object]:
    """Give how many decisions were made, and which were wrong."""
    path = folder / CURRENT
    older = made(1).to_bytes()
    path.write_bytes(older)
    router, stop = Router(folder), threading.Event()
    counts, wrong, versions = [0] * threads, list[str](), set[int]()

    def decide(which: int) -> None:
        while not stop.is_set():
            decision = router.decide(Request(id=f"r-{counts[which]}"))
            counts[which] += 1
            versions.add(decision.snapshot_version)
            if decision.kind != "policy" or decision.endpoint != NAMES[decision.snapshot_version % len(NAMES)]:
                wrong.append(repr(decision))

    deciders = [threading.Thread(target=decide, args=(which,)) for which in range(threads)]
    for thread in deciders:
        thread.start()
    version, good, refused, bad_taken = 1, 0, dict[str, int](), list[str]()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        version += 1
        data = made(version).to_bytes()
        path.write_bytes(data)  # not by rename: a reader may also see a part of it
        good += router.reload(folder)
        how = ("cut", "flip", "forged", "older")[version % 4]
        path.write_bytes(spoilt(data, older, how, rng))
        if router.reload(folder) or router.snapshot.manifest.version != version:
            bad_taken.append(f"{how} at {version}")
        else:
            refused[how] = refused.get(how, 0) + 1
        time.sleep(every_s)
    stop.set()
    for thread in deciders:
        thread.join()
    return {
        "decisions": sum(counts),
        "wrong": wrong[:5],
        "versions_seen": len(versions),
        "good_taken": good,
        "good_published": version - 1,
        "bad_refused": refused,
        "bad_taken": bad_taken,
        "faults": router.status().faults,
    }


if __name__ == "__main__":
    main()
