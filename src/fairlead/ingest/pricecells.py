"""The cells of a price file: how each is read, and what it may not say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Final

import msgspec

from fairlead.ingest import aliases

__all__ = ["DAY_S", "FEES", "METERS", "Window", "cells", "price", "rounded", "short", "window"]

# What is paid by the request instead of by the token.
FEES: Final = ("web_search", "request")
METERS: Final = (
    *("input", "output", "cache_read", "cache_creation", "cache_creation_1h", "reasoning"),
    *("input_audio", "output_audio", "input_image", "output_image"),
    *FEES,
)
DAY_S: Final = 86_400
# The dearest tokens ever listed cost 600 USD per million (o1-pro's output); above this the unit must be wrong.
_MOST_PER_MILLION_TOKENS: Final = Decimal(1000)
# A search costs a cent, so a million of them thousands of dollars: what is less was meant per thousand, or per search.
_LEAST_PER_MILLION_REQUESTS: Final = Decimal(100)
_MOST_PER_MILLION_REQUESTS: Final = Decimal(10_000_000)
_PLACES: Final = 9  # the prices table holds fifteen, per unit
_CLOCK: Final = re.compile(r"^([01]\d|2[0-3]):([0-5]\d)$")
_WEEKDAYS: Final = re.compile(r"^[1-7](?:-[1-7])?(?:,[1-7](?:-[1-7])?)*$")
_COUNTS: Final = frozenset({"min_input_tokens", "context_window", "max_output_tokens"})
_MOMENTS: Final = frozenset({"valid_from", "retrieved_at"})
_CLOCKS: Final = frozenset({"utc_time_from", "utc_time_to"})


class Window(msgspec.Struct, frozen=True):
    """The hours of the week in which a price holds, in UTC; seconds of the day, and a bit for each weekday.

    >>> off_peak = window("10:00", "00:00", "1-5")
    >>> [off_peak.holds(datetime(2026, 11, day, 23, 59, tzinfo=UTC)) for day in (22, 23)]
    [False, True]
    """

    start_s: int
    end_s: int  # not after the start: it runs on over midnight
    weekdays: int  # bit 0 is Monday

    def holds(self, moment: datetime) -> bool:
        """Say whether the price is in force at a moment (UTC)."""
        moment = moment.astimezone(UTC)
        if not self.weekdays >> moment.weekday() & 1:
            return False
        at = moment.hour * 3600 + moment.minute * 60 + moment.second
        if self.start_s < self.end_s:
            return self.start_s <= at < self.end_s
        return at >= self.start_s or at < self.end_s


def window(start: str, end: str, weekdays: str) -> Window | None:
    """Give the hours that the three cells of a row name; None when they name none, ValueError when they cannot be."""
    if not (start or end or weekdays):
        return None
    if bool(start) != bool(end):
        raise ValueError("utc_time_from and utc_time_to go together")
    spans = [part.split("-") for part in weekdays.split(",")] if weekdays else [["1", "7"]]
    days = 0
    for span in spans:
        for day in range(int(span[0]), int(span[-1]) + 1):
            days |= 1 << (day - 1)
    if not days:
        raise ValueError(f"{weekdays!r} names no weekday")
    found = Window(_seconds(start), _seconds(end), days)
    if weekdays and found.end_s and found.end_s <= found.start_s:
        raise ValueError("hours of some weekdays may not run over midnight; write two rows")
    return found


def cells(record: dict[str, str]) -> Iterator[tuple[str, object]]:
    """Yield the values of a row's cells that are not empty; ValueError when one cannot be meant."""
    for name, text in record.items():
        if name is None or text is None:
            raise ValueError("as many cells as columns are needed")
        if not text.strip() or name == "acknowledged":
            continue
        if name in METERS:
            yield name, price(text, name)
        elif name == "provider_name":
            canonical = aliases.provider(text)
            yield name, canonical if canonical in aliases.PROVIDERS else text.strip()
        elif name == "currency":
            if text.strip().upper() != "USD":
                raise ValueError("currency has to be USD; convert the prices of the row")
        elif name in _COUNTS:
            yield name, _count(text)
        elif name in _MOMENTS:
            yield name, _moment(text)
        else:
            yield name, _shaped(name, text.strip())


def price(text: str, meter: str = "input") -> Decimal | None:
    """Read a price in USD per million; None when it is empty, ValueError when it cannot be a price of that meter."""
    if not text.strip():
        return None
    try:
        value = Decimal(text.strip())
    except InvalidOperation:
        raise ValueError(f"{text!r} is not a number") from None
    if not value.is_finite() or value < 0:
        raise ValueError(f"{text!r} is not a price")
    if meter in FEES:
        if value and not _LEAST_PER_MILLION_REQUESTS <= value <= _MOST_PER_MILLION_REQUESTS:
            raise ValueError(f"{short(value)} USD per million requests cannot be: is it per request or per thousand?")
    elif value > _MOST_PER_MILLION_TOKENS:
        raise ValueError(f"{short(value)} USD per million tokens cannot be: is it per token or per thousand?")
    return rounded(value)


def rounded(value: Decimal) -> Decimal:
    """Give a price to the last digit that the prices table holds."""
    exponent = value.as_tuple().exponent
    return round(value, _PLACES) if isinstance(exponent, int) and exponent < -_PLACES else value


def short(value: Decimal) -> str:
    """Write a price without an exponent or needless zeros."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _shaped(name: str, text: str) -> str:
    if name in _CLOCKS and not _CLOCK.match(text):
        raise ValueError(f"{text!r} is not a time of day; write it like 16:30")
    if name == "utc_weekdays" and not _WEEKDAYS.match(text):
        raise ValueError(f"{text!r} names no weekdays; write them like 1-5 or 6,7, Monday being 1")
    return text


def _seconds(clock: str) -> int:
    return int(clock[:2]) * 3600 + int(clock[3:]) * 60 if clock else 0


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise ValueError(f"{text!r} is not a count")
    return value


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text.strip())
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
