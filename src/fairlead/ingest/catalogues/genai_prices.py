"""Reads genai-prices flattened to Parquet: USD per million tokens, with the dates on which prices changed."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from fairlead.ingest import aliases
from fairlead.ingest.catalogues.common import Edition, Rows, decimal, gather, keep, row, table
from fairlead.ingest.pricefile import ALWAYS, PriceRow

__all__ = ["read"]

_COLUMNS: Final = {"provider", "model", "valid_from", "input", "output", "cache_read", "cache_write",
                   "context_window", "tiers"}  # fmt: skip
# Not sellers of tokens by list, or sellers whose ids cannot be told apart here (its "azure" mixes two Azure services).
_LEFT_OUT: Final = frozenset({"azure", "cursor", "github-copilot", "openai-decisions"})


def read(edition: Edition) -> list[PriceRow]:
    """Read every dated price; ReadError when the file is another.

    A model with two prices for one date is left out: it is priced by the hour of the day, which this file lost.
    """
    found: Rows = {}
    hourly: set[tuple[str, str]] = set()
    for record in table(edition, _COLUMNS):
        one: Rows = {}
        gather(edition, one, _rows(edition, record))
        for order, made in one.items():
            if found.setdefault(order, made) != made:
                hourly.add((made.provider_name, made.model))
    return [made for made in found.values() if (made.provider_name, made.model) not in hourly]


def _sellers(record: Mapping[str, Any]) -> tuple[str, ...]:
    name, model = record["provider"], record["model"]
    if name in _LEFT_OUT or model.startswith("regional."):
        return ()
    if name == "google":  # one id for both of Google's services; Claude is sold on one of them only
        return ("gcp.vertex_ai",) if model.startswith("claude") else ("gcp.gemini", "gcp.vertex_ai")
    return (aliases.provider(name),)


def _rows(edition: Edition, record: Mapping[str, Any]) -> Iterator[PriceRow]:
    model = record["model"]
    names = {"input": "input", "output": "output", "cache_read": "cache_read", "cache_write": "cache_creation"}
    prices = {to: decimal(record[of], model) for of, to in names.items()}
    more = {
        "valid_from": _date(record["valid_from"]),
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
        for threshold, price in ast.literal_eval(record["tiers"] or "[]"):
            # The file holds the input price of a step only; with no output price such a request stays unpriced.
            step = row(edition, seller, model, {"input": decimal(price, model)},
                       min_input_tokens=int(threshold) + 1, **more)  # fmt: skip
            if step is not None:
                yield step


def _date(text: str | None) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC) if text else ALWAYS
