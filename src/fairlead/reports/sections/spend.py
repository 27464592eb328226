"""Where the money went: by day, endpoint, provider and team."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from markupsafe import Markup

from fairlead.reports import charts, formats, tables
from fairlead.reports.page import Block, Section
from fairlead.reports.palette import Palette
from fairlead.reports.queries import Ask

__all__ = ["section"]

Rows = list[dict[str, Any]]
_RAW: Final = "Prices per 1,000 are raw; “Endpoints on equal terms” compares them on the same requests."


def section(ask: Ask, palette: Palette) -> Section:
    """Show where the window's money went."""
    endpoints, teams, providers = ask("spend_by_endpoint"), ask("spend_by_team"), ask("spend_by_provider")
    return Section(
        "spend",
        "Where the money went",
        _lead(endpoints, teams),
        [
            Block(_daily(ask("spend_per_day"), endpoints, palette), "By day (UTC)", wide=True),
            Block(_by_endpoint(endpoints, palette), "By endpoint", _unpriced(endpoints), wide=True),
            Block(_by("teams", "team", teams, None), "By team"),
            Block(_by("providers", "provider", providers, palette.provider), "By provider"),
        ],
    )


def _lead(endpoints: Rows, teams: Rows) -> str:
    total = _sum(endpoints, "cost_usd")
    if not total:
        return "No attempt in these days has a known price." if endpoints else "No requests in these days."
    parts = []
    for kind, rows in (("endpoint", endpoints), ("team", teams)):
        top = next((row for row in rows if row["name"] and row["cost_usd"]), None)
        if top:
            parts.append(
                f"{formats.share(top['cost_usd'] / total)} went to the {kind} “{formats.visible(top['name'])}”"
            )
    return f"Of {formats.money(total)}, {' and '.join(parts)}." if parts else f"{formats.money(total)} in all."


def _daily(days: Rows, endpoints: Rows, palette: Palette) -> Markup:
    labels = {row["place"]: _name(row) for row in endpoints if row["cost_usd"]}
    shown = [
        {"day": row["day"].isoformat(), "name": labels[row["place"]], "usd": row["cost_usd"], "place": row["place"]}
        for row in days
        if row["cost_usd"]
    ]
    if not shown:
        return tables.NOTHING
    colours = [palette.endpoint(row["name"]) for row in endpoints if row["cost_usd"]]
    return charts.daily(shown, list(labels.values()), colours)


def _by_endpoint(rows: Rows, palette: Palette) -> Markup:
    total, attempts = _sum(rows, "cost_usd"), _sum(rows, "attempts")
    colours = [palette.endpoint(row["name"]) for row in rows]
    return tables.table(
        "endpoints",
        [
            _names("endpoint", rows, colours),
            tables.money("spend", _column(rows, "cost_usd"), total),
            tables.bars("share of spend", _shares(rows, total), colours),
            tables.numbers("attempts", _column(rows, "attempts"), total=attempts),
            tables.money("per 1,000", [_per_thousand(row) for row in rows]),
            tables.numbers("tokens in", _column(rows, "input_tokens"), formats.short, _sum(rows, "input_tokens")),
            tables.numbers("tokens out", _column(rows, "output_tokens"), formats.short, _sum(rows, "output_tokens")),
        ],
    )


def _by(name: str, label: str, rows: Rows, colour: Callable[[str | None], str] | None) -> Markup:
    total = _sum(rows, "cost_usd")
    colours = [colour(row["name"]) if colour else "" for row in rows]
    return tables.table(
        name,
        [
            _names(label, rows, colours),
            tables.money("spend", _column(rows, "cost_usd"), total),
            tables.bars("share", _shares(rows, total), colours),
            tables.numbers("requests", _column(rows, "requests")),
        ],
    )


def _unpriced(rows: Rows) -> str:
    missing, attempts = _sum(rows, "unpriced") or 0, _sum(rows, "attempts") or 0
    if not attempts:
        return ""
    if not missing:
        return f"Per 1,000 attempts. Every attempt has a known price. {_RAW}"
    return (
        f"Per 1,000 attempts with a known price. {formats.count(missing)} attempts "
        f"({formats.share(missing / attempts)}) have none: they are missing from every sum here, not free. {_RAW}"
    )


def _names(label: str, rows: Rows, colours: list[str]) -> tables.Column:
    names = [_name(row) if row["name"] is None and row["members"] > 1 else row["name"] for row in rows]
    return tables.names(label, names, colours, total="total" if _sum(rows, "cost_usd") is not None else "")


def _name(row: dict[str, Any]) -> str:
    return row["name"] or (tables.other_label(row["members"]) if row["members"] > 1 else "not given")


def _per_thousand(row: dict[str, Any]) -> float | None:
    priced = row["attempts"] - row["unpriced"]
    return 1000 * row["cost_usd"] / priced if priced and row["cost_usd"] is not None else None


def _shares(rows: Rows, total: float | None) -> list[float | None]:
    return [row["cost_usd"] / total if total and row["cost_usd"] is not None else None for row in rows]


def _column(rows: Rows, key: str) -> list[float | None]:
    return [row[key] for row in rows]


def _sum(rows: Rows, key: str) -> float | None:
    known = [row[key] for row in rows if row[key] is not None]
    return sum(known) if known else None
