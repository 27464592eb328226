"""What the readers of catalogues share: which rows are worth keeping, and numbers as they were meant."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec

from fairlead.errors import ReadError
from fairlead.ingest import aliases, pricefile
from fairlead.ingest.pricefile import PriceRow

__all__ = ["MODES", "Edition", "Prices", "Rows", "Steps", "decimal", "digest", "gather", "keep", "row", "table"]

Rows = dict[tuple[object, ...], PriceRow]
Prices = dict[str, Decimal | None]
Steps = dict[tuple[str, int], Prices]  # by tier and least number of input tokens

MODES: Final = frozenset({"chat", "completion", "responses", "embedding"})
# Tokens of sound and pictures cost otherwise than tokens of text; without a meter for them no price is better.
_NOT_TEXT: Final = re.compile(
    r"audio|realtime|whisper|transcribe|(?:^|[-/])(?:tts|image|voice|live|sonic|ocr)(?:$|[-/:.])"
)
# "together-ai-4.1b-8b" and its like are price classes by size, not models.
_SIZE_CLASS: Final = re.compile(
    r"^(?:together-ai|fireworks-ai)-.*\d+b|^(?:together-ai|fireworks-ai)-(?:default|moe|embedding)"
)


class Edition(msgspec.Struct):
    """A catalogue as it was on a day, and the entries of it that cannot be right."""

    name: str
    path: Path
    version: str
    retrieved_at: datetime
    faults: list[str] = []


def gather(edition: Edition, found: Rows, made: Iterator[PriceRow]) -> None:
    """Add an entry's rows to those found so far, the first of a key staying; a bad entry adding none."""
    try:
        rows = list(made)
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, SyntaxError) as fault:
        edition.faults.append(f"{edition.name} {fault}")
        return
    for row in rows:
        found.setdefault(row.order, row)


def decimal(value: Any, model: str, per: int = 1, meter: str = "input") -> Decimal | None:
    """Read a price that is given per `per`-millionth of a million tokens; ValueError when it cannot be a price.

    Catalogues keep prices as binary floats, so the twelfth significant digit and below is noise.
    """
    if value is None:
        return None
    try:
        exact = Decimal(str(value)) * per
        return pricefile.price(f"{Decimal(f'{exact:.12g}'):f}" if exact.is_finite() else str(exact), meter)
    except (ValueError, ArithmeticError) as fault:
        raise ValueError(f"{model}: {fault}") from fault


def digest(path: Path) -> str:
    """Give what marks a catalogue whose version is not named: a digest of its file."""
    try:
        return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"
    except OSError as fault:
        raise ReadError(f"{path}: cannot be read ({fault.strerror}); give the path of a catalogue") from fault


def row(edition: Edition, seller: str, name: str, prices: Mapping[str, Decimal | None], **more: Any) -> PriceRow | None:
    """Make a row of a catalogue's entry; None when it has no price that can be believed.

    A list that says 0 means "not known", "free for now" or, of a cache class, "nothing on top of input": none of them
    is a price of 0. Only the output of an embedding, which has none, is free.
    """
    known: dict[str, Any] = {meter: price for meter, price in prices.items() if price}
    region, model = aliases.split(seller, name)
    if not model or not known.keys() & {"input", "output"}:
        return None
    if more.pop("embedding", False):
        known["output"] = Decimal(0)
    return PriceRow(
        provider_name=seller,
        model=model,
        region=more.pop("region", "") or region,
        catalog=edition.name,
        catalog_version=edition.version,
        retrieved_at=edition.retrieved_at,
        **known,
        **more,
    )


def keep(seller: str, name: str, *, media: bool = False) -> bool:
    """Say whether a model belongs in the price file: sold by a provider we list, and paid by tokens.

    `media`: its catalogue has prices for tokens of sound or pictures, so its name may speak of them.
    """
    wanted = seller in aliases.PROVIDERS and "commitment" not in name
    return wanted and (media or not _NOT_TEXT.search(name.lower())) and not _SIZE_CLASS.match(name)


def table(edition: Edition, columns: Iterable[str]) -> list[dict[str, Any]]:
    """Read a Parquet catalogue as records; ReadError when it lacks one of the columns."""
    import polars

    try:
        frame = polars.read_parquet(edition.path)
    except (OSError, polars.exceptions.PolarsError) as fault:
        raise ReadError(f"{edition.path}: not a Parquet file ({fault}); give the {edition.name} catalogue") from fault
    if missing := sorted(set(columns) - set(frame.columns)):
        raise ReadError(f"{edition.path}: no column {missing[0]!r}; give the {edition.name} catalogue")
    return frame.to_dicts()
