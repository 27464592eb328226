"""What went wrong, at which provider, and what trying again achieved."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from markupsafe import Markup

from fairlead.reports import charts, formats, tables
from fairlead.reports.page import Block, Section
from fairlead.reports.palette import Palette
from fairlead.reports.queries import Ask

__all__ = ["section"]

_CLASSES: Final = 6


def section(ask: Ask, palette: Palette) -> Section:
    """Show failed attempts by provider and class, and what retries cost and saved."""
    rows, retries = ask("errors"), ask.one("retries")
    days = [{"day": row["day"].isoformat(), "share": row["errors"] / row["attempts"]} for row in ask("errors_per_day")]
    blocks = [
        Block(_matrix(rows, palette), "Failed attempts by provider and class", wide=True),
        Block(_retries(retries), "Requests tried again", "Shadow attempts are not counted; hedged ones are."),
    ]
    if days:
        blocks.append(Block(charts.failures(days), "Failed attempts by day (UTC)"))
    return Section("errors", "What went wrong", _lead(retries), blocks)


def _lead(retries: dict[str, Any]) -> str:
    if not retries["requests"]:
        return "No requests in these days."
    failed = f"{formats.share(retries['failed'] / retries['requests'])} of requests failed in the end"
    if not retries["retried"]:
        return f"{failed}; none was tried again."
    again = formats.share(retries["retried"] / retries["requests"])
    rescued = formats.share(retries["rescued"] / retries["retried"])
    return f"{failed}; {again} were tried again, and {rescued} of those succeeded."


def _matrix(rows: list[dict[str, Any]], palette: Palette) -> Markup:
    attempts = {row["name"]: row["attempts"] for row in rows}
    failed, classes, cells = Counter[str](), Counter[str](), Counter[tuple[str, str]]()
    for row in rows:
        if row["error_class"] is not None:
            failed[row["name"]] += row["errors"]
            classes[row["error_class"]] += row["errors"]
            cells[row["name"], row["error_class"]] += row["errors"]
    shown = [name for name, _ in classes.most_common(_CLASSES)]
    rest = {name: failed[name] - sum(cells[name, kind] for kind in shown) for name in attempts}
    columns = [
        tables.names("provider", list(attempts), [palette.provider(name) for name in attempts]),
        tables.numbers("attempts", list(attempts.values())),
        tables.numbers("failed", [failed[name] for name in attempts]),
        tables.numbers("share", [failed[name] / total for name, total in attempts.items()], _share),
        *(tables.numbers(_words(kind), [cells[name, kind] for name in attempts]) for kind in shown),
    ]
    if any(rest.values()):
        columns.append(tables.numbers("other classes", list(rest.values())))
    return tables.table("errors", columns)


def _retries(retries: dict[str, Any]) -> Markup:
    total = retries["requests"]
    if not total:
        return tables.NOTHING
    counts = [retries[key] for key in ("retried", "rescued", "failed")]
    labels = ["requests tried more than once", "… that succeeded in the end", "requests that failed in the end"]
    wasted = retries["failed_cost_usd"]
    return tables.table(
        "retries",
        [
            tables.texts("", [*labels, "cost of failed attempts"]),
            tables.texts("", [*map(formats.count, counts), formats.money(wasted)], side="right"),
            tables.texts("of all", [*(formats.share(n / total, 2) for n in counts), ""], side="right"),
        ],
    )


def _words(kind: str) -> str:
    return formats.visible(kind).replace("_", " ")


def _share(value: float | None) -> str:
    return formats.share(value, 2)
