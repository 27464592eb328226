"""How far the bills reach: which days and how much of the cost there is something to compare with."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date, timedelta

from fairlead.reports.reconcile.bills import Bill, Logged

__all__ = ["days", "notes"]

_SHOWN = 4


def days(bill: Bill) -> Iterator[date]:
    """Yield the days (UTC) of a bill."""
    for number in range((bill.end - bill.start).days):
        yield (bill.start + timedelta(days=number)).date()


def notes(logged: dict[tuple[str, str | None, date], Logged], billed: Sequence[Bill], left_out: int) -> list[str]:
    """Say what the figures leave out, provider by provider."""
    spent: dict[str, dict[date, int]] = defaultdict(lambda: defaultdict(int))
    unpriced = 0
    for (provider, _, day), log in logged.items():
        spent[provider][day] += log.units
        unpriced += log.unpriced
    found = []
    if unpriced:
        found.append(f"{unpriced:,} attempts have no list price: what they cost is in no recomputed figure.")
    told = {(bill.provider, day) for bill in billed for day in days(bill)}
    alone = sorted(provider for provider in spent if not any(seller == provider for seller, _ in told))
    if alone:
        more = f" and {len(alone) - _SHOWN} more" if len(alone) > _SHOWN else ""
        found.append(f"No bill was taken in from {', '.join(alone[:_SHOWN])}{more}.")
    for provider in sorted(set(spent) - set(alone)):
        by_day = spent[provider]
        reached = [day for day in by_day if (provider, day) in told]
        if len(reached) < len(by_day):
            total = sum(by_day.values())
            share = f" ({sum(by_day[day] for day in reached) / total:.0%} of its cost)" if total else ""
            found.append(f"{provider}: bills reach {len(reached)} of {len(by_day)} days with traffic{share}.")
    if left_out:
        found.append(
            f"{left_out:,} billed spans reach beyond these days, or are not cut at midnight UTC, and are left out."
        )
    return found
