"""Endpoints on equal terms: raw means beside what each would have had over all requests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from fairlead.evaluation.adjusted import Adjusted
from fairlead.evaluation.judgement import Reading
from fairlead.reports import charts_equal, formats, tables
from fairlead.reports.page import Block
from fairlead.reports.palette import Palette

__all__ = ["blocks"]

_NOTE: Final = (
    "Ring: the mean of the requests that went there. Dot: the estimate if all requests had gone there, with its 95 % "
    "interval where the log supports one. They differ where an endpoint was given easier or harder requests; compare "
    "endpoints by the dots."
)
_METHODS: Final = {
    "doubly robust": "doubly robust",
    "predicted": "predictions",
    "by route": "same routes",
}
_TABLE_NOTE: Final = (
    "“On equal terms”: as if every endpoint had answered every request of these days that was answered without a "
    "fallback. Doubly robust: by logged propensities and predictions. Predictions: those of the quality predictor, out "
    "of fold. Same routes: every endpoint is given the same mix of routes; what else differs is not taken out."
)


def blocks(found: Sequence[Adjusted], palette: Palette, most: int) -> list[Block]:
    """Give a chart of quality and a table of quality, cost and duration, for the busiest endpoints."""
    by = {(one.endpoint, one.metric): one for one in found}
    names = list(dict.fromkeys(one.endpoint for one in found))[:most]
    if len(names) < 2:
        return []
    scored = [by[name, "quality"] for name in names if (name, "quality") in by]
    made = []
    if len(scored) > 1:
        rows = [_drawn(one, palette.endpoint(one.endpoint)) for one in scored]
        made.append(Block(charts_equal.raw_and_adjusted(rows), "Quality on equal terms, out of 100", _NOTE, wide=True))
    made.append(Block(_table(names, by, palette), "Endpoints on equal terms", _TABLE_NOTE, wide=True))
    return made


def _drawn(one: Adjusted, colour: str) -> dict[str, Any]:
    low, high = (one.value if end is None else end for end in (one.low, one.high))
    ends = {"raw": one.raw, "value": one.value, "low": low, "high": high}
    return {"name": one.endpoint, "colour": colour} | {key: 100 * end for key, end in ends.items()}


def _table(names: Sequence[str], by: dict[tuple[str, str], Adjusted], palette: Palette) -> Any:
    def pick(metric: str) -> list[Adjusted | None]:
        return [by.get((name, metric)) for name in names]

    quality, cost, took = pick("quality"), pick("cost_usd"), pick("duration_s")
    scores = [
        Reading(None) if one is None else Reading(100 * one.value, _times(100, one.low), _times(100, one.high))
        for one in quality
    ]
    methods = [next((one.method for one in row if one), "") for row in zip(quality, cost, took, strict=True)]
    columns = [tables.names("endpoint", names, [palette.endpoint(name) for name in names])]
    if any(quality):
        columns += [
            tables.numbers("quality, raw", _scaled(quality, "raw", 100), _score),
            tables.estimates("on equal terms", scores, _score),
        ]
    columns += [
        tables.money("per 1,000, raw", _scaled(cost, "raw", 1000)),
        tables.money("on equal terms", _scaled(cost, "value", 1000)),
        tables.numbers("mean time, raw", _scaled(took, "raw"), formats.seconds),
        tables.numbers("on equal terms", _scaled(took, "value"), formats.seconds),
        tables.texts("by", [_METHODS.get(method, "") for method in methods]),
    ]
    return tables.table("equal-terms", columns)


def _score(value: float | None) -> str:
    return formats.plain(value, 1) if value is not None else formats.NO_DATA


def _times(factor: float, value: float | None) -> float | None:
    return None if value is None else factor * value


def _scaled(found: Sequence[Adjusted | None], part: str, factor: float = 1) -> list[float | None]:
    return [None if one is None else factor * float(getattr(one, part)) for one in found]
