"""Is a damaged snapshot ever taken, and can one make the kernels read where they must not?

    python benchmarks/snapshot_mutants.py [--mutants 100000] [--sealed 20000] [--seed 0]

First, mutants of a published file as it lies on disk: flipped bits, lost, added and overwritten bytes. None may be
taken unless it reads back to the very same snapshot, and nothing but a refusal may be raised.
Then the control, with the digest made to fit again: arrays whose numbers were changed within a valid file, so that the
structural checks alone stand between it and kernels that check no bounds. Whatever they let through must predict in
both engines, the same in both; a numba kernel compiled with bounds checks (NUMBA_BOUNDSCHECK=1, set here) raises where
an index is off.
"""

from __future__ import annotations

import os

os.environ["NUMBA_BOUNDSCHECK"] = "1"
os.environ.setdefault("NUMBA_CACHE_DIR", "/tmp/fairlead-mutants-kernels")  # not among those that are served

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import forest_data as data
import msgspec
import numpy as np
from safetensors.numpy import load, save

from fairlead.errors import SnapshotRefusedError
from fairlead.scoring.engine import kind_of
from fairlead.scoring.predict import Predictor
from fairlead.scoring.snapshot import Snapshot, _digest
from fairlead.testing import damage


def main() -> None:
    """Count; end with 1 where a damaged file was taken, or anything but a refusal was raised."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutants", type=int, default=100_000)
    parser.add_argument("--sealed", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    boosters = data.grow(Path(tempfile.gettempdir()) / "fairlead-mutants", 4000, 6, 31)
    good = data.snapshot(boosters, 6).to_bytes()
    rng = np.random.default_rng(asked.seed)
    began = time.perf_counter()
    found = {
        "bytes": len(good),
        "mutants": dict(_mutants(good, asked.mutants, rng)),
        "manifests": dict(_manifests(good)),
        "sealed": dict(_sealed(good, asked.sealed, rng)),
        "engines": ["numpy", *(["numba, bounds checked"] if kind_of() == "numba" else [])],
        "seconds": 0.0,
    }
    found["seconds"] = round(time.perf_counter() - began, 1)
    print(json.dumps(found, indent=1))
    sys.exit(any("wrong" in name for part in ("mutants", "manifests", "sealed") for name in found[part]))


def _mutants(good: bytes, count: int, rng: np.random.Generator) -> Counter[str]:
    seen: Counter[str] = Counter()
    for _ in range(count):
        mutant = _bytes(good, rng)
        if mutant == good:
            seen["unchanged"] += 1
            continue
        try:
            same = Snapshot.from_bytes(mutant).to_bytes() == good
            seen["taken, means the same" if same else "wrong: taken"] += 1
        except SnapshotRefusedError:
            seen["refused"] += 1
        except Exception as fault:
            seen[f"wrong: {type(fault).__name__}"] += 1
    return seen


def _bytes(good: bytes, rng: np.random.Generator) -> bytes:
    mutant = bytearray(good)
    at = int(rng.integers(len(good))) if rng.random() < 0.7 else int(rng.integers(8192))  # the header as well
    kind = int(rng.integers(5))
    if kind == 0:
        mutant[at] ^= 1 << int(rng.integers(8))
    elif kind == 1:
        del mutant[at : at + int(rng.integers(1, 9))]
    elif kind == 2:
        mutant[at:at] = rng.bytes(int(rng.integers(1, 9)))
    elif kind == 3:
        mutant[at : at + 8] = rng.bytes(8)[: len(mutant) - at]
    else:
        del mutant[at:]
    return bytes(mutant)


def _manifests(good: bytes) -> Counter[str]:
    """Each field of the manifest left out, or of a wrong kind, in a file whose digest fits."""
    manifest, arrays = _opened(good)
    seen: Counter[str] = Counter()
    for wrong in damage.variants({**manifest, "columns": manifest["columns"][:2]}):
        text = msgspec.json.encode(wrong, enc_hook=str).decode()
        _decide(save(arrays, {"fairlead": _digest(text, arrays) + text}), seen)
    return seen


def _sealed(good: bytes, count: int, rng: np.random.Generator) -> Counter[str]:
    """Arrays with wrong numbers in a file whose digest fits: only the structural checks are left."""
    manifest, arrays = _opened(good)
    text = msgspec.json.encode(manifest).decode()
    names = [name for name in arrays if name.startswith("forest.")]
    seen: Counter[str] = Counter()
    for _ in range(count):
        changed = dict(arrays)
        for name in rng.choice(names if rng.random() < 0.8 else sorted(arrays), int(rng.integers(1, 3))).tolist():
            changed[name] = _numbers(changed[name], rng)
        _decide(save(changed, {"fairlead": _digest(text, changed) + text}), seen)
    return seen


def _numbers(array: Any, rng: np.random.Generator) -> Any:
    spoiled = array.copy()
    kind = int(rng.integers(6))
    if kind == 0 or not spoiled.size:
        return np.ascontiguousarray(np.concatenate((spoiled.ravel(), spoiled.ravel()[:1])))
    if kind == 1:
        return np.ascontiguousarray(spoiled[: int(rng.integers(len(spoiled)))])
    raw = spoiled.reshape(-1).view(np.uint8)
    at = int(rng.integers(spoiled.size)) * spoiled.itemsize
    if kind == 2:
        raw[at : at + spoiled.itemsize] = np.frombuffer(rng.bytes(spoiled.itemsize), np.uint8)
    elif kind == 3:
        raw[at + int(rng.integers(spoiled.itemsize))] ^= 1 << int(rng.integers(8))
    elif kind == 4:
        raw[at : at + spoiled.itemsize] = 255
    else:
        spoiled.reshape(-1)[at // spoiled.itemsize] = rng.integers(0, 4)
    return spoiled


def _decide(file: bytes, seen: Counter[str]) -> None:
    rows = data.requests(np.random.default_rng(0), 3)
    try:
        taken = Snapshot.from_bytes(file)
        width = taken.endpoint_rows.shape[1]
        rows = np.pad(rows, ((0, 0), (0, max(0, width - rows.shape[1]))))[:, :width]
        with np.errstate(all="ignore"):
            kinds = ["numpy", *(["numba"] if kind_of() == "numba" else [])]
            got = [Predictor(taken, kind=kind) for kind in kinds]
            sums = [one.engine.raw_batch(rows) for one in got]
            ones = [one.one(rows[0], route=1.0) for one in got]
        close = all(np.allclose(one, sums[0], rtol=1e-9, atol=1e-9, equal_nan=True) for one in sums)
        alike = all(np.allclose(one, ones[0], rtol=1e-9, atol=1e-9, equal_nan=True) for one in ones)
        seen["taken, and both engines say the same" if close and alike else "wrong: the engines differ"] += 1
    except SnapshotRefusedError:
        seen["refused"] += 1
    except Exception as fault:
        seen[f"wrong: {type(fault).__name__}: {fault}"[:120]] += 1


def _opened(good: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    header = msgspec.json.decode(good[8 : 8 + int.from_bytes(good[:8], "little")])["__metadata__"]
    return msgspec.json.decode(header["fairlead"][64:]), load(good)


if __name__ == "__main__":
    main()
