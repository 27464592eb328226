"""The gates on value: what the candidate's choices would have been worth beside the champion's, and for whom not."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any, Final

import numpy as np

from fairlead.evaluation import overlap
from fairlead.evaluation.gates.case import Case
from fairlead.evaluation.gates.gate import Gate, held, passed, refused
from fairlead.evaluation.intervals import Statistic

__all__ = ["gates"]

Array = np.ndarray[Any, Any]
MARGIN: Final = 0.005  # quality, half a point: a loss that small is let through
LOSS: Final = 0.01  # of quality that is refused when it is sure
SLICE_LOSS: Final = 0.02
SLICE: Final = 100  # requests
SURE: Final = 3.09  # one-sided 99.9 %
LIKELY: Final = 1.645  # one-sided 95 %


def gates(case: Case) -> list[Gate]:
    """Ask every gate on value."""
    found = [_supported(case)]
    return [*found, _utility(case), _quality(case), _slices(case)] if case.usable("quality").sum() > 1 else found


def _supported(case: Case) -> Gate:
    rows = case.usable("quality")
    if not rows.any():
        return held("overlap", "no fresh request has a propensity and a label", "log propensities; ingest feedback")
    verdict = overlap.verdict(case.weight(rows), propensities_share=float(np.isfinite(case.log.propensity).mean()))
    said = f"effective sample size {verdict.ess:,.0f}, largest weight {verdict.max_weight_share:.1%}"
    if not verdict.can_tell:
        return held("overlap", f"{said}: {'; '.join(verdict.reasons)}", "; or ".join(verdict.remedies))
    return passed("overlap", said)


def _utility(case: Case) -> Gate:
    """Quality less what it costs, at the price that the champion's policy gives a dollar."""
    manifest = (case.champion or case.candidate).snapshot.manifest
    price = float(manifest.parameters.get("usd_price", 0.0))
    rows = case.usable("quality", "cost_usd")
    if rows.sum() < 2:
        return held("value", "no fresh request has a label and a cost", "ingest feedback, add prices")
    found = case.change(rows, lambda of: of["quality"] - price * of["cost_usd"])
    low, high = _bounds(found, LIKELY)[0], _bounds(found, SURE)[1]
    said = f"utility {found.value:+.4f}, one-sided 95 % bound {low:+.4f}, at {price:g} of quality a dollar"
    if high < -MARGIN:
        return refused("value", f"{said}; surely worse by more than {MARGIN}", "look at its choices: `fairlead judge`")
    if low < -MARGIN:
        return held("value", f"{said}; it may be worse by more than {MARGIN}", "a canary, or more explored requests")
    return passed("value", said)


def _quality(case: Case) -> Gate:
    found = case.change(case.usable("quality"), lambda of: of["quality"])
    low, high = _bounds(found, LIKELY)[0], _bounds(found, SURE)[1]
    said = f"quality {found.value:+.4f}, one-sided 95 % bound {low:+.4f}"
    if high < -LOSS:
        return refused("quality", f"{said}; surely worse by more than {LOSS}", "publish with a goal that keeps quality")
    if low < -LOSS:
        return held("quality", f"{said}; it may be worse by more than {LOSS}", "a canary, or more explored requests")
    return passed("quality", said)


def _slices(case: Case) -> Gate:
    rows = case.usable("quality")
    slices = []
    for name in ("route", "team"):
        values = case.log.batch.scalars.get(name)
        if values is None:
            continue
        named = np.array(["" if value is None else str(value) for value in values])
        slices += [(f"{name} {value}", rows & (named == value)) for value in np.unique(named) if value]
    slices = [(name, mine) for name, mine in slices if mine.sum() >= SLICE]
    if not slices:
        return passed("slices", f"no route or team has {SLICE} fresh labels")
    found = [(case.change(mine, lambda of: of["quality"]), name) for name, mine in slices]
    z = NormalDist().inv_cdf(1 - 0.001 / len(found))
    sure = [(one.value, name) for one, name in found if _bounds(one, z)[1] < -SLICE_LOSS]
    value, name = min(sure) if sure else min((one.value, name) for one, name in found)
    said = f"worst of {len(found)} routes and teams: {name}, quality {value:+.3f}"
    if sure:
        return refused("slices", f"{said}; surely worse by more than {SLICE_LOSS}", f"keep the champion for {name}")
    return passed("slices", f"{said}; none is surely worse by more than {SLICE_LOSS}")


def _bounds(found: Statistic, z: float) -> tuple[float, float]:
    return found.value - z * found.standard_error, found.value + z * found.standard_error
