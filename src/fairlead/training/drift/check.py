"""What one check of drift says, and the two tests that all of them use."""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

import numpy as np
from msgspec import Struct

__all__ = ["Check", "Crossing", "Verdict", "cusum", "unknown", "worst"]

Array = np.ndarray[Any, Any]
Verdict = Literal["ok", "retrain", "alarm", "unknown"]
_RANK: dict[str, int] = {"ok": 0, "unknown": 1, "retrain": 2, "alarm": 3}


class Check(Struct, frozen=True, kw_only=True):
    """One check: what was looked at, what it is now and was in training, and the verdict with its reason.

    `unknown` is said where there is too little to look at, since no data is not a pass.
    """

    name: str
    group: Literal["inputs", "errors", "calibration", "latency", "prices", "demand"]
    verdict: Verdict
    reason: str
    value: float | None = None
    reference: float | None = None
    limit: float | None = None


class Crossing(NamedTuple):
    """Where a cumulative sum crossed its limit (-1: nowhere), and where the change that it found began."""

    at: int
    began: int


def cusum(z: Array, *, slack: float = 0.5, limit: float = 8.0) -> Crossing:
    """Look for a lasting rise in standardised values (n,) in order of time.

    Page's cumulative sum (1954): what exceeds `slack` is summed up, what falls short is taken off, never below 0. On
    quiet normal values a slack of 0.5 and a limit of 8 let it cross once in about 19,000 (Siegmund's approximation),
    and a rise by 1.5 is found after about nine.

    >>> cusum(np.array([0.1, -0.4, 3.0, 2.5, 3.5, 2.0]))
    Crossing(at=5, began=2)
    """
    total, began = 0.0, 0
    for at, value in enumerate(z.tolist()):
        if not math.isfinite(value):
            continue
        if total <= 0:
            began = at
        total = max(0.0, total + value - slack)
        if total > limit:
            return Crossing(at, began)
    return Crossing(-1, -1)


def unknown(name: str, group: Any, why: str) -> Check:
    """Make the check that had too little to look at."""
    return Check(name=name, group=group, verdict="unknown", reason=why)


def worst(checks: list[Check]) -> Verdict:
    """Give the gravest verdict; ok when nothing is known to be wrong."""
    gravest: Verdict = "ok"
    for check in checks:
        if check.verdict != "unknown" and _RANK[check.verdict] > _RANK[gravest]:
            gravest = check.verdict
    return gravest
