"""The prices that a gateway may have taken instead of those in force."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

import pyarrow as pa

from fairlead.ingest import aliases, plan
from fairlead.ingest.plan import CLASSES, Cell, Key
from fairlead.ingest.prices import PriceBook, tier_of
from fairlead.ingest.timeline import Rates, Timeline

__all__ = ["AS_LISTED", "tables"]

AS_LISTED: Final = "as listed"
_OTHERS: Final = pa.schema([("cell", pa.int64()), ("sheet", pa.string()), *((name, pa.int64()) for name in CLASSES)])


def tables(book: PriceBook, wanted: Iterable[Key]) -> tuple[pa.Table, pa.Table]:
    """Give the plan of rates for the keys, and for each of its cells what else was thinkable.

    The second table has, beside the rates as listed, those of every mistake that would change them: the tier, step,
    region, hour or date left out of account, or the list's price where a contract holds.
    """
    listed = plan.rates(book, wanted)
    others: list[tuple[Any, ...]] = []
    for found in listed.to_pylist():
        own = tuple(found[name] for name in CLASSES)
        others.append((found["cell"], AS_LISTED, *own))
        key = Key(*(found[name] for name in Key._fields))
        seen = {own}
        for name, rates in _thinkable(book, key, _cell(found, key.day)):
            prices = tuple(plan.units(rates))
            if prices not in seen:
                others.append((found["cell"], name, *prices))
                seen.add(prices)
    columns = list(zip(*others, strict=True)) if others else [()] * len(_OTHERS)
    made = pa.table([pa.array(column, kind.type) for column, kind in zip(columns, _OTHERS, strict=True)], _OTHERS)
    return listed, made


def _cell(found: dict[str, Any], day: date) -> Cell:
    moment = datetime.combine(day, time(), UTC) + timedelta(microseconds=found["us_from"])
    return Cell(found["us_from"], found["us_until"], found["tokens_from"], found["tokens_until"], moment)


def _thinkable(book: PriceBook, key: Key, cell: Cell) -> Iterator[tuple[str, Rates]]:
    timelines = book.timelines(key.provider_name, key.model, key.service_tier, key.region or None)
    tier = tier_of(key.service_tier)
    if tier != "standard":
        plain = book.timelines(key.provider_name, key.model, "standard", key.region or None)
        name = "batch discount not applied" if tier == "batch" else f"{tier} tier billed as standard"
        yield from _one(name, plan.at(plain, cell.moment, cell.tokens_from))
    if cell.tokens_from:
        yield from _one("long-context price not applied", plan.at(timelines, cell.moment, 0))
    seller = aliases.provider(key.provider_name)
    named, bare = aliases.split(seller, key.model)
    if named or key.region:
        anywhere = book.timelines(key.provider_name, bare, key.service_tier, None)
        yield from _one("regional price not applied", plan.at(anywhere, cell.moment, cell.tokens_from))
    yield from _of_sheets(timelines, cell)
    if len(timelines) > 1 and _agreed(timelines[0]):
        unlisted = plan.at(timelines[1:], cell.moment, cell.tokens_from)
        yield from _one("contract price not applied", unlisted)


def _of_sheets(timelines: Sequence[Timeline], cell: Cell) -> Iterator[tuple[str, Rates]]:
    """Yield the prices of other hours and of the sheets before and after, from the prices that hold."""
    holds = next((one for one in timelines if one.at(cell.moment, cell.tokens_from) is not None), None)
    if holds is None:
        return
    place = bisect_right(holds.starts, cell.moment) - 1
    for least, hours, rates in holds.sheets[place]:
        if least <= cell.tokens_from:
            yield ("price of other hours billed" if hours else "price of the hour not applied"), rates
    if place:
        name = f"price from before {holds.starts[place]:%Y-%m-%d} billed"
        yield from _one(name, holds.at(holds.starts[place - 1], cell.tokens_from))
    if place + 1 < len(holds.starts):
        start = holds.starts[place + 1]
        yield from _one(f"price from {start:%Y-%m-%d} on billed before that day", holds.at(start, cell.tokens_from))


def _agreed(timeline: Timeline) -> bool:
    sources = {rates.source for entries in timeline.sheets for _, _, rates in entries}
    return any(" less " in source or source.startswith("contract") for source in sources)


def _one(name: str, rates: Rates | None) -> Iterator[tuple[str, Rates]]:
    if rates is not None:
        yield name, rates
