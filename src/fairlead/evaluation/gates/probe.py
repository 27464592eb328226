"""The gate on serving: one by one, in a batch and by each engine the same decision, and in time."""

from __future__ import annotations

import time
from typing import Any, Final

import numpy as np

from fairlead.evaluation.gates.case import Case
from fairlead.evaluation.gates.gate import Gate, held, passed, refused
from fairlead.scoring.engine import kind_of
from fairlead.scoring.predict import Batch, Predictor

__all__ = ["gates"]

Array = np.ndarray[Any, Any]
ROWS: Final = 100
PARITY: Final = 1e-9
SLOW_MS: Final = 20.0


def gates(case: Case) -> list[Gate]:
    """Ask the engines about some of the fresh requests."""
    rows = np.unique(np.linspace(0, len(case.log) - 1, ROWS).astype(np.int64))
    batch = case.log.batch
    some = Batch(text=batch.text[rows], scalars={name: values[rows] for name, values in batch.scalars.items()})
    snapshot = case.candidate.snapshot
    said = [Predictor(snapshot, kind=kind).candidates(some) for kind in {"numpy", kind_of()}]
    one_by_one = Predictor(snapshot)
    took, alone = [], []
    for row in range(len(rows)):
        single = Batch(text=some.text[row : row + 1], scalars={n: v[row : row + 1] for n, v in some.scalars.items()})
        began = time.thread_time()
        alone.append(one_by_one.candidates(single))
        took.append(1e3 * (time.thread_time() - began))  # what else runs here is not its fault
    off = max(
        _apart(getattr(said[0], name), other)
        for name in ("quality", "cost_usd", "latency_s")
        for other in (
            *(getattr(one, name) for one in said[1:]),
            np.concatenate([getattr(one, name) for one in alone]),
        )
    )
    p99 = float(np.quantile(took, 0.99))
    words = f"{len(rows)} requests one by one, in a batch and by {len(said)} engines differ by {off:.1e} at most"
    parity = (
        refused("parity", f"{words}; at most {PARITY:.0e}", "publish it again; the file may be damaged")
        if off > PARITY
        else passed("parity", words)
    )
    speed = f"p99 of predicting one request {p99:.1f} ms of a core; at most {SLOW_MS:.0f}"
    slow = held("speed", speed, "fewer trees or endpoints") if p99 > SLOW_MS else passed("speed", speed)
    return [parity, slow]


def _apart(one: Array, other: Array) -> float:
    if not np.array_equal(np.isfinite(one), np.isfinite(other)):
        return float("inf")
    gap = np.abs(one - other) / np.maximum(np.abs(one), 1e-12)
    return float(np.nanmax(gap)) if np.isfinite(gap).any() else 0.0
