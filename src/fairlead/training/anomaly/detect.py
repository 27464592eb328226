"""What is out of the ordinary now, and the slice that explains it.

Every slice, measure and span is one test; the false discovery rate over all of them is held by Benjamini and Hochberg
(1995), at a level so low that hourly looks at quiet traffic cry wolf less than once a week. What is significant and
large enough to matter is grouped by measure and direction; the slice to look at first is the one whose share of the
excess exceeds its share of what was expected by most (after Adtributor: Bhagwan et al., NSDI 2014).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import numpy as np
from msgspec import Struct

from fairlead.training.anomaly.baseline import Baseline, Scores, score
from fairlead.training.anomaly.hours import HOUR, KINDS, Hours, Slice
from fairlead.training.anomaly.measures import MEASURES, Measure

__all__ = ["LEVEL", "Anomaly", "detect", "significant"]

Array = np.ndarray[Any, Any]
LEVEL: Final = 0.002  # of the false discovery rate, at each look
_OTHERS: Final = 5
_IN_PLACE: Final = ("quality", "latency", "output tokens")


class Anomaly(Struct, frozen=True, kw_only=True):
    """One thing out of the ordinary: what, where, since when, by how much.

    `value` and `expected` are in the measure's unit (USD, seconds, shares, tokens), of the whole span or of a call.
    `change` is a ratio less one for spend, latency and tokens, a difference for shares. `explains` is the slice's share
    of the excess over all traffic, `chance` that of seeing as much in quiet times. `in_place` says that one endpoint
    changed while the others did not: somebody may have exchanged the model behind it.
    """

    measure: str
    slice: Slice
    since: datetime
    until: datetime
    value: float
    expected: float
    change: float
    explains: float
    chance: float
    in_place: bool
    others: list[Slice]

    @property
    def words(self) -> str:
        """Say it in a sentence."""
        where = "all traffic" if self.slice.kind == "total" else f"{self.slice.kind} {self.slice.name!r}"
        span = round((self.until - self.since) / HOUR)
        said = f"{self.measure} of {where} over {span} h: {_amount(self.measure, self.value)}"
        said += f", usually {_amount(self.measure, self.expected)} ({_change(self.measure, self.change)})"
        if self.slice.kind != "total" and self.measure in ("spend", "latency", "errors", "quality", "output tokens"):
            said += f", {min(max(self.explains, 0.0), 1.0):.0%} of all that changed"
        return f"{said}; no other endpoint changed so: was the model behind it exchanged?" if self.in_place else said


def detect(baselines: Mapping[str, Baseline], hours: Hours, level: float = LEVEL) -> list[Anomaly]:
    """Look at the spans that end at the newest hour; the worst comes first.

    `hours` has the columns that the baselines were fitted on.
    """
    tests = [
        (measure, found)
        for measure in MEASURES
        if measure.name in baselines
        for found in score(baselines[measure.name], hours, measure)
    ]
    if not tests:
        return []
    chances = np.concatenate([found.chance for _, found in tests])
    sure = significant(chances, level).reshape(len(tests), -1)
    grouped: dict[tuple[str, int], list[tuple[Measure, Scores, Array]]] = {}
    for (measure, found), hits in zip(tests, sure, strict=True):
        matters = hits & (np.abs(found.change) >= measure.matters)
        for sign in (1, -1):
            own = matters & (np.sign(found.z) == sign)
            if own.any():
                grouped.setdefault((measure.name, sign), []).append((measure, found, own))
    anomalies = [_explained(group, hours, sign) for (_, sign), group in grouped.items()]
    return sorted(anomalies, key=lambda one: one.chance)


def significant(chances: Array, level: float) -> Array:
    """Say which tests are discoveries at a false discovery rate (Benjamini and Hochberg 1995).

    >>> significant(np.array([0.001, 0.2, 0.012, 0.9]), 0.05).tolist()
    [True, False, True, False]
    """
    order = np.argsort(chances, kind="stable")
    below = np.flatnonzero(chances[order] <= level * np.arange(1, len(chances) + 1) / len(chances))
    found = np.zeros(len(chances), dtype=bool)
    if len(below):
        found[order[: below[-1] + 1]] = True
    return found


def _explained(group: list[tuple[Measure, Scores, Array]], hours: Hours, sign: int) -> Anomaly:
    # The span that says it most surely; on it, the slice that explains most.
    measure, found, hits = min(group, key=lambda one: float(one[1].chance[one[2]].min()))
    explains, expected_share = _shares(measure, found, hours.slices)
    kinds = np.array([KINDS.index(one.kind) for one in hours.slices])
    # All else equal the more general name: a team's only key says no more than the team.
    merit = np.where(hits, np.clip(explains, 0, 1) - expected_share - 0.001 * kinds, -np.inf)
    if measure.name == "traffic share":
        merit = np.where(hits, np.abs(found.change) - 0.001 * kinds, -np.inf)
    chosen = int(merit.argmax())
    slices = [hours.slices[at] for at in np.flatnonzero(hits) if at != chosen]
    return Anomaly(
        measure=measure.name,
        slice=hours.slices[chosen],
        since=hours.end - found.span * HOUR,
        until=hours.end,
        value=_unit(measure, float(found.value[chosen])),
        expected=_unit(measure, float(found.expected[chosen])),
        change=float(found.change[chosen]),
        explains=float(explains[chosen]),
        chance=float(found.chance[hits].min()),
        in_place=_in_place(measure, found, hits, hours.slices, chosen),
        others=sorted(slices, key=lambda one: KINDS.index(one.kind))[:_OTHERS],
    )


def _shares(measure: Measure, found: Scores, slices: tuple[Slice, ...]) -> tuple[Array, Array]:
    """Give each slice's share of the excess over all traffic, and of what was expected."""
    if measure.kind == "amount":
        excess, usual = found.value - found.expected, found.expected
    else:
        excess, usual = (found.value - found.expected) * found.weight, found.weight
    total = next(at for at, one in enumerate(slices) if one.kind == "total")
    whole = excess[total] if abs(excess[total]) > 1e-12 else 1e-12
    return excess / whole, np.asarray(usual / max(float(usual[total]), 1e-12))


def _in_place(measure: Measure, found: Scores, hits: Array, slices: tuple[Slice, ...], chosen: int) -> bool:
    """Whether what changed is one endpoint's alone: the rest of the traffic is as it was."""
    if measure.name not in _IN_PLACE:
        return False
    total = next(at for at, one in enumerate(slices) if one.kind == "total")
    own = [at for at in np.flatnonzero(hits) if slices[at].kind == "endpoint"]
    if len(own) != 1 or slices[chosen].kind not in ("endpoint", "model", "provider"):
        return False
    rest = found.weight[total] - found.weight[own[0]]
    if rest < measure.least:
        return False
    moved = found.value * found.weight - found.expected * found.weight
    others = (moved[total] - moved[own[0]]) / rest
    return bool(abs(others) < 0.34 * abs(found.value[own[0]] - found.expected[own[0]]))


def _unit(measure: Measure, value: float) -> float:
    return float(np.exp(np.clip(value, -30, 30))) if measure.kind == "time" else value


def _amount(measure: str, value: float) -> str:
    if measure == "spend":
        return f"{value:,.2f} USD" if value >= 1 else f"{value:.4f} USD"
    if measure == "latency":
        return f"{value:.2f} s"
    return f"{value:,.0f} tokens" if measure == "output tokens" else f"{value:.1%}"


def _change(measure: str, change: float) -> str:
    if measure in ("spend", "latency", "output tokens"):
        return f"x{1 + change:.2f}"
    return f"{100 * change:+.1f} points"
