"""The reconciliation of a span: what the tokens cost, what the gateways reported, what the providers billed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple

from fairlead import store
from fairlead.errors import UsageError
from fairlead.ingest import prices
from fairlead.ingest.prices import PriceBook
from fairlead.project import Project
from fairlead.reports.reconcile import bills, charges, coverage, gateway
from fairlead.reports.reconcile.bills import Bill, Logged
from fairlead.reports.reconcile.decompose import gaps, usd
from fairlead.reports.reconcile.result import Billed, Gap, Reconciliation, Row

__all__ = ["BY", "compare", "reconcile"]

BY: Final = ("provider", "model", "day")
_NOTHING: Final = Decimal(0)

Days = dict[tuple[str, str | None, date], Logged]


class Place(NamedTuple):
    """Where a figure belongs; None in what the rows are not split by."""

    provider: str | None = None
    model: str | None = None
    day: date | None = None


def reconcile(
    project: Project,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    by: Sequence[str] = ("provider", "model"),
) -> Reconciliation:
    """Compare a project's three figures in whole UTC days from `since` to `until`, by default all that it has."""
    if unknown := [name for name in by if name not in BY]:
        raise UsageError(f"--by {unknown[0]}: rows are split by {', '.join(BY)}")
    book = prices.of(project)
    con = store.open_lake(project.lake).connect()
    try:
        start, end = _span(con, since, until)
        return compare(con, book, start, end, by=by)
    finally:
        con.close()


def compare(
    con: store.Connection,
    book: PriceBook,
    since: datetime,
    until: datetime,
    *,
    by: Sequence[str] = ("provider", "model"),
) -> Reconciliation:
    """Compare the three figures of the lake behind a connection; `since` and `until` are midnights (UTC)."""
    charges.make(con, book, since, until)
    explained, days = gateway.explained(con), bills.logged(con)
    billed = bills.bills(con, since, until)
    rows = _rows(explained, days, billed, by)
    total = next(
        iter(_rows(explained, days, billed, ())),
        Row(attempts=0, recomputed_usd=_NOTHING, reported_usd=_NOTHING, gaps=[]),
    )
    notes = coverage.notes(days, billed, bills.left_out(con, since, until))
    return Reconciliation(since=since, until=until, total=total, rows=rows, notes=notes)


def _span(con: store.Connection, since: datetime | None, until: datetime | None) -> tuple[datetime, datetime]:
    [(first, last)] = con.execute(
        "SELECT CAST(min(start_time) AS DATE), CAST(max(start_time) AS DATE) FROM attempts"
    ).fetchall()
    start = since.astimezone(UTC).date() if since else first
    end = until.astimezone(UTC).date() if until else last and last + timedelta(days=1)
    if start is None or end is None:
        raise UsageError("nothing has been ingested yet; run fairlead ingest first")
    if end <= start:
        raise UsageError(
            f"--until {end} is not after --since {start}; a day begins at midnight UTC, and --until is left out"
        )
    return datetime.combine(start, time(), UTC), datetime.combine(end, time(), UTC)


def _rows(explained: Iterable[dict[str, Any]], days: Days, billed: Iterable[Bill], by: Sequence[str]) -> list[Row]:
    parts: dict[Place, list[dict[str, Any]]] = defaultdict(list)
    for one in explained:
        parts[_place(one["provider"], one["model"], one["day"], by)].append(one)
    logs: dict[Place, list[Logged]] = defaultdict(list)
    for (provider, model, day), log in days.items():
        logs[_place(provider, model, day, by)].append(log)
    sheets: dict[Place, list[Bill]] = defaultdict(list)
    for bill in billed:
        if place := _of_bill(bill, by):
            sheets[place].append(bill)
    made = [_row(place, parts[place], logs[place], sheets[place], days) for place in {**logs, **sheets}]
    return sorted(made, key=lambda row: (-row.recomputed_usd, row.provider or "", row.model or "", str(row.day)))


def _place(provider: str, model: str | None, day: date, by: Sequence[str]) -> Place:
    return Place(provider if "provider" in by else None, model if "model" in by else None, day if "day" in by else None)


def _of_bill(bill: Bill, by: Sequence[str]) -> Place | None:
    """Give the row that a bill is shown in; none where rows are of days and the bill is of several."""
    if "day" in by and bill.end - bill.start > timedelta(days=1):
        return None
    if "model" in by and bill.model is None:
        return Place(
            bill.provider if "provider" in by else None, "(all models)", bill.start.date() if "day" in by else None
        )
    return _place(bill.provider, bill.model, bill.start.date(), by)


def _row(place: Place, parts: list[dict[str, Any]], logs: list[Logged], sheets: list[Bill], days: Days) -> Row:
    return Row(
        **place._asdict(),
        attempts=sum(int(one["attempts"]) for one in parts),
        recomputed_usd=usd(sum(log.units for log in logs)),
        reported_usd=usd(sum(log.reported or 0 for log in logs)),
        gaps=_gaps(parts),
        billed=_billed(sheets, days),
    )


def _gaps(parts: Iterable[dict[str, Any]]) -> list[Gap]:
    return _summed(
        Gap(name=one["name"], usd=usd(int(one["units"])), count=int(one["attempts"]), known=one["known"])
        for one in parts
    )


def _summed(found: Iterable[Gap]) -> list[Gap]:
    """Add up the gaps of one name, the largest first."""
    named: dict[str, list[Gap]] = defaultdict(list)
    for gap in found:
        named[gap.name].append(gap)
    made = [
        Gap(
            name=name,
            usd=sum((one.usd for one in same), _NOTHING),
            count=sum(one.count or 0 for one in same) if any(one.count is not None for one in same) else None,
            known=all(one.known for one in same),
        )
        for name, same in named.items()
    ]
    return sorted(made, key=lambda gap: (-abs(gap.usd), gap.name))


def _billed(sheets: list[Bill], days: Days) -> Billed | None:
    """Add up the bills of a row: those with dollars, or, where none has any, those with tokens."""
    told = [bill for bill in sheets if bill.units is not None] or sheets
    if not told:
        return None
    logs = [bills.over(days, bill) for bill in told]
    amounts = [bill.units for bill in told if bill.units is not None]
    requests = [bill.requests for bill in told if bill.requests is not None]
    return Billed(
        days=len({day for bill in told for day in coverage.days(bill)}),
        usd=usd(sum(amounts)) if amounts else None,
        requests=sum(requests) if len(requests) == len(told) else None,
        recomputed_usd=usd(sum(log.units for log in logs)),
        attempts=sum(log.attempts for log in logs),
        gaps=_summed(gap for bill, log in zip(told, logs, strict=True) for gap in gaps(bill, log)),
    )
