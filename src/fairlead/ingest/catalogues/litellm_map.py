"""Reads LiteLLM's `model_prices_and_context_window.json`: one entry per model, USD per token, no history."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from fairlead.errors import ReadError
from fairlead.ingest import aliases
from fairlead.ingest.catalogues.common import MODES, Edition, Rows, decimal, gather, keep, row
from fairlead.ingest.pricefile import PriceRow

__all__ = ["read"]

_METERS: Final = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "output_cost_per_reasoning_token": "reasoning",
    "cache_read_input_token_cost": "cache_read",
    "cache_creation_input_token_cost": "cache_creation",
    "cache_creation_input_token_cost_above_1hr": "cache_creation_1h",
}
_TIERS: Final = {None: "standard", "batches": "batch", "priority": "priority", "flex": "flex"}
_FIELD: Final = re.compile(
    rf"^({'|'.join(sorted(_METERS, reverse=True))})(?:_above_(\d+)k_tokens)?(?:_(batches|priority|flex))?$"
)

Prices = dict[str, Decimal | None]
Steps = dict[tuple[str, int], Prices]


def read(edition: Edition) -> list[PriceRow]:
    """Read the entries for text and embeddings; ReadError when the file is not LiteLLM's."""
    try:
        entries = json.loads(edition.path.read_bytes(), parse_float=Decimal)
    except (OSError, ValueError) as fault:
        raise ReadError(f"{edition.path}: not a JSON file ({fault}); give LiteLLM's price map") from fault
    if not isinstance(entries, dict):
        raise ReadError(f"{edition.path}: not LiteLLM's price map; it must be one object of models")
    found: Rows = {}
    # One model may be listed under several spellings; the shortest is the plain one.
    for name in sorted(entries, key=lambda name: (name.startswith("bedrock_mantle"), len(name), name)):
        entry = entries[name]
        if isinstance(entry, dict) and str(entry.get("mode")) in MODES:
            gather(edition, found, _rows(edition, name, entry))
    return list(found.values())


def _rows(edition: Edition, name: str, entry: Mapping[str, Any]) -> Iterator[PriceRow]:
    seller = aliases.provider(str(entry.get("litellm_provider")))
    if not keep(seller, name):
        return
    steps = _steps(name, entry)
    for (tier, least), prices in steps.items():
        base = steps.get((tier, 0))
        if base is None:
            continue
        made = row(
            edition, seller, name,
            {**base, **prices},  # a meter that a step doesn't name keeps its price
            embedding=entry["mode"] == "embedding",
            service_tier=tier,
            min_input_tokens=least,
            context_window=_count(entry.get("max_input_tokens")),
            max_output_tokens=_count(entry.get("max_output_tokens")),
        )  # fmt: skip
        if made is not None:
            yield made


def _steps(name: str, entry: Mapping[str, Any]) -> Steps:
    steps: Steps = {}
    for field, value in entry.items():
        if match := _FIELD.match(field):
            meter, thousands, tier = match.groups()
            # "above 200k" begins with the token after
            least = int(thousands) * 1000 + 1 if thousands else 0
            price = decimal(value, name, 1_000_000)
            steps.setdefault((_TIERS[tier], least), {})[_METERS[meter]] = price
    for band in entry.get("tiered_pricing") or ():
        bounds = band.get("range") or [0]
        least = int(bounds[0]) + 1 if bounds[0] else 0
        for field, value in band.items():
            if field in _METERS:
                price = decimal(value, name, 1_000_000)
                steps.setdefault(("standard", least), {}).setdefault(_METERS[field], price)
    return steps


def _count(value: Any) -> int | None:
    # LiteLLM writes some limits as text or as floats
    try:
        return int(value) or None
    except (TypeError, ValueError):
        return None
