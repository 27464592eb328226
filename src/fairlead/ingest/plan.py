"""Prices for many attempts at once: a table of rates to join with, in whole numbers to multiply.

A book answers for one attempt in microseconds of Python, which is many seconds for a million. Attempts of one model,
tier, region and day share their prices, but for the hour and the length of the prompt, so these are worked out once
and the rest is a join: `plan_sql` writes it. `costs.list_cost` says what is right; this gives the same, exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple

import pyarrow as pa

from fairlead.ingest import costs
from fairlead.ingest.pricecells import DAY_S
from fairlead.ingest.prices import PriceBook
from fairlead.ingest.timeline import Rates, Timeline

__all__ = ["CLASSES", "Cell", "Key", "at", "cells", "rates", "units"]

CLASSES: Final = tuple(costs.prices_of(Rates()))
_UNITS_PER_USD: Final = Decimal(10**15)
_DAY_US: Final = DAY_S * 1_000_000
_NO_END: Final = 2**62
_KEY: Final = ("provider_name", "model", "service_tier", "region", "day")
_SCHEMA: Final = pa.schema(
    [
        *((name, pa.date32() if name == "day" else pa.string()) for name in _KEY),
        *((name, pa.int64()) for name in ("us_from", "us_until", "tokens_from", "tokens_until")),
        ("cell", pa.int64()),  # the number of the row
        ("source", pa.string()),
        ("dearest", pa.int64()),
        *((name, pa.int64()) for name in CLASSES),
    ]
)


class Key(NamedTuple):
    """What attempts have in common that share their prices."""

    provider_name: str
    model: str
    service_tier: str  # "batch" for a batch
    region: str  # empty where none is known
    day: date  # UTC


class Cell(NamedTuple):
    """A part of a day, in microseconds, and of prompt lengths, in tokens, within which no price changes."""

    us_from: int
    us_until: int
    tokens_from: int
    tokens_until: int
    moment: datetime  # its beginning


def rates(book: PriceBook, wanted: Iterable[Key]) -> pa.Table:
    """Give the rates of each key: a row for each part of its day and each step of prompt length, none overlapping.

    A rate is a whole number of 1e-15 USD per token, search or request; null where the price is not known; `dearest` is
    the highest of them. A key that no catalogue knows has no row.
    """
    rows: list[tuple[Any, ...]] = []
    for key in wanted:
        timelines = book.timelines(key.provider_name, key.model, key.service_tier, key.region or None)
        for cell in cells(timelines, key.day):
            found = at(timelines, cell.moment, cell.tokens_from)
            if found is not None:
                prices = tuple(units(found))
                rows.append((*key, *cell[:4], len(rows), found.source, max(price or 0 for price in prices), *prices))
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(_SCHEMA)
    return pa.table([pa.array(column, kind.type) for column, kind in zip(columns, _SCHEMA, strict=True)], _SCHEMA)


def at(timelines: Iterable[Timeline], moment: datetime, input_tokens: int) -> Rates | None:
    """Give the first rates in force, as PriceBook.lookup does."""
    for timeline in timelines:
        found = timeline.at(moment, input_tokens)
        if found is not None:
            return found
    return None


def units(found: Rates) -> Iterator[int | None]:
    """Yield the price of each class as a whole number of 1e-15 USD."""
    for price in costs.prices_of(found).values():
        yield None if price is None else int(price * _UNITS_PER_USD)


def cells(timelines: Sequence[Timeline], day: date) -> Iterator[Cell]:
    """Yield the parts of a day and of prompt lengths within which no price changes."""
    start = datetime.combine(day, time(), UTC)
    moments, steps = {0}, {0}
    for timeline in timelines:
        for begins, entries in zip(timeline.starts, timeline.sheets, strict=True):
            moments.add((begins - start) // timedelta(microseconds=1))
            for least, hours, _ in entries:
                steps.add(least)
                if hours is not None:
                    moments |= {hours.start_s * 1_000_000, hours.end_s * 1_000_000}
    froms = sorted(moment for moment in moments if 0 <= moment < _DAY_US)
    leasts = sorted(steps)
    for us_from, us_until in zip(froms, [*froms[1:], _DAY_US], strict=True):
        for least, until in zip(leasts, [*leasts[1:], _NO_END], strict=True):
            yield Cell(us_from, us_until, least, until, start + timedelta(microseconds=us_from))
