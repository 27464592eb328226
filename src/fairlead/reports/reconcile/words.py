"""A reconciliation in words and columns, for a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from fairlead.reports import formats
from fairlead.reports.reconcile.result import Gap, Reconciliation, Row

__all__ = ["render", "signed"]

_SHOWN: Final = Decimal("1e-9")  # USD; less is the rounding of a bill


def render(found: Reconciliation) -> str:
    """Write the three figures of each part, and below each what makes up its gaps."""
    lines = [
        f"{found.since:%Y-%m-%d} to {found.until:%Y-%m-%d} (UTC), {found.total.attempts:,} attempts",
        "",
        f"{'':<44} {'recomputed':>14} {'reported':>14} {'billed':>14}",
    ]
    for row in found.rows:
        name = " ".join(str(part) for part in (row.day, row.provider, row.model) if part)
        lines += [_figures(name or "all", row), *_gaps(row)]
    if len(found.rows) > 1:
        lines.append(_figures("total", found.total))
    return "\n".join([*lines, *(["", *found.notes] if found.notes else [])])


def _figures(name: str, row: Row) -> str:
    billed = row.billed.usd if row.billed else None
    amounts = (row.recomputed_usd, row.reported_usd, billed)
    shown = (formats.money(None if amount is None else float(amount)) for amount in amounts)
    return f"{formats.visible(name, 44):<44} " + " ".join(f"{amount:>14}" for amount in shown)


def _gaps(row: Row) -> Iterable[str]:
    yield from _parts("reported - recomputed", row.reported_usd - row.recomputed_usd, row.gaps)
    if row.billed is not None:
        gap = None if row.billed.usd is None else row.billed.usd - row.billed.recomputed_usd
        yield from _parts(f"billed - recomputed, {row.billed.days} days", gap, row.billed.gaps)


def _parts(what: str, total: Decimal | None, gaps: Iterable[Gap]) -> Iterable[str]:
    shown = [gap for gap in gaps if abs(gap.usd) >= _SHOWN]
    if abs(total or Decimal(0)) < _SHOWN and not shown:
        return
    yield f"  {signed(total):>16}  {what}"
    for gap in shown:
        name = ("" if gap.known else "cannot tell: ") + formats.visible(gap.name, 110)
        yield f"  {signed(gap.usd):>16}    {name}" + ("" if gap.count is None else f" ({gap.count:,})")


def signed(usd: Decimal | None) -> str:
    """Write an amount with its sign."""
    if usd is None:
        return formats.money(None)
    return ("+" if usd > 0 else "-" if usd < 0 else "") + formats.money(abs(float(usd)))
