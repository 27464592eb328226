"""The gates on predictions: known for every request, calibrated, and not worse than the champion's on fresh ones."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from fairlead.evaluation.gates.case import Case, Side
from fairlead.evaluation.gates.gate import Gate, held, passed, refused

__all__ = ["gates"]

Array = np.ndarray[Any, Any]
UNKNOWN: Final = 0.001  # share of requests
UNKNOWN_SLICE: Final = 0.01
SLICE: Final = 20
WORSE: Final = 0.005  # Brier
OFF: Final = 0.08  # expected calibration error
SURE: Final = 3.09  # one-sided 99.9 %: a refusal has to be sure
LIKELY: Final = 1.645
BINS: Final = 10
LEAST: Final = 100


def gates(case: Case) -> list[Gate]:
    """Ask every gate on predictions."""
    return [_known(case), _calibrated(case), _not_worse(case), _dollars(case)]


def _known(case: Case) -> Gate:
    side = case.candidate
    known: Array = np.isfinite(side.quality) & np.isfinite(side.cost_usd)
    missing: Array = np.logical_not(known.any(axis=1))
    where = ""
    for name in ("route", "team"):
        for value, share in _by(case.log.batch.scalars.get(name), missing).items():
            if share > UNKNOWN_SLICE:
                where = f", {share:.0%} of {name} {value}"
    said = f"{missing.mean():.2%} of the requests have no endpoint with both a quality and a cost{where}"
    if missing.mean() > UNKNOWN or where:
        limit = f"at most {UNKNOWN:.1%}, and {UNKNOWN_SLICE:.0%} of a route or team"
        return refused(
            "predictions known", f"{said}; {limit}", "look at the rows and prices of that slice; train again"
        )
    return passed("predictions known", said)


def _by(values: Array | None, missing: Array) -> dict[str, float]:
    if values is None:
        return {}
    named = np.array(["" if value is None else str(value) for value in values])
    names, which = np.unique(named, return_inverse=True)
    count = np.bincount(which)
    share = np.bincount(which, weights=missing) / count
    return {
        name: one for name, one, n in zip(names.tolist(), share.tolist(), count.tolist(), strict=True) if n >= SLICE
    }


def _calibrated(case: Case) -> Gate:
    predicted, actual = _scored(case, case.candidate)
    if len(actual) < LEAST:
        return held("calibration", f"{len(actual)} fresh labels; {LEAST} are needed", "wait for feedback")
    order = np.argsort(predicted, kind="stable")
    parts = [part for part in np.array_split(order, BINS) if len(part)]
    gap = [abs(actual[part].mean() - predicted[part].mean()) for part in parts]
    # What chance alone makes of perfect predictions is taken off.
    noise = [np.sqrt(2 / np.pi * (predicted[p] * (1 - predicted[p])).mean() / len(p)) for p in parts]
    error = max(0.0, float(np.mean(gap) - np.mean(noise)))
    said = f"calibration error {error:.3f} on {len(actual):,} fresh labels; at most {OFF}"
    if error > 2 * OFF:
        return refused("calibration", said, "the labels it learned from are not those of now: check them, train again")
    return held("calibration", said, "train again on newer labels") if error > OFF else passed("calibration", said)


def _not_worse(case: Case) -> Gate:
    if case.champion is None:
        return passed("quality predicted", "no champion to compare with")
    rows = case.usable("quality") & _both(case)
    own, old = (_at(side.quality, case)[rows] for side in (case.candidate, case.champion))
    actual = case.log.outcomes["quality"][rows]
    if len(actual) < LEAST:
        return held("quality predicted", f"{len(actual)} fresh labels; {LEAST} are needed", "wait for feedback")
    loss = (actual - own) ** 2 - (actual - old) ** 2
    return _compared("quality predicted", "Brier", loss, WORSE)


def _dollars(case: Case) -> Gate:
    if case.champion is None:
        return passed("cost predicted", "no champion to compare with")
    rows = case.usable("cost_usd") & _both(case) & (case.log.outcomes["cost_usd"] > 0)
    own, old = (_at(side.cost_usd, case)[rows] for side in (case.candidate, case.champion))
    actual = case.log.outcomes["cost_usd"][rows]
    known = (own > 0) & (old > 0)
    if known.sum() < LEAST:
        return held(
            "cost predicted", f"{int(known.sum())} fresh costs; {LEAST} are needed", "add prices, wait for calls"
        )
    own, old, actual = own[known], old[known], actual[known]
    loss = np.abs(np.log(own / actual)) - np.abs(np.log(old / actual))
    return _compared("cost predicted", "error of the logarithm", loss, 0.05)


def _compared(name: str, what: str, loss: Array, margin: float) -> Gate:
    change, error = float(loss.mean()), float(loss.std(ddof=1) / np.sqrt(len(loss)))
    said = f"{what} {change:+.4f} beside the champion's on {len(loss):,} fresh requests (standard error {error:.4f})"
    if change - SURE * error > margin:
        return refused(name, f"{said}; surely worse by more than {margin}", "look at what changed in rows and features")
    if change - LIKELY * error > margin:
        return held(name, f"{said}; likely worse by more than {margin}", "wait for more requests")
    return passed(name, said)


def _scored(case: Case, side: Side) -> tuple[Array, Array]:
    rows = case.usable("quality")
    predicted, actual = _at(side.quality, case)[rows], case.log.outcomes["quality"][rows]
    known = np.isfinite(predicted)
    return predicted[known], np.clip(actual[known], 0, 1)


def _at(values: Array, case: Case) -> Array:
    own: Array = values[np.arange(len(values)), np.maximum(case.log.endpoint, 0)]
    return own


def _both(case: Case) -> Array:
    known: Array = np.isfinite(_at(case.candidate.quality, case))
    return known if case.champion is None else known & np.isfinite(_at(case.champion.quality, case))
