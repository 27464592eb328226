"""What a reconciliation says: three figures for each part of the traffic, and what makes up the gaps between them."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from msgspec import Struct

__all__ = ["Billed", "Gap", "Reconciliation", "Row"]


class Gap(Struct, frozen=True, kw_only=True):
    """A part of a gap, with what explains it; the parts of a gap add up to it exactly."""

    name: str
    usd: Decimal
    count: int | None = None  # of the attempts it was found in, or of the requests or tokens that it is about
    known: bool = True  # false where nothing was found that explains it, or several things that would


class Billed(Struct, frozen=True, kw_only=True):
    """What a provider's bill says, and what the log says of the very same hours and models."""

    days: int
    usd: Decimal | None = None  # None where the bill counts tokens only
    requests: int | None = None
    recomputed_usd: Decimal
    attempts: int
    gaps: list[Gap]  # of billed - recomputed; of the tokens alone where the bill has no dollars


class Row(Struct, frozen=True, kw_only=True):
    """One part of the traffic; what it is not split by is None."""

    provider: str | None = None
    model: str | None = None
    day: date | None = None
    attempts: int
    recomputed_usd: Decimal
    reported_usd: Decimal
    gaps: list[Gap]  # of reported - recomputed
    billed: Billed | None = None


class Reconciliation(Struct, frozen=True, kw_only=True):
    """The figures of a span of time."""

    since: datetime
    until: datetime
    total: Row
    rows: list[Row]
    notes: list[str]  # what the figures leave out, and how far the bills reach
