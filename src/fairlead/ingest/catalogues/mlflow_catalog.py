"""Reads MLflow's model catalogue flattened to Parquet: USD per million tokens, no history."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from fairlead.ingest import aliases
from fairlead.ingest.catalogues.common import MODES, Edition, Rows, decimal, gather, keep, row, table
from fairlead.ingest.pricefile import PriceRow

__all__ = ["read"]

_COLUMNS: Final = {"provider", "model", "mode", "input", "output", "cache_read", "cache_write", "cache_write_1h",
                   "service_tiers", "long_context", "max_input", "max_output"}  # fmt: skip
_METERS: Final = {
    "input": "input",
    "output": "output",
    "cache_read": "cache_read",
    "cache_write": "cache_creation",
    "cache_write_1h": "cache_creation_1h",
}


def read(edition: Edition) -> list[PriceRow]:
    """Read the models for text and embeddings; ReadError when the file is another."""
    found: Rows = {}
    for record in table(edition, _COLUMNS):
        seller = aliases.provider(record["provider"])
        if record["mode"] in MODES and keep(seller, record["model"]):
            gather(edition, found, _rows(edition, seller, record))
    return list(found.values())


def _rows(edition: Edition, seller: str, record: Mapping[str, Any]) -> Iterator[PriceRow]:
    base = {to: decimal(record[of], record["model"]) for of, to in _METERS.items()}
    parts = [("standard", 0, base)]
    for tier, prices in json.loads(record["service_tiers"] or "{}").items():
        parts.append((tier, 0, _prices(record["model"], prices)))
    for step in json.loads(record["long_context"] or "[]"):
        prices = {**base, **_prices(record["model"], step)}
        parts.append(("standard", int(step["threshold_tokens"]) + 1, prices))
    for tier, least, prices in parts:
        made = row(
            edition, seller, record["model"], prices,
            embedding=record["mode"] == "embedding",
            service_tier=tier,
            min_input_tokens=least,
            context_window=int(record["max_input"] or 0) or None,
            max_output_tokens=int(record["max_output"] or 0) or None,
        )  # fmt: skip
        if made is not None:
            yield made


def _prices(model: str, given: Mapping[str, Any]) -> dict[str, Decimal | None]:
    names = {f"{of}_per_million_tokens": to for of, to in _METERS.items()}
    return {names[field]: decimal(value, model) for field, value in given.items() if field in names}
