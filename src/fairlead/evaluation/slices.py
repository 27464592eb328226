"""The candidate against the log by team, route, language and day: who would gain, and who would lose."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any, Final

import numpy as np

from fairlead.evaluation import estimators, overlap
from fairlead.evaluation.case import Case
from fairlead.evaluation.comparison import difference
from fairlead.evaluation.judgement import Reading, Slice

__all__ = ["slices"]

Array = np.ndarray[Any, Any]
LEAST: Final = 100  # requests
MOST: Final = 40
CALLERS: Final = 30  # a spread between fewer groups is a guess


def slices(case: Case, chances: Array) -> list[Slice]:
    """Value a policy's choices (n, K) on each slice that is large enough, the change of quality against the log.

    Intervals are at 95 % for all slices of a kind together (Bonferroni), since somebody will look at the worst. None is
    given where the slice's effective sample size is below 100, or where its requests come from fewer than 30 callers.
    """
    found: list[Slice] = []
    for kind, values in _kinds(case).items():
        rows = case.usable["quality"]
        names = [name for name in np.unique(values) if name and (rows & (values == name)).sum() >= LEAST][:MOST]
        z = NormalDist().inv_cdf(1 - 0.025 / max(len(names), 1))
        found += [_slice(case, chances, kind, str(name), rows & (values == name), z) for name in names]
    return found


def _slice(case: Case, chances: Array, kind: str, name: str, rows: Array, z: float) -> Slice:
    log = case.logged("quality", chances, rows)
    new = case.grouped(estimators.doubly_robust(log), rows)
    change = difference(new, case.status_quo("quality", rows))
    verdict = overlap.verdict(log.weight)
    half = z * change.standard_error
    shown = verdict.ess >= overlap.Limits().least_ess and change.n >= CALLERS
    reading = Reading(change.value, change.value - half, change.value + half) if shown else Reading(change.value)
    return Slice(kind=kind, name=name, requests=int(rows.sum()), ess=verdict.ess, quality_change=reading)


def _kinds(case: Case) -> dict[str, Array]:
    scalars = case.log.batch.scalars
    kinds = {kind: scalars[kind] for kind in ("route", "team", "tag_language") if kind in scalars}
    named = {
        kind.removeprefix("tag_"): np.array(["" if value is None else str(value) for value in values])
        for kind, values in kinds.items()
    }
    days = (case.log.time // 86_400).astype("datetime64[D]").astype(str)
    return {**named, "day": days}
