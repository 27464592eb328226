"""How good the answers were, by endpoint and by route, as far as feedback came back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from fairlead.evaluation.adjusted import Adjusted
from fairlead.evaluation.judgement import Reading
from fairlead.reports import charts, formats, tables
from fairlead.reports.page import Block, Section
from fairlead.reports.palette import MUTED, Palette
from fairlead.reports.queries import TOP, Ask
from fairlead.reports.sections import equal_terms

__all__ = ["section"]

Rows = list[dict[str, Any]]
_CAVEAT: Final = (
    "Raw averages, as they came in. Unless requests were spread over endpoints at random, an endpoint that is given "
    "the hard requests looks worse than it is: compare endpoints on equal terms, not by this chart."
)


def section(ask: Ask, palette: Palette, adjusted: Sequence[Adjusted] = ()) -> Section:
    """Show the mean score of endpoints and routes with intervals, and endpoints on equal terms."""
    endpoints, routes = ask("quality_by_endpoint"), ask("quality_by_route")
    coverage = ask.one("feedback_coverage")
    blocks = [
        Block(_table("quality-endpoints", "endpoint", endpoints, palette), "By endpoint, raw"),
        Block(_table("quality-routes", "route", routes, None), "By route, raw"),
    ]
    if endpoints:
        rows = [_row(row, palette.endpoint(row["name"])) for row in endpoints]
        other = [_row(row, MUTED) for row in routes if row["name"] is not None]
        blocks.insert(
            0, Block(charts.quality(rows, other), "Raw mean score out of 100, with 95 % intervals", _CAVEAT, wide=True)
        )
    blocks = [*equal_terms.blocks(adjusted, palette, TOP), *blocks]
    return Section("quality", "Whether quality holds", _lead(coverage), blocks)


def _lead(coverage: dict[str, Any]) -> str:
    if not coverage["scored"]:
        return "No feedback on these requests has come in, so nothing can be said about quality."
    share = coverage["scored"] / coverage["requests"]
    return (
        f"{formats.score(coverage['quality'])} of 100 on average over the {formats.count(coverage['scored'])} requests "
        f"that anyone said anything about, {formats.share(share)} of all."
    )


def _row(row: dict[str, Any], colour: str) -> dict[str, Any]:
    scaled = {"value": 100 * row["quality"], "low": 100 * row["low"], "high": 100 * row["high"]}
    return {"name": "no endpoint" if row["name"] is None else row["name"], "colour": colour} | scaled


def _table(name: str, label: str, rows: Rows, palette: Palette | None) -> Any:
    colours = [palette.endpoint(row["name"]) if palette else "" for row in rows]
    scores = [Reading(100 * row["quality"], 100 * row["low"], 100 * row["high"]) for row in rows]
    return tables.table(
        name,
        [
            tables.names(label, [row["name"] for row in rows], colours),
            tables.estimates("quality", scores, lambda value: formats.plain(value, 1)),
            tables.numbers("scored requests", [row["n"] for row in rows]),
        ],
    )
