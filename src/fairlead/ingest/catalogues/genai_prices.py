"""Reads genai-prices: USD per million tokens, with the dates on which prices changed.

As the installed package, or flattened to Parquet, which lost the hours of the day and all but the input of its steps.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from fairlead.ingest import aliases
from fairlead.ingest.catalogues import genai_package
from fairlead.ingest.catalogues.common import Edition, Rows, decimal, gather, keep, row, table
from fairlead.ingest.pricefile import ALWAYS, PriceRow

__all__ = ["read"]

_COLUMNS: Final = {"provider", "model", "valid_from", "input", "output", "cache_read", "cache_write",
                   "context_window", "tiers"}  # fmt: skip
_METERS: Final = {"input": "input", "output": "output", "cache_read": "cache_read", "cache_write": "cache_creation",
                  "input_audio": "input_audio", "output_audio": "output_audio"}  # fmt: skip
# Not sellers of tokens by list, or sellers whose ids cannot be told apart here (its "azure" mixes two Azure services).
_LEFT_OUT: Final = frozenset({"azure", "cursor", "github-copilot", "openai-decisions"})


def read(edition: Edition) -> list[PriceRow]:
    """Read every dated price; ReadError when the file is another, or the package is not there.

    A model with two prices for one date and hour is left out: its file lost what tells them apart.
    """
    found: Rows = {}
    unclear: set[tuple[str, str]] = set()
    packaged = edition.path == genai_package.INSTALLED
    for record in genai_package.installed() if packaged else table(edition, _COLUMNS):
        one: Rows = {}
        gather(edition, one, _rows(edition, record))
        for order, made in one.items():
            if found.setdefault(order, made) != made:
                unclear.add((made.provider_name, made.model))
    return [made for made in found.values() if (made.provider_name, made.model) not in unclear]


def _sellers(record: Mapping[str, Any]) -> tuple[str, ...]:
    name, model = record["provider"], record["model"]
    if name in _LEFT_OUT or model.startswith("regional."):
        return ()
    if name == "google":  # one id for both of Google's services; Claude is sold on one of them only
        return ("gcp.vertex_ai",) if model.startswith("claude") else ("gcp.gemini", "gcp.vertex_ai")
    return (aliases.provider(name),)


def _rows(edition: Edition, record: Mapping[str, Any]) -> Iterator[PriceRow]:
    model = record["model"]
    prices = {to: decimal(record.get(of), model) for of, to in _METERS.items()}
    more = {
        "valid_from": _date(record["valid_from"]),
        "utc_time_from": record.get("utc_time_from", ""),
        "utc_time_to": record.get("utc_time_to", ""),
        "context_window": record["context_window"],
        "embedding": "embed" in model,
    }
    for seller in _sellers(record):
        if not keep(seller, model):
            continue
        made = row(edition, seller, model, prices, **more)
        if made is None:
            continue
        yield made
        for least, step in _steps(record, prices).items():
            longer = row(edition, seller, model, step, min_input_tokens=least, **more)
            if longer is not None:
                yield longer


def _steps(record: Mapping[str, Any], base: Mapping[str, Any]) -> dict[int, dict[str, Any]]:
    """Give the prices of each step. The file holds a step's input alone: without output it stays unpriced."""
    model, told = record["model"], record.get("steps")
    if told is None:
        tiers = ast.literal_eval(record.get("tiers") or "[]")
        return {int(threshold) + 1: {"input": decimal(price, model)} for threshold, price in tiers}
    return {
        int(threshold) + 1: dict(base) | {_METERS[name]: decimal(price, model) for name, price in prices.items()}
        for threshold, prices in told.items()
    }


def _date(text: str | None) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC) if text else ALWAYS
