"""How far the data can be trusted: what was read, what was not, and which figures lean on what is missing."""

from __future__ import annotations

from typing import Any, Final

from markupsafe import Markup

from fairlead.evaluation.judgement import Judgement
from fairlead.reports import formats, tables
from fairlead.reports.page import Block, Section
from fairlead.reports.queries import Ask
from fairlead.reports.sections.checks import Check, checks
from fairlead.store import Counts

__all__ = ["section"]

_ADD: Final = "Add them to data/prices.csv; their cost is unknown, not zero."


def section(ask: Ask, loads: list[Counts], span: dict[str, Any], judgement: Judgement | None) -> Section:
    """Show the checks on the data, and the lines, models and costs that failed them."""
    gaps, unpriced = ask("cost_gap"), ask("unpriced")
    found = checks(ask, loads, span, gaps, judgement)
    blocks = [
        Block(_table(found), wide=True),
        Block(_rows(ask("rows")), "Rows in the lake"),
        Block(_models(unpriced), "Models with no known price", _ADD if unpriced else ""),
        Block(_lines(ask("quarantine")), "Lines that could not be read", wide=True),
        Block(_gaps(gaps), "Reported against recomputed cost", "Only attempts where both are known."),
        Block(
            _invoices(ask("invoices")),
            "Providers' bills against logged spend",
            "Only spans that lie inside these days.",
        ),
    ]
    look = [check.name for check in found if check.tone == "look"]
    lead = (
        f"Needs a look: {', '.join(look)}." if look else "Nothing in the data stands in the way of the figures above."
    )
    return Section(
        "health", "Data health", lead if span["newest"] else "Nothing has been ingested for these days.", blocks
    )


def _table(found: list[Check]) -> Markup:
    colours = {"good": "#3b9184", "look": "#d08a2e", "none": "#b4bbc4"}
    return tables.table(
        "checks",
        [
            tables.names("check", [check.name for check in found], [colours[check.tone] for check in found]),
            tables.texts("", [check.value for check in found], side="right"),
            tables.texts("", [{"good": "fine", "look": "look", "none": "–"}[check.tone] for check in found]),
            tables.texts("what that means", [check.reading for check in found], 400),
        ],
    )


def _rows(rows: list[dict[str, Any]]) -> Markup:
    return tables.table(
        "rows",
        [tables.texts("table", [row["name"] for row in rows]), tables.numbers("rows", [row["n"] for row in rows])],
    )


def _models(rows: list[dict[str, Any]]) -> Markup:
    if not rows:
        return Markup("<p>None.</p>")
    return tables.table(
        "unpriced",
        [
            tables.names("model", [row["name"] for row in rows]),
            tables.numbers("attempts", [row["attempts"] for row in rows]),
            tables.numbers("tokens", [row["tokens"] for row in rows], formats.short),
        ],
    )


def _lines(rows: list[dict[str, Any]]) -> Markup:
    if not rows:
        return Markup("<p>None.</p>")
    return tables.table(
        "quarantine",
        [
            tables.texts("reason", [row["name"] for row in rows]),
            tables.numbers("lines", [row["n"] for row in rows]),
            tables.texts("for example", [f"{formats.visible(row['file'], 70)}:{row['line']}" for row in rows]),
            tables.texts("", [row["detail"] or "" for row in rows], 120),
        ],
    )


def _gaps(rows: list[dict[str, Any]]) -> Markup:
    gaps = [row["reported_usd"] / row["recomputed_usd"] - 1 if row["recomputed_usd"] else None for row in rows]
    return tables.table(
        "gaps",
        [
            tables.names("provider", [row["name"] for row in rows]),
            tables.money("reported", [row["reported_usd"] for row in rows]),
            tables.money("recomputed", [row["recomputed_usd"] for row in rows]),
            tables.numbers("gap", gaps, formats.signed_share),
        ],
    )


def _invoices(rows: list[dict[str, Any]]) -> Markup:
    gaps = [
        row["logged_usd"] / row["billed_usd"] - 1 if row["billed_usd"] and row["logged_usd"] is not None else None
        for row in rows
    ]
    return tables.table(
        "invoices",
        [
            tables.names("provider", [row["name"] for row in rows]),
            tables.money("billed", [row["billed_usd"] for row in rows]),
            tables.money("logged", [row["logged_usd"] for row in rows]),
            tables.numbers("gap", gaps, formats.signed_share),
        ],
    )
