"""How far the data can be trusted: what was read, what was not, and which figures lean on what is missing."""

from __future__ import annotations

from itertools import groupby
from typing import Any, Final

from markupsafe import Markup

from fairlead.evaluation.judgement import Judgement
from fairlead.reports import charts_health, formats, tables
from fairlead.reports.health import Check, examine
from fairlead.reports.health.loads import poisoned
from fairlead.reports.page import Block, Section
from fairlead.reports.queries import TOP, Ask
from fairlead.store import Lake

__all__ = ["section"]

Rows = list[dict[str, Any]]
_ADD: Final = "Add them to data/prices.csv; their cost is unknown, not zero."
_COLOURS: Final = {"fine": "#3b9184", "look": "#d08a2e", "bad": "#b8574d", "none": "#b4bbc4"}
_SHOWN: Final = {"fine": "fine", "look": "look", "bad": "bad", "none": "–"}


def section(ask: Ask, lake: Lake, judgement: Judgement | None) -> Section:
    """Show every check on the data, and the lines, models, costs and days behind them."""
    found = examine(ask, lake, judgement, lake.verify())
    unpriced, files = ask("unpriced"), poisoned(lake.sources())[:TOP]
    blocks = [
        Block(_table(found), wide=True),
        *_pictures(ask),
        Block(_rows(ask("rows")), "Rows in the lake"),
        Block(_late(ask("health_lateness")), "When the final word on a request was in", "Of requests old enough."),
        Block(_lines(ask("quarantine")), "Lines that could not be read, the newest of each reason", wide=True),
        Block(_files(files), "Files with lines that could not be read"),
        Block(_models(unpriced), "Models with no known price", _ADD if unpriced else ""),
        Block(_gaps(ask("health_costs")[:TOP]), "Reported against recomputed cost, the furthest apart first"),
        Block(_pairs(ask("health_pairs")), "How alike endpoints score on the same prompts", (
            "Correlation with each other endpoint on 50 or more shared prompts; about 0 where others are clearly above "
            "is what shifted labels look like.")),
        Block(
            _invoices(ask("invoices")),
            "Providers' bills against logged spend",
            "Only spans that lie inside these days.",
        ),
    ]  # fmt: skip
    return Section("health", "Data health", _lead(found, ask.one("span")["newest"] is None), blocks)


def _lead(found: list[Check], empty: bool) -> str:
    if empty:
        return "Nothing has been ingested for these days."
    bad, look = ([check.name for check in found if check.verdict == verdict] for verdict in ("bad", "look"))
    words = ([f"Bad: {', '.join(bad)}."] if bad else []) + ([f"Needs a look: {', '.join(look)}."] if look else [])
    return " ".join(words) or "Nothing in the data stands in the way of the figures above."


def _table(found: list[Check]) -> Markup:
    parts = [(name, list(checks)) for name, checks in groupby(found, key=lambda check: check.group)]
    groups = [name if not at else "" for name, checks in parts for at in range(len(checks))]
    says = Markup('{}{} <span class="quiet">{}</span>')
    act = Markup(" <strong>{}</strong>")
    readings = [
        says.format(check.meaning, act.format(check.action) if check.action else "", f"[{check.threshold}]")
        if check.threshold
        else Markup("{}").format(check.meaning)
        for check in found
    ]
    return tables.table(
        "checks",
        [
            tables.names("check", [check.name for check in found], [_COLOURS[check.verdict] for check in found]),
            tables.texts("", [check.value for check in found], side="right"),
            tables.texts("", [_SHOWN[check.verdict] for check in found]),
            tables.texts("of", groups),
            tables.Column("what that means, and what to do", readings, "left"),
        ],
    )


def _pictures(ask: Ask) -> list[Block]:
    clocks = [row for row in ask("health_clocks") if row["p50_s"] is not None]
    if not clocks:
        return []
    days = [row | {"day": row["day"].isoformat(), "missing": bool(row["missing"])} for row in ask("health_days")]
    lags = [{"name": row["name"], **{key: row[f"{key}_s"] for key in ("p50", "p90", "p99")}} for row in clocks]
    how = "Dot: half of them; ring: nine in ten; end of the line: 99 in 100."
    return [
        Block(charts_health.days(days), "Attempts of each source by day (UTC); far fewer than usual in red", wide=True),
        Block(charts_health.lags(lags), "How long after a call its row came in", how, wide=True),
    ]


def _rows(rows: Rows) -> Markup:
    return tables.table(
        "rows",
        [tables.texts("table", [row["name"] for row in rows]), tables.numbers("rows", [row["n"] for row in rows])],
    )


def _late(rows: Rows) -> Markup:
    spans = {"within 1 h": "within_hour", "1 day": "within_day", "7 days": "within_week", "in time": "within_maturity"}
    return tables.table(
        "lateness",
        [
            tables.names("source", [row["name"] for row in rows]),
            tables.numbers("labels", [row["labels"] for row in rows]),
            *(tables.numbers(label, [row[key] for row in rows], formats.share) for label, key in spans.items()),
        ],
    )


def _models(rows: Rows) -> Markup:
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


def _lines(rows: Rows) -> Markup:
    if not rows:
        return Markup("<p>None.</p>")
    places = [", ".join(f"{formats.visible(one['file'], 60)}:{one['line']}" for one in row["newest"]) for row in rows]
    return tables.table(
        "quarantine",
        [
            tables.texts("reason", [row["name"] for row in rows]),
            tables.numbers("lines", [row["n"] for row in rows]),
            tables.texts("for example", places, 240),
            tables.texts("", [row["newest"][0]["detail"] or "" for row in rows], 120),
        ],
    )


def _files(rows: Rows) -> Markup:
    if not rows:
        return Markup("<p>None.</p>")
    return tables.table(
        "poisoned",
        [
            tables.texts("file", [formats.visible(row["name"], 60) for row in rows]),
            tables.texts("read as", [row["reader"] for row in rows]),
            tables.numbers("lines", [row["quarantined"] for row in rows]),
            tables.numbers("share", [row["quarantined"] / row["read"] for row in rows], formats.share),
        ],
    )


def _gaps(rows: Rows) -> Markup:
    gaps = [row["reported_usd"] / row["recomputed_usd"] - 1 if row["recomputed_usd"] else None for row in rows]
    return tables.table(
        "gaps",
        [
            tables.names("model", [row["name"] for row in rows]),
            tables.money("reported", [row["reported_usd"] for row in rows]),
            tables.money("recomputed", [row["recomputed_usd"] for row in rows]),
            tables.numbers("gap", gaps, formats.signed_share),
            tables.numbers("of spend", [row["share"] for row in rows], formats.share),
        ],
    )


def _pairs(rows: Rows) -> Markup:
    def written(value: float | None) -> str:
        return formats.NO_DATA if value is None else f"{value:.2f}".replace("-", "−")

    return tables.table(
        "pairs",
        [
            tables.names("endpoint", [row["name"] for row in rows]),
            tables.numbers("others", [row["pairs"] for row in rows]),
            *(tables.numbers(label, [row[key] for row in rows], written) for label, key in (
                ("lowest", "lowest"), ("middle", "r"), ("highest", "highest"))),
        ],
    )  # fmt: skip


def _invoices(rows: Rows) -> Markup:
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
