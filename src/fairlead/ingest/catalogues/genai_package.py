"""Reads the installed package genai-prices (the extra `prices`): the dates and the hours of its prices.

Its constraints are one date or one span of hours each, and the last that holds wins. A span of hours is taken to
belong to the date before it in its list: hours were introduced with a price, not for all the time before it.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Iterable, Iterator
from datetime import time
from pathlib import Path
from typing import Any, Final

from fairlead.errors import ReadError

__all__ = ["INSTALLED", "installed", "records", "version"]

INSTALLED: Final = Path("installed")  # what to give instead of a file
_PACKAGE: Final = "genai-prices"
_PRICES: Final = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cache_read": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "input_audio": "input_audio_mtok",
    "output_audio": "output_audio_mtok",
}


def version() -> str:
    """Give the version of the package; ReadError when it is not installed."""
    try:
        return importlib.metadata.version(_PACKAGE)
    except importlib.metadata.PackageNotFoundError as fault:
        raise ReadError(f"{_PACKAGE} is not installed; pip install 'fairlead[prices]', or give its file") from fault


def installed() -> list[dict[str, Any]]:
    """Read the package's prices as records; ReadError when it is not installed."""
    version()
    return list(records(importlib.import_module("genai_prices.data").providers))


def records(providers: Iterable[Any]) -> Iterator[dict[str, Any]]:
    """Yield a record for each price of each model of the package's providers."""
    for provider in providers:
        for model in provider.models:
            start: str | None = None
            priced = model.prices if isinstance(model.prices, list) else [None]
            for one in priced:
                limit: Any = getattr(one, "constraint", None)
                start = limit.start_date.isoformat() if hasattr(limit, "start_date") else start
                yield {
                    "provider": provider.id,
                    "model": model.id,
                    "context_window": model.context_window,
                    "valid_from": start,
                    **_hours(limit),
                    **_amounts(model.prices if one is None else one.prices),
                }


def _hours(limit: Any) -> dict[str, str]:
    if not hasattr(limit, "start_time"):
        return {}
    return {"utc_time_from": _clock(limit.start_time), "utc_time_to": _clock(limit.end_time)}


def _clock(at: time) -> str:
    return f"{at:%H:%M}"


def _amounts(prices: Any) -> dict[str, Any]:
    """Give the prices for prompts of any length, and the input's steps as the flattened file has them."""
    found: dict[str, Any] = {}
    for name, attribute in _PRICES.items():
        price = getattr(prices, attribute, None)
        found[name] = getattr(price, "base", price)
        for tier in getattr(price, "tiers", ()):
            found.setdefault("steps", {}).setdefault(tier.start, {})[name] = tier.price
    return found
