"""From what sources write to what the tables hold: money, moments, numbers, labels."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import msgspec

from fairlead.ingest.quarantine import (
    DUPLICATE_KEY,
    MISSING_FIELD,
    NAN_OR_INFINITY,
    OUT_OF_RANGE,
    WRONG_TYPE,
    BadRecordError,
)
from fairlead.ingest.repeats import repeated

__all__ = ["integer", "jsoned", "moment", "number", "required", "text", "usd"]

_USD_STEP: Final = Decimal("1e-12")
_USD_LIMIT: Final = Decimal(1_000_000)
_PER_S: Final = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(2100, 1, 1, tzinfo=UTC)


def text(value: Any) -> str | None:
    """Give a name or an id; an empty one is none."""
    if type(value) is str:
        if "\0" in value:  # what C programs and some databases take for the end of a text
            raise BadRecordError(OUT_OF_RANGE, "a name or an id with a NUL character")
        return value or None
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise BadRecordError(WRONG_TYPE, f"expected text, got {type(value).__name__}")
    return str(value)


def number(value: Any, name: str) -> float | None:
    """Give a finite number, from a number or its text."""
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float, str, Decimal)):
        raise BadRecordError(WRONG_TYPE, f"{name}: expected a number, got {type(value).__name__}")
    try:
        found = float(value)
    except ValueError:
        raise BadRecordError(WRONG_TYPE, f"{name}: expected a number") from None
    except OverflowError:
        raise BadRecordError(OUT_OF_RANGE, name) from None
    if not math.isfinite(found):
        raise BadRecordError(NAN_OR_INFINITY, name)
    return found


def integer(value: Any, name: str) -> int | None:
    """Give a whole number, from a number or its text."""
    if value is None or value == "":
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    found = number(value, name)
    if found is None or found != int(found):
        raise BadRecordError(WRONG_TYPE, f"{name}: expected a whole number")
    return int(found)


def usd(value: Any, name: str, *, credit: bool = False) -> Decimal | None:
    """Give an amount of dollars to a millionth of a millionth; only a bill that credits may hold one below 0."""
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float, str, Decimal)):
        raise BadRecordError(WRONG_TYPE, f"{name}: expected an amount, got {type(value).__name__}")
    try:
        amount = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    except (InvalidOperation, ValueError):
        raise BadRecordError(WRONG_TYPE, f"{name}: expected an amount") from None
    if not amount.is_finite():
        raise BadRecordError(NAN_OR_INFINITY, name)
    if abs(amount) >= _USD_LIMIT:
        raise BadRecordError(OUT_OF_RANGE, f"{name}: a million dollars or more")
    if amount < 0 and not credit:
        raise BadRecordError(OUT_OF_RANGE, f"{name}: below 0")
    return amount.quantize(_USD_STEP)


def moment(value: Any, name: str, unit: str = "s") -> datetime | None:
    """Give a moment in UTC from a number since 1970 in the given unit (s, ms, us, ns) or ISO 8601.

    A time without a zone is UTC.
    """
    if value is None or value == "":
        return None
    try:
        if isinstance(value, datetime):
            found = value
        elif isinstance(value, str):
            found = datetime.fromisoformat(value.strip())
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            return _within(_since_1970(value, unit), name)
        else:
            raise BadRecordError(WRONG_TYPE, f"{name}: expected a time, got {type(value).__name__}")
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (OverflowError, OSError) as fault:
        raise BadRecordError(OUT_OF_RANGE, name) from fault
    except ValueError as fault:
        far = isinstance(value, (int, float))
        raise BadRecordError(OUT_OF_RANGE if far else WRONG_TYPE, f"{name}: not a time") from fault
    return _within(found, name)


def _since_1970(value: float, unit: str) -> datetime:
    # Whole numbers stay whole: a nanosecond count has more digits than a float holds.
    ticks = value * 1_000_000 // _PER_S[unit] if isinstance(value, int) else round(value / _PER_S[unit] * 1_000_000)
    return _EPOCH + timedelta(microseconds=ticks)


def required(value: Any, name: str) -> Any:
    """Give the value, or refuse the record that has none."""
    if value is None:
        raise BadRecordError(MISSING_FIELD, name)
    return value


def jsoned(value: Any, name: str) -> Any:
    """Give what a text of JSON says; anything that is not text is given as it is."""
    if not isinstance(value, str):
        return value
    if not value or value == "null":
        return None
    try:
        found = msgspec.json.decode(value)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise BadRecordError(WRONG_TYPE, f"{name}: expected JSON in text") from None
    if isinstance(found, (dict, list)) and repeated(value, found):
        raise BadRecordError(DUPLICATE_KEY, name)
    return found


def _within(found: datetime, name: str) -> datetime:
    # A clock that is off by decades would scatter the lake over partitions that nobody looks at.
    if not _EARLIEST <= found < _LATEST:
        raise BadRecordError(OUT_OF_RANGE, f"{name}: not in this century")
    return found
