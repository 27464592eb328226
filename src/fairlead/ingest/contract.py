"""What a team agreed with a provider: `data/prices.contract.csv`, prices of their own or a discount on the list.

A line with prices is in force instead of the list's from its date on. A line with `discount_percent` instead takes so
much off whatever the list says, for all models that its `provider_name` and `model` match (`*` matches anything):

    provider_name,model,service_tier,valid_from,input,output,discount_percent,acknowledged
    openai,gpt-4o-mini,standard,2026-01-01,0.12,0.5,,
    anthropic,claude-*,,2026-01-01,,,8,

Where several discounts match, the one whose model is named most exactly holds, and of these the latest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

import msgspec

from fairlead.errors import ReadError
from fairlead.ingest import aliases
from fairlead.ingest.catalogues import check
from fairlead.ingest.pricecells import METERS, rounded, short
from fairlead.ingest.pricefile import COLUMNS, PriceRow, group_of, numbered, records, sheets

__all__ = ["Discount", "layers"]

_EXTRA: Final = ("discount_percent", "acknowledged")
_YES: Final = frozenset({"yes", "true", "1"})
_HUNDRED: Final = Decimal(100)


class Discount(msgspec.Struct, frozen=True, kw_only=True):
    """So much off the list's prices of all that matches, from a day on."""

    provider: str
    model: str
    service_tier: str  # empty: all of them
    valid_from: datetime
    percent: Decimal

    def matches(self, row: PriceRow) -> bool:
        """Say whether a row of the list is discounted."""
        return (
            fnmatchcase(row.provider_name, self.provider)
            and fnmatchcase(row.model.lower(), self.model)
            and self.service_tier in ("", row.service_tier)
        )

    @property
    def exactness(self) -> tuple[int, int, datetime]:
        """How closely it names what it is for: letters of the model, then of the provider, then how new it is."""
        return (len(self.model.replace("*", "")), len(self.provider.replace("*", "")), self.valid_from)


def layers(path: Path, listed: Sequence[PriceRow]) -> list[list[PriceRow]]:
    """Read a contract into the layers that come before the list: its own prices, and the list's less the discounts.

    ReadError names the line that cannot be meant. A price that is more than five times the list's, or a fifth of it,
    has to be acknowledged with `yes` in the column of that name.
    """
    found = records(path, (*COLUMNS, *_EXTRA), ())
    plain: list[tuple[int, dict[str, str]]] = []
    discounts: list[Discount] = []
    checked: set[int] = set()
    for line, record in found:
        percent, said = (str(record.get(name) or "").strip() for name in _EXTRA)
        rest: dict[Any, Any] = {name: text for name, text in record.items() if name not in _EXTRA}
        if said.lower() in _YES:
            checked.add(line)
        if percent:
            discounts.append(_discount(path, line, rest, percent))
        else:
            plain.append((line, rest))
    own = numbered(path, plain)
    _check(path, [(line, row) for line, row in own if line not in checked], listed)
    return [[row for _, row in own], _discounted(listed, discounts)] if discounts else [[row for _, row in own]]


def _discount(path: Path, line: int, record: dict[str, str], percent: str) -> Discount:
    if priced := [meter for meter in METERS if (record.get(meter) or "").strip()]:
        raise ReadError(f"{path} line {line}: a discount and a price of {priced[0]}; give one of the two")
    if unused := [name for name in ("region", "min_input_tokens", "utc_time_from") if (record.get(name) or "").strip()]:
        raise ReadError(f"{path} line {line}: a discount holds for every {unused[0]}; empty that cell")
    model = (record.get("model") or "").strip()
    # The line is read as a price line would be, for its date and its faults.
    [(_, row)] = numbered(path, [(line, record)])
    try:
        off = Decimal(percent)
    except ArithmeticError:
        off = Decimal("NaN")
    if not off.is_finite() or not 0 < off <= _HUNDRED:
        raise ReadError(
            f"{path} line {line}: discount_percent has to be more than 0 and at most 100; correct that cell"
        )
    provider = row.provider_name if "*" in row.provider_name else aliases.provider(row.provider_name)
    return Discount(
        provider=provider,
        model=model.lower(),
        service_tier=(record.get("service_tier") or "").strip().lower(),
        valid_from=row.valid_from,
        percent=off,
    )


def _discounted(listed: Iterable[PriceRow], discounts: Sequence[Discount]) -> list[PriceRow]:
    """Give the list's rows with the discounts taken off, from the day of the first that matches on."""
    made: list[PriceRow] = []
    for by_date in sheets(row for row in listed if any(one.matches(row) for one in discounts)).values():
        matching = [one for one in discounts if one.matches(next(iter(by_date.values()))[0])]
        first = min(one.valid_from for one in matching)
        days = sorted({*(day for day in by_date if day > first), *(one.valid_from for one in matching)})
        for day in days:
            sheet = max((start for start in by_date if start <= day), default=None)
            best = max((one for one in matching if one.valid_from <= day), key=lambda one: one.exactness)
            made += [_less(row, best, day) for row in by_date.get(sheet, ())] if sheet is not None else []
    return made


def _less(row: PriceRow, discount: Discount, day: datetime) -> PriceRow:
    kept = (_HUNDRED - discount.percent) / _HUNDRED
    prices = {meter: rounded(price * kept) for meter in METERS if (price := getattr(row, meter)) is not None}
    version = f"{row.catalog_version} less {short(discount.percent)} %".strip()
    return msgspec.structs.replace(row, valid_from=day, catalog_version=version, **prices)


def _check(path: Path, own: Iterable[tuple[int, PriceRow]], listed: Iterable[PriceRow]) -> None:
    groups = sheets(listed)
    for line, row in own:
        if "*" in row.model or "*" in row.provider_name:
            raise ReadError(f"{path} line {line}: only a discount may name several models; name one")
        was = check.in_force(groups.get(group_of(row), {}), row)
        if was is not None and (moved := check.moves(was, row)):
            raise ReadError(
                f"{path} line {line}: {row.provider_name} {row.model} {moved[0]} is more than five times off the list; "
                "check it, then write yes in a column `acknowledged`"
            )
