"""Reads LiteLLM's `model_prices_and_context_window.json`: one entry per model, USD per token, no history."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from fairlead.errors import ReadError
from fairlead.ingest import aliases
from fairlead.ingest.catalogues import litellm_extras
from fairlead.ingest.catalogues.common import MODES, Edition, Prices, Rows, Steps, decimal, gather, keep, row
from fairlead.ingest.pricefile import PriceRow

__all__ = ["read"]

_METERS: Final = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "output_cost_per_reasoning_token": "reasoning",
    "cache_read_input_token_cost": "cache_read",
    "cache_creation_input_token_cost": "cache_creation",
    "cache_creation_input_token_cost_above_1hr": "cache_creation_1h",
    "input_cost_per_audio_token": "input_audio",
    "output_cost_per_audio_token": "output_audio",
    "input_cost_per_image_token": "input_image",
    "output_cost_per_image_token": "output_image",
    "input_cost_per_request": "request",
}
_TIERS: Final = {None: "standard", "batches": "batch", "priority": "priority", "flex": "flex", "ultrafast": "ultrafast"}
_FIELD: Final = re.compile(
    rf"^({'|'.join(sorted(_METERS, reverse=True))})(?:_above_(\d+)k_tokens)?(?:_(batches|priority|flex|ultrafast))?$"
)
# Sound and pictures, where they are paid by the token; what is paid by the second or the picture has no meter here.
_MEDIA: Final = frozenset({"realtime", "audio_transcription", "audio_speech", "image_generation", "image_edit"})
_MEDIA_METERS: Final = frozenset({"input_audio", "output_audio", "input_image", "output_image"})
_NOT_BY_TOKEN: Final = re.compile(r"per_(?:second|image|pixel|character)(?:$|_(?!token))")


def read(edition: Edition) -> list[PriceRow]:
    """Read the entries that are paid by the token; ReadError when the file is not LiteLLM's."""
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
        if isinstance(entry, dict) and _by_token(entry):
            gather(edition, found, _rows(edition, name, entry))
    return list(found.values())


def _by_token(entry: Mapping[str, Any]) -> bool:
    mode = str(entry.get("mode"))
    return mode in MODES or (mode in _MEDIA and not any(_NOT_BY_TOKEN.search(field) for field in entry))


def _rows(edition: Edition, name: str, entry: Mapping[str, Any]) -> Iterator[PriceRow]:
    seller = aliases.provider(str(entry.get("litellm_provider")))
    steps = _steps(name, entry)
    media = any(steps.get(("standard", 0), {}).get(meter) for meter in _MEDIA_METERS)
    if not keep(seller, name, media=media) or (entry["mode"] in _MEDIA and not media):
        return
    made = list(_made(edition, seller, name, entry, steps))
    yield from made
    yield from litellm_extras.regional(seller, entry, made)


def _made(edition: Edition, seller: str, name: str, entry: Mapping[str, Any], steps: Steps) -> Iterator[PriceRow]:
    for (tier, least, hours), prices in litellm_extras.completed(name, entry, steps).items():
        one = row(
            edition, seller, name, prices,
            embedding=entry["mode"] == "embedding",
            service_tier=tier,
            min_input_tokens=least,
            utc_time_from=hours[0],
            utc_time_to=hours[1],
            utc_weekdays=hours[2],
            context_window=_count(entry.get("max_input_tokens")),
            max_output_tokens=_count(entry.get("max_output_tokens")),
        )  # fmt: skip
        if one is not None:
            yield one


def _steps(name: str, entry: Mapping[str, Any]) -> Steps:
    steps: Steps = {}
    for field, value in entry.items():
        if match := _FIELD.match(field):
            meter, thousands, tier = match.groups()
            # "above 200k" begins with the token after
            least = int(thousands) * 1000 + 1 if thousands else 0
            price = decimal(value, name, 1_000_000, meter=_METERS[meter])
            steps.setdefault((_TIERS[tier], least), {})[_METERS[meter]] = price
    for band in entry.get("tiered_pricing") or ():
        bounds = band.get("range") or [0]
        least = int(bounds[0]) + 1 if bounds[0] else 0
        for field, value in band.items():
            if field in _METERS:
                price = decimal(value, name, 1_000_000, meter=_METERS[field])
                prices: Prices = steps.setdefault(("standard", least), {})
                prices.setdefault(_METERS[field], price)
    return steps


def _count(value: Any) -> int | None:
    # LiteLLM writes some limits as text or as floats
    try:
        return int(value) or None
    except (TypeError, ValueError):
        return None
