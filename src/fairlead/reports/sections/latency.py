"""How long answers took, and how long until their first token."""

from __future__ import annotations

from typing import Any, Final

from fairlead.reports import charts, formats, tables
from fairlead.reports.page import Block, Section
from fairlead.reports.palette import Palette
from fairlead.reports.queries import Ask

__all__ = ["section"]

_NOTE: Final = (
    "Filled dot: the median; ring: nine of ten attempts are faster; tick: 99 of 100 are faster. The axis is "
    "logarithmic. Successful attempts only, from the call until the last token. Raw: an endpoint that is given long "
    "answers looks slower than it is; “Endpoints on equal terms” above compares mean times."
)


def section(ask: Ask, palette: Palette) -> Section:
    """Show latency quantiles of each endpoint."""
    rows = ask("latency_by_endpoint")
    timed = [row for row in rows if row["p50_s"] and row["p99_s"]]
    colours = [palette.endpoint(row["name"]) for row in rows]
    table = tables.table(
        "latency",
        [
            tables.names("endpoint", [row["name"] for row in rows], colours, "no endpoint"),
            tables.numbers("attempts", [row["n"] for row in rows]),
            *(tables.numbers(f"p{q}", [row[f"p{q}_s"] for row in rows], formats.seconds) for q in (50, 90, 99)),
            tables.numbers("first token p50", [row["first_p50_s"] for row in rows], formats.seconds),
            tables.numbers("first token p90", [row["first_p90_s"] for row in rows], formats.seconds),
        ],
    )
    blocks = [Block(table, wide=True)]
    if timed:
        drawn = [
            {"name": row["name"] or "no endpoint", "colour": palette.endpoint(row["name"])}
            | {f"p{q}": row[f"p{q}_s"] for q in (50, 90, 99)}
            for row in timed
        ]
        blocks.insert(0, Block(charts.ranges(drawn), "Time until the last token, by endpoint", _NOTE, wide=True))
    return Section("latency", "How long answers took", _lead(timed), blocks)


def _lead(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "No successful attempt with a known duration in these days."
    fast, slow = min(rows, key=lambda row: row["p90_s"]), max(rows, key=lambda row: row["p90_s"])
    if fast is slow:
        return f"Nine of ten attempts took less than {formats.seconds(fast['p90_s'])}."
    return (
        f"Nine of ten attempts took less than {formats.seconds(fast['p90_s'])} at {_name(fast)}, and less than "
        f"{formats.seconds(slow['p90_s'])} at {_name(slow)}."
    )


def _name(row: dict[str, Any]) -> str:
    return f"“{formats.visible(row['name'])}”" if row["name"] else "an unnamed endpoint"
