"""Spans and moments in the units that clouds write them in.

>>> seconds(420, "durationMs"), seconds(-1, "durationMs"), ticks(638481757794854611, "requestTime").isoformat()
(0.42, None, '2024-04-08T12:22:59.485461+00:00')
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from fairlead.ingest import values

__all__ = ["seconds", "ticks"]

_UNKNOWN: Final = (0, -1)
_TICKS_OF_1970: Final = 621_355_968_000_000_000
_TICKS_A_US: Final = 10


def seconds(value: Any, name: str, per_s: int = 1000) -> float | None:
    """Give how long something took, from milliseconds or what `per_s` says; 0 and -1 stand for not known."""
    span = values.number(value, name)
    return None if span is None or span in _UNKNOWN else span / per_s


def ticks(value: Any, name: str) -> datetime | None:
    """Give a moment from .NET ticks (100 ns since the year 1) or, where it is none, as any other moment."""
    count = int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value
    if isinstance(count, int) and not isinstance(count, bool) and count > _TICKS_OF_1970:
        return values.moment((count - _TICKS_OF_1970) // _TICKS_A_US, name, "us")
    return values.moment(value, name)
