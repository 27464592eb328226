"""The price sheets of one thing sold, in the order of time, and the layers of a book that they make up."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Final

import msgspec

from fairlead.ingest import aliases
from fairlead.ingest.pricecells import Window
from fairlead.ingest.pricefile import METERS, PriceRow, sheets

__all__ = ["Layer", "Rates", "Timeline", "find", "layer"]

_MILLION: Final = Decimal(1_000_000)


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """What each meter costs, in USD per token or request, and where that was read. None where it is not known."""

    input: Decimal | None = None
    output: Decimal | None = None
    cache_read: Decimal | None = None
    cache_creation: Decimal | None = None
    cache_creation_1h: Decimal | None = None
    reasoning: Decimal | None = None
    input_audio: Decimal | None = None
    output_audio: Decimal | None = None
    input_image: Decimal | None = None
    output_image: Decimal | None = None
    web_search: Decimal | None = None
    request: Decimal | None = None
    service_tier: str = "standard"
    min_input_tokens: int = 0
    source: str = ""


Entry = tuple[int, Window | None, Rates]


class Timeline(msgspec.Struct, frozen=True):
    """The price sheets of one thing sold: when each begins, and its steps with the highest first.

    Of one step, the hours that a row names come before a row for all hours.
    """

    starts: list[datetime]
    sheets: list[list[Entry]]

    def at(self, moment: datetime, input_tokens: int) -> Rates | None:
        """Give the rates in force at a moment for a prompt so long; None before the first sheet."""
        place = bisect_right(self.starts, moment) - 1
        if place < 0:
            return None
        for least, hours, rates in self.sheets[place]:
            if input_tokens >= least and (hours is None or hours.holds(moment)):
                return rates
        return None

    def noted(self, note: str) -> Timeline:
        """Give the same prices with a note on where they were read."""
        if not note:
            return self
        marked = [
            [
                (least, hours, msgspec.structs.replace(rates, source=f"{rates.source} ({note})"))
                for least, hours, rates in entries
            ]
            for entries in self.sheets
        ]
        return Timeline(self.starts, marked)


Layer = dict[tuple[str, str, str, str], Timeline]


def layer(rows: Iterable[PriceRow]) -> Layer:
    """Arrange the rows of a price file by provider, model, region and tier, under every spelling of a model."""
    made: Layer = {}
    for (provider, model, region, tier), by_date in sheets(rows).items():
        seller = aliases.provider(provider)
        named, name = aliases.split(seller, model)
        timeline = Timeline(list(by_date), [_entries(sheet) for sheet in by_date.values()])
        made.setdefault((seller, name, named or region.lower(), tier.lower()), timeline)
    for (seller, name, region, tier), spelling in _spellings(made):
        made.setdefault((seller, spelling, region, tier), made[(seller, name, region, tier)])
    return made


def find(within: Layer, seller: str, name: str, region: str, tier: str) -> tuple[Timeline, str] | None:
    """Give the prices of a model under the nearest spelling that the layer has, and what was given up for it."""
    for spelling, note in aliases.variants(seller, name.lower()):
        timeline = within.get((seller, spelling, region, tier))
        if timeline is not None:
            return timeline, note
    return None


def _entries(sheet: Iterable[PriceRow]) -> list[Entry]:
    made = [(row.min_input_tokens, row.window, _rates(row)) for row in sheet]
    return sorted(made, key=lambda entry: (-entry[0], entry[1] is None))


def _rates(row: PriceRow) -> Rates:
    prices = {meter: price / _MILLION for meter, price in zip(METERS, row.prices, strict=True) if price is not None}
    source = f"{row.catalog} {row.catalog_version}".strip()
    return Rates(**prices, service_tier=row.service_tier, min_input_tokens=row.min_input_tokens, source=source)


def _spellings(made: Layer) -> list[tuple[tuple[str, str, str, str], str]]:
    # A Bedrock model may be asked for without its "-v1:0"; that stands for it where it is the only one of that name.
    owners: dict[tuple[str, str, str, str], list[tuple[str, str, str, str]]] = {}
    for key in made:
        seller, name, region, tier = key
        for spelling, note in aliases.variants(seller, name):
            if not note and spelling != name:
                owners.setdefault((seller, spelling, region, tier), []).append(key)
    return [(keys[0], spelled[1]) for spelled, keys in owners.items() if len(keys) == 1]
