"""What a token cost at a provider on a given day.

>>> from fairlead.ingest.pricefile import PriceRow
>>> from datetime import UTC
>>> row = PriceRow(provider_name="openai", model="o3", input=Decimal(2), output=Decimal(8), catalog="list")
>>> book = PriceBook([[row]])
>>> book.lookup("OpenAI", "openai/o3-2025-04-16", datetime(2026, 1, 1, tzinfo=UTC)).source
'list (undated name)'
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Final

from fairlead import schema
from fairlead.ingest import aliases, contract
from fairlead.ingest.pricecells import FEES
from fairlead.ingest.pricefile import METERS, PriceRow, overlay, read_rows, sheets
from fairlead.ingest.timeline import Rates, Timeline, find, layer
from fairlead.project import Project

__all__ = ["PriceBook", "Rates", "of", "price_rows", "read", "tier_of"]

_MILLION: Final = Decimal(1_000_000)
# What gateways and providers write for the tiers, beside their names.
_TIERS: Final = {
    **dict.fromkeys(("", "default", "auto", "standard_only", "on_demand"), "standard"),
    **dict.fromkeys(("batches", "batch_api"), "batch"),
    "on_demand_flex": "flex",
    "on_demand_priority": "priority",
}
_MOST_PLANS: Final = 65_536  # model names come from logs; the memory of them must not grow without end


class PriceBook:
    """Prices by provider, model, day, tier and length of the prompt. Later layers answer where earlier ones cannot."""

    def __init__(self, layers: Sequence[Sequence[PriceRow]]) -> None:
        self.layers = tuple(tuple(rows) for rows in layers)
        self._layers = [layer(rows) for rows in self.layers]
        self._plans: dict[tuple[str, str, str, str | None], list[Timeline]] = {}

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

        A tier without a price of its own falls back to standard, a dated model to its undated name, a region that a
        model is named with to the price without region; `source` says so.
        """
        for timeline in self.timelines(provider, model, service_tier, region):
            rates = timeline.at(at, input_tokens)
            if rates is not None:
                return rates
        return None

    def timelines(self, provider: str, model: str, service_tier: str, region: str | None) -> list[Timeline]:
        """Give the prices that answer for a model, the nearest first; the first that is in force holds."""
        key = (provider, model, service_tier, region)
        plan = self._plans.get(key)
        if plan is None:
            tier = tier_of(service_tier)
            tiers = [("standard", "")] if tier == "standard" else [(tier, ""), ("standard", "standard")]
            plan = list(self._candidates(provider, model, tiers, (region or "").lower()))
            if len(self._plans) >= _MOST_PLANS:
                self._plans.clear()
            self._plans[key] = plan
        return plan

    def _candidates(
        self, provider: str, model: str, tiers: Sequence[tuple[str, str]], asked: str
    ) -> Iterator[Timeline]:
        seller = self._seller(provider, model)
        named, name = aliases.split(seller, model)
        places = aliases.places(seller, named, asked)
        for tier, tier_note in tiers:
            for within in self._layers:
                for place, place_note in places:
                    found = find(within, seller, name, place, tier)
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


def tier_of(name: str | None) -> str:
    """Give the service tier that a word in a log stands for.

    >>> tier_of(None), tier_of("DEFAULT"), tier_of("ON_DEMAND_FLEX")
    ('standard', 'standard', 'flex')
    """
    word = (name or "").strip().lower()
    return _TIERS.get(word.replace("-", "_"), word)


def of(project: Project) -> PriceBook:
    """Read a project's prices: those of `data/prices.contract.csv`, where there are any, over the catalogue's."""
    listed = read_rows(project.prices)
    agreed = contract.layers(project.contract, listed) if project.contract.is_file() else []
    return PriceBook([*agreed, listed])


def read(path: Path) -> PriceBook:
    """Read a price file into a book; ReadError when it is not one."""
    return PriceBook([read_rows(path)])


def price_rows(book: PriceBook) -> Iterator[schema.Price]:
    """Yield the `prices` table of a book: one row per meter, with the moment at which the next price took over."""
    rows: Iterable[PriceRow] = ()
    for lower in book.layers:
        rows = overlay(rows, lower)
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
                unit="request" if meter in FEES else "token",
                price_usd_per_unit=price / _MILLION,
                min_input_tokens=row.min_input_tokens,
                utc_time_from=row.utc_time_from or None,
                utc_time_to=row.utc_time_to or None,
                utc_weekdays=row.utc_weekdays or None,
                valid_from=row.valid_from,
                valid_to=valid_to,
                catalog=row.catalog,
                catalog_version=row.catalog_version,
                retrieved_at=row.retrieved_at,
            )
