"""What LiteLLM's map says beside a price for each meter: searches, hours, regions; and what it leaves out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec

from fairlead.ingest.catalogues.common import Prices, Steps, decimal
from fairlead.ingest.pricecells import FEES, METERS, rounded
from fairlead.ingest.pricefile import PriceRow

__all__ = ["completed", "regional"]

Hours = tuple[str, str, str]

_ALWAYS: Final[Hours] = ("", "", "")
# A tier that says nothing of these charges what the standard tier does, as LiteLLM itself reads the map.
_AS_STANDARD: Final = ("input_audio", "output_audio", "input_image", "output_image", *FEES)
_OFF_PEAK: Final = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "cache_read_input_token_cost": "cache_read",
}
_UPLIFTS: Final = {
    "regional_processing_uplift_multiplier_eu": "eu",
    "regional_processing_uplift_multiplier_us": "us",
    "regional_endpoint_uplift_multiplier": "regional",  # any but the global endpoint
}


def completed(name: str, entry: Mapping[str, Any], steps: Steps) -> dict[tuple[str, int, Hours], Prices]:
    """Give the prices of every tier, step and hour of an entry, with what the map leaves out filled in."""
    search = _search(name, entry)
    standard = dict(steps.get(("standard", 0), {}))
    if search is not None:
        standard["web_search"] = search
    common = {meter: standard[meter] for meter in _AS_STANDARD if standard.get(meter)}
    made: dict[tuple[str, int, Hours], Prices] = {}
    for (tier, least), prices in [*steps.items(), *_missing_steps(steps).items()]:
        base = steps.get((tier, 0))
        if base is not None:
            # A meter that a step doesn't name keeps its price.
            made[(tier, least, _ALWAYS)] = {**common, **_long_lived(standard, base), **base, **prices}
    for hours, prices in _off_peak(name, entry):
        if standard:
            made[("standard", 0, hours)] = {**standard, **prices}
    return made


def regional(seller: str, entry: Mapping[str, Any], rows: Iterable[PriceRow]) -> Iterator[PriceRow]:
    """Yield the rows of an entry again for each region that it charges more in. Fees by the request stay."""
    for field, region in _UPLIFTS.items():
        factor = entry.get(field)
        if factor is None:
            continue
        more = decimal(factor, f"{seller} {field}") or Decimal(1)
        for row in rows:
            if not row.region:
                dearer = {
                    meter: rounded(price * more)
                    for meter in METERS
                    if meter not in FEES and (price := getattr(row, meter)) is not None
                }
                yield msgspec.structs.replace(row, region=region, **dearer)


def _missing_steps(steps: Steps) -> Steps:
    """Give the long-context steps of tiers that list none, in the proportion of the standard step.

    Where the map lists them, they are in that proportion: in all of the batch and flex tiers, and in 55 of the 60
    priority tiers that have a step at all.
    """
    made: Steps = {}
    base = steps.get(("standard", 0), {})
    longer = [(least, prices) for (tier, least), prices in steps.items() if tier == "standard" and least]
    for tier in sorted({tier for tier, _ in steps} - {"standard"}):
        plain = steps.get((tier, 0), {})
        if any(least for other, least in steps if other == tier) or not plain:
            continue
        for least, prices in longer:
            made[(tier, least)] = {
                meter: rounded(Decimal(f"{now * prices[meter] / was:.12g}"))  # type: ignore[operator]
                for meter, now in plain.items()
                if now and (was := base.get(meter)) and prices.get(meter)
            }
    return made


def _long_lived(standard: Prices, tier: Prices) -> Prices:
    """Give a tier's price of one-hour cache writes, in the proportion of its other ones, where it lists those alone."""
    was, hour, now = standard.get("cache_creation"), standard.get("cache_creation_1h"), tier.get("cache_creation")
    if was and hour and now:
        return {"cache_creation_1h": rounded(Decimal(f"{now * hour / was:.12g}"))}
    return {}


def _search(name: str, entry: Mapping[str, Any]) -> Decimal | None:
    """Give the price of a million searches; a search's context is of medium size where nobody says otherwise."""
    sizes = entry.get("search_context_cost_per_query")
    if not isinstance(sizes, dict):
        return None
    price = sizes.get("search_context_size_medium")
    return decimal(price, name, 1_000_000, meter="web_search")


def _off_peak(name: str, entry: Mapping[str, Any]) -> Iterator[tuple[Hours, Prices]]:
    told = entry.get("off_peak_pricing")
    if not isinstance(told, dict):
        return
    prices = {
        meter: decimal(told[field], name, 1_000_000, meter=meter) for field, meter in _OFF_PEAK.items() if field in told
    }
    for span in told.get("windows") or ():
        hours = span["hours_utc"]
        days = ",".join(map(str, span.get("weekdays") or ()))
        for one in [hours] if isinstance(hours, str) else hours:
            start, end = one.split("-")
            yield (start, end, _short_days(days)), prices


def _short_days(days: str) -> str:
    """Write weekdays in a row as a span.

    >>> _short_days("1,2,3,4,5"), _short_days("6,7"), _short_days("1,3")
    ('1-5', '6-7', '1,3')
    """
    first, last = days[:1], days[-1:]
    spanned = ",".join(map(str, range(int(first or 0), int(last or 0) + 1)))
    return f"{first}-{last}" if days == spanned and first != last else days
