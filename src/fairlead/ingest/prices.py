"""What a token cost at a provider on a given day.

>>> from fairlead.ingest.pricefile import PriceRow
>>> from datetime import UTC
>>> row = PriceRow(provider_name="openai", model="o3", input=Decimal(2), output=Decimal(8), catalog="list")
>>> book = PriceBook([[row]])
>>> book.lookup("OpenAI", "openai/o3-2025-04-16", datetime(2026, 1, 1, tzinfo=UTC)).source
'list (undated name)'
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Final

import msgspec

from fairlead import schema
from fairlead.ingest import aliases
from fairlead.ingest.pricefile import METERS, PriceRow, overlay, read_rows, sheets
from fairlead.project import Project

__all__ = ["PriceBook", "Rates", "of", "price_rows", "read"]

_MILLION: Final = Decimal(1_000_000)
_STANDARD: Final = frozenset({"", "standard", "default", "auto", "standard_only", "on_demand", "on-demand"})
_MOST_PLANS: Final = 65_536  # model names come from logs; the memory of them must not grow without end


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """What each meter costs, in USD per token, and where that was read. None where the price is not known."""

    input: Decimal | None = None
    output: Decimal | None = None
    cache_read: Decimal | None = None
    cache_creation: Decimal | None = None
    cache_creation_1h: Decimal | None = None
    reasoning: Decimal | None = None
    service_tier: str = "standard"
    min_input_tokens: int = 0
    source: str = ""


class _Timeline(msgspec.Struct, frozen=True):
    """The price sheets of one thing sold: when each begins, and its steps with the highest first."""

    starts: list[datetime]
    steps: list[list[tuple[int, Rates]]]

    def at(self, moment: datetime, input_tokens: int) -> Rates | None:
        place = bisect_right(self.starts, moment) - 1
        if place < 0:
            return None
        for least, rates in self.steps[place]:
            if input_tokens >= least:
                return rates
        return None

    def noted(self, note: str) -> _Timeline:
        if not note:
            return self
        marked = [
            [(least, msgspec.structs.replace(rates, source=f"{rates.source} ({note})")) for least, rates in steps]
            for steps in self.steps
        ]
        return _Timeline(self.starts, marked)


_Layer = dict[tuple[str, str, str, str], _Timeline]


class PriceBook:
    """Prices by provider, model, day, tier and length of the prompt. Later layers answer where earlier ones cannot."""

    def __init__(self, layers: Sequence[Sequence[PriceRow]]) -> None:
        self.layers = tuple(tuple(rows) for rows in layers)
        self._layers = [_layer(rows) for rows in self.layers]
        self._plans: dict[tuple[str, str, str, str | None], list[_Timeline]] = {}

    @classmethod
    def layered(cls, *books: PriceBook) -> PriceBook:
        """Join books into one that asks them in turn: a contract's prices first, then the list's."""
        return cls([rows for book in books for rows in book.layers])

    def __len__(self) -> int:
        return sum(len(rows) for rows in self.layers)

    def __repr__(self) -> str:
        providers = {row.provider_name for rows in self.layers for row in rows}
        return f"<PriceBook of {len(self)} rows, {len(providers)} providers>"

    def lookup(
        self,
        provider: str,
        model: str,
        at: datetime,
        service_tier: str = "standard",
        input_tokens: int = 0,
        region: str | None = None,
    ) -> Rates | None:
        """Give the rates in force at a moment; None where no catalogue has one. Never looks ahead.

        A tier without a price of its own falls back to standard, a dated model to its undated name, a region to the
        price without region; `source` says so.
        """
        plan = self._plans.get((provider, model, service_tier, region))
        if plan is None:
            plan = self._plan(provider, model, service_tier, region)
        for timeline in plan:
            rates = timeline.at(at, input_tokens)
            if rates is not None:
                return rates
        return None

    def _plan(self, provider: str, model: str, service_tier: str, region: str | None) -> list[_Timeline]:
        tier = service_tier.strip().lower()
        tiers = [("standard", "")] if tier in _STANDARD else [(tier, ""), ("standard", "standard")]
        plan = list(self._candidates(provider, model, tiers, (region or "").lower()))
        if len(self._plans) >= _MOST_PLANS:
            self._plans.clear()
        self._plans[(provider, model, service_tier, region)] = plan
        return plan

    def _candidates(
        self, provider: str, model: str, tiers: Sequence[tuple[str, str]], asked: str
    ) -> Iterator[_Timeline]:
        seller = self._seller(provider, model)
        named, name = aliases.split(seller, model)
        region = named or asked
        regions = [(region, ""), ("", f"without region {region}" if named else "")] if region else [("", "")]
        for tier, tier_note in tiers:
            for layer in self._layers:
                for place, place_note in regions:
                    found = _find(layer, seller, name, place, tier)
                    if found:
                        timeline, name_note = found
                        notes = [note for note in (tier_note, name_note, place_note) if note]
                        yield timeline.noted(", ".join(notes))
                        break

    def _seller(self, provider: str, model: str) -> str:
        """Give the provider; a proxy's own name gives way to the provider that the model is prefixed with."""
        seller = aliases.provider(provider)
        if seller in aliases.PROVIDERS or "/" not in model:
            return seller
        named = aliases.provider(model.split("/", 1)[0])
        sold = any(row.provider_name == seller for rows in self.layers for row in rows)
        return named if named in aliases.PROVIDERS and not sold else seller


def of(project: Project) -> PriceBook:
    """Read a project's prices: those of `data/prices.contract.csv`, where there are any, over the catalogue's."""
    book = read(project.prices)
    return PriceBook.layered(read(project.contract), book) if project.contract.is_file() else book


def read(path: Path) -> PriceBook:
    """Read a price file into a book; ReadError when it is not one."""
    return PriceBook([read_rows(path)])


def price_rows(book: PriceBook) -> Iterator[schema.Price]:
    """Yield the `prices` table of a book: one row per meter, with the moment at which the next price took over."""
    rows: Iterable[PriceRow] = ()
    for layer in book.layers:
        rows = overlay(rows, layer)
    for by_date in sheets(rows).values():
        starts = list(by_date)
        ends: list[datetime | None] = [*starts[1:], None]
        for start, end in zip(starts, ends, strict=True):
            for row in by_date[start]:
                yield from _long(row, end)


def _long(row: PriceRow, valid_to: datetime | None) -> Iterator[schema.Price]:
    for meter, price in zip(METERS, row.prices, strict=True):
        if price is not None:
            yield schema.Price(
                provider_name=row.provider_name,
                model=row.model,
                region=row.region or None,
                service_tier=row.service_tier,
                meter=meter,
                price_usd_per_unit=price / _MILLION,
                min_input_tokens=row.min_input_tokens,
                valid_from=row.valid_from,
                valid_to=valid_to,
                catalog=row.catalog,
                catalog_version=row.catalog_version,
                retrieved_at=row.retrieved_at,
            )


def _layer(rows: Iterable[PriceRow]) -> _Layer:
    layer: _Layer = {}
    for (provider, model, region, tier), by_date in sheets(rows).items():
        steps = [[(row.min_input_tokens, _rates(row)) for row in reversed(sheet)] for sheet in by_date.values()]
        seller = aliases.provider(provider)
        named, name = aliases.split(seller, model)
        timeline = _Timeline(list(by_date), steps)
        layer.setdefault((seller, name, named or region.lower(), tier.lower()), timeline)
    for (seller, name, region, tier), spelling in _spellings(layer):
        layer.setdefault((seller, spelling, region, tier), layer[(seller, name, region, tier)])
    return layer


def _spellings(layer: _Layer) -> list[tuple[tuple[str, str, str, str], str]]:
    # A Bedrock model may be asked for without its "-v1:0"; that stands for it where it is the only one of that name.
    owners: dict[tuple[str, str, str, str], list[tuple[str, str, str, str]]] = {}
    for key in layer:
        seller, name, region, tier = key
        for spelling, note in aliases.variants(seller, name):
            if not note and spelling != name:
                owners.setdefault((seller, spelling, region, tier), []).append(key)
    return [(keys[0], spelled[1]) for spelled, keys in owners.items() if len(keys) == 1]


def _find(layer: _Layer, seller: str, name: str, region: str, tier: str) -> tuple[_Timeline, str] | None:
    for spelling, note in aliases.variants(seller, name.lower()):
        timeline = layer.get((seller, spelling, region, tier))
        if timeline is not None:
            return timeline, note
    return None


def _rates(row: PriceRow) -> Rates:
    prices = {meter: price / _MILLION for meter, price in zip(METERS, row.prices, strict=True) if price is not None}
    source = f"{row.catalog} {row.catalog_version}".strip()
    return Rates(**prices, service_tier=row.service_tier, min_input_tokens=row.min_input_tokens, source=source)
