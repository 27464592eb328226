"""Whether the figures are true: what the tokens cost, what the gateways reported, what the providers billed."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from markupsafe import Markup

from fairlead.errors import ReadError
from fairlead.ingest import prices
from fairlead.project import Project
from fairlead.reports import formats, gapchart, tables
from fairlead.reports.page import Block, Section
from fairlead.reports.palette import ACCENT, OTHER
from fairlead.reports.queries import TOP, Ask
from fairlead.reports.reconcile import Billed, Gap, Reconciliation, Row, compare

__all__ = ["section"]

_TITLE: Final = "Whether the costs are true"
_SMALL: Final = Decimal("0.0005")  # of the recomputed cost: a smaller part of a gap gets no bar
_UNKNOWN: Final = OTHER


def section(ask: Ask, project: Project) -> Section:
    """Show the three figures of the window and what their gaps are made of."""
    if not project.prices.is_file():
        return Section("costs", _TITLE, f"Not checked: there is no price list in {project.prices.name}.")
    try:
        book = prices.of(project)
    except ReadError as fault:
        return Section("costs", _TITLE, f"Not checked: {fault}")
    found = compare(ask.connection, book, ask.start, ask.until)
    if not found.total.attempts:
        return Section("costs", _TITLE, "No requests in these days.")
    total, billed = found.total, found.total.billed
    blocks = [Block(_table(found), "Three figures for what was spent", " ".join(found.notes), wide=True)]
    if drawn := _picture("reported", total.gaps, total.recomputed_usd, "the gateways reported"):
        blocks.append(Block(drawn, "Reported less recomputed cost, by what explains it", _GREY, wide=True))
    if billed and (drawn := _picture("billed", billed.gaps, billed.recomputed_usd, "the providers billed")):
        blocks.append(Block(drawn, "Billed less recomputed cost, by what explains it", _GREY, wide=True))
    return Section("costs", _TITLE, _lead(total, billed), blocks)


_GREY: Final = (
    "The parts of the gap, which add up to it with those too small to draw."
    " Grey: nothing, or more than one thing, would explain it."
)


def _lead(total: Row, billed: Billed | None) -> str:
    said = f"The gateways reported {_money(total.reported_usd)}"
    said += f" where tokens and prices give {_money(total.recomputed_usd)}"
    said += _explained(total.gaps)
    if billed and billed.usd is not None:
        said += f" The providers billed {_money(billed.usd)} where the log gives {_money(billed.recomputed_usd)}"
        said += _explained(billed.gaps)
    return said


def _explained(gaps: Sequence[Gap]) -> str:
    sized = sum(abs(one.usd) for one in gaps)
    named = sum(abs(one.usd) for one in gaps if one.known)
    return "." if not sized else f"; {formats.share(float(named / sized))} of the differences have a name."


def _table(found: Reconciliation) -> Markup:
    rows = found.rows[:TOP]
    rest = len(found.rows) - len(rows)
    names = [" ".join(part for part in (row.provider, row.model) if part) for row in rows]
    billed = [row.billed.usd if row.billed else None for row in rows]
    label = f"provider and model (the largest; {rest:,} more)" if rest > 0 else "provider and model"
    total = found.total.billed.usd if found.total.billed else None
    return tables.table(
        "figures",
        [
            tables.names(label, names, total="total"),
            tables.money(
                "recomputed", _floats([row.recomputed_usd for row in rows]), float(found.total.recomputed_usd)
            ),
            tables.money("reported", _floats([row.reported_usd for row in rows]), float(found.total.reported_usd)),
            tables.numbers("gap", [_share(row.reported_usd, row.recomputed_usd) for row in rows], formats.signed_share),
            tables.money("billed", _floats(billed), None if total is None else float(total)),
            tables.numbers("gap", [_bill_share(row.billed) for row in rows], formats.signed_share),
            tables.texts("mostly", [_mostly(row) for row in rows], 90),
        ],
    )


def _mostly(row: Row) -> str:
    """Name the largest part of a row's gaps, where there is one worth naming."""
    parts = [gap for gap in (*row.gaps, *(row.billed.gaps if row.billed else ())) if gap.known]
    largest = max(parts, key=lambda gap: abs(gap.usd), default=None)
    return largest.name if largest is not None and abs(largest.usd) > _SMALL * row.recomputed_usd else ""


def _picture(name: str, gaps: Sequence[Gap], of: Decimal, who: str) -> Markup | None:
    shown = [gap for gap in gaps if abs(gap.usd) > _SMALL * of][:TOP]
    if not shown:
        return None
    rows = [
        {
            "name": gap.name,
            "usd": float(gap.usd),
            "label": ("+" if gap.usd > 0 else "") + formats.money(float(gap.usd)),
            "colour": ACCENT if gap.known else _UNKNOWN,
        }
        for gap in shown
    ]
    return gapchart.draw(
        f"gaps-{name}", rows, f"What the difference between what {who} and the recomputed cost is made of"
    )


def _share(amount: Decimal, of: Decimal) -> float | None:
    return float(amount / of - 1) if of else None


def _bill_share(billed: Billed | None) -> float | None:
    return None if billed is None or billed.usd is None else _share(billed.usd, billed.recomputed_usd)


def _floats(amounts: Sequence[Decimal | None]) -> list[float | None]:
    return [None if amount is None else float(amount) for amount in amounts]


def _money(amount: Decimal) -> str:
    return formats.money(float(amount))
