"""How a figure is written: money, shares, counts and times, with "no data" where there is none.

>>> money(0.000012), money(1234567.4), money(None)
('$0.000012', '$1,234,567', 'no data')
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable
from datetime import date, datetime
from typing import Final

__all__ = [
    "NO_DATA",
    "bracket",
    "count",
    "day",
    "decimals",
    "moment",
    "money",
    "plain",
    "points",
    "score",
    "seconds",
    "share",
    "short",
    "signed",
    "signed_share",
    "visible",
]

NO_DATA: Final = "no data"
_SPACE: Final = "\u202f"  # narrow and unbreakable, between a number and its unit
_UNITS: Final = ((1e3, "k"), (1e6, "M"), (1e9, "bn"), (1e12, "tn"))
_UNSEEN: Final = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def decimals(values: Iterable[float | None]) -> int:
    """Tell how many decimals a column of money needs, so that its numbers align and its largest keeps three digits.

    >>> decimals([12345.6, 0.02]), decimals([3.2, None]), decimals([0.00123]), decimals([])
    (0, 2, 5, 2)
    """
    largest = max((abs(value) for value in map(_known, values) if value is not None), default=0.0)
    if largest >= 10_000:
        return 0
    if largest >= 0.995 or largest == 0:
        return 2
    return min(12, 2 - math.floor(math.log10(largest)))


def money(value: float | None, places: int | None = None) -> str:
    """Write dollars; with no `places`, with as many digits as that amount deserves.

    >>> money(-12.5), money(999.99), money(0.004), money(0), money(0.001, 2)
    ('−$12.50', '$999.99', '$0.004', '$0', '<$0.01')
    """
    known = _known(value)
    if known is None:
        return NO_DATA
    size, sign = abs(known), "−" if known < 0 else ""
    if places is not None:
        smallest = 10.0**-places
        hidden = 0 < size < smallest / 2
        return f"{sign}<${smallest:.{places}f}" if hidden else f"{sign}${size:,.{places}f}"
    if size == 0 or size >= 1000:
        return f"{sign}${size:,.0f}"
    if size >= 0.995:
        return f"{sign}${size:.2f}"
    digits = min(15, 1 - math.floor(math.log10(size)))  # two that count
    text = f"{sign}${size:.{digits}f}"
    return text if digits <= 2 else text.rstrip("0")


def count(value: float | None) -> str:
    """Write a whole number.

    >>> count(1234567), count(None)
    ('1,234,567', 'no data')
    """
    known = _known(value)
    return NO_DATA if known is None else f"{known:,.0f}".replace("-", "−")


def short(value: float | None) -> str:
    """Write a large number to three digits.

    >>> short(812), short(596_400), short(3_500_000), short(45_600_000_000)
    ('812', '596\\u202fk', '3.50\\u202fM', '45.6\\u202fbn')
    """
    known = _known(value)
    if known is None or abs(known) < 99_950:
        return count(known)
    size, unit = next((size, unit) for size, unit in _UNITS if abs(known) < 999.5 * size or unit == "tn")
    places = max(0, 2 - math.floor(math.log10(abs(known) / size * 1.0005)))
    return f"{known / size:,.{places}f}{_SPACE}{unit}".replace("-", "−")


def share(value: float | None, places: int | None = None) -> str:
    """Write a share as a percentage; with no `places`, with one decimal below ten percent.

    >>> share(0.3812), share(0.0312), share(0.0004), share(None)
    ('38\\u202f%', '3.1\\u202f%', '0.04\\u202f%', 'no data')
    """
    known = _known(value)
    if known is None:
        return NO_DATA
    if places is None:
        places = 0 if abs(known) >= 0.0995 or known == 0 else 1 if abs(known) >= 0.00095 else 2
    return f"{known * 100:.{places}f}{_SPACE}%".replace("-", "−")


def signed_share(value: float | None) -> str:
    """Write a change as a percentage with its sign, one decimal throughout.

    >>> signed_share(0.3812), signed_share(-0.02)
    ('+38.1\\u202f%', '−2.0\\u202f%')
    """
    return NO_DATA if _known(value) is None else f"{points(value)}{_SPACE}%"


def points(value: float | None) -> str:
    """Write a difference of two scores in points of a hundred, with its sign.

    >>> points(-0.0123), points(0.0), points(None)
    ('−1.2', '0.0', 'no data')
    """
    known = _known(value)
    if known is None:
        return NO_DATA
    rounded = round(known * 100, 1)
    return "0.0" if rounded == 0 else f"{rounded:+.1f}".replace("-", "−")


def plain(value: float | None, places: int) -> str:
    """Write a number with that many decimals.

    >>> plain(-1234.56, 1)
    '−1,234.6'
    """
    known = _known(value)
    return NO_DATA if known is None else f"{known:,.{places}f}".replace("-", "−")


def signed(value: float | None) -> str:
    """Write a number with its sign and one decimal.

    >>> signed(3.14), signed(-0.02)
    ('+3.1', '0.0')
    """
    return points(None if value is None else value / 100)


def score(value: float | None) -> str:
    """Write a quality score out of a hundred.

    >>> score(0.8123)
    '81.2'
    """
    known = _known(value)
    return NO_DATA if known is None else f"{known * 100:.1f}".replace("-", "−")


def seconds(value: float | None) -> str:
    """Write a span of time.

    >>> seconds(0.0312), seconds(1.234), seconds(75), seconds(7200)
    ('31\\u202fms', '1.23\\u202fs', '75.0\\u202fs', '2.0\\u202fh')
    """
    known = _known(value)
    if known is None:
        return NO_DATA
    for limit, factor, places, unit in (
        (0.9995, 1000, 0, "ms"),
        (9.995, 1, 2, "s"),
        (600, 1, 1, "s"),
        (7200, 1 / 60, 0, "min"),
    ):
        if known < limit:
            return f"{known * factor:.{places}f}{_SPACE}{unit}"
    return f"{known / 3600:.1f}{_SPACE}h" if known < 172_800 else f"{known / 86_400:.0f}{_SPACE}days"


def bracket(low: float | None, high: float | None, scale: float = 100, places: int = 0) -> str:
    """Write an interval the short way, its unit being said beside it; empty when it is not known.

    >>> bracket(0.312, 0.441), bracket(-0.001, 0.02), bracket(None, 1)
    ('[31, 44]', '[0, 2]', '')
    """
    ends = [end for end in (_known(low), _known(high)) if end is not None]
    if len(ends) < 2:
        return ""
    # Adding 0.0 turns a rounded -0.0 into 0.0.
    return "[" + ", ".join(plain(round(end * scale, places) + 0.0, places) for end in ends) + "]"


def day(value: date) -> str:
    """Write a day.

    >>> day(date(2026, 11, 2))
    '2 November 2026'
    """
    return f"{value.day} {value:%B %Y}"


def moment(value: datetime | None) -> str:
    """Write a moment in UTC, to the minute, as such.

    >>> from datetime import UTC
    >>> moment(datetime(2026, 11, 2, 3, 4, tzinfo=UTC))
    '2 Nov 2026, 03:04 UTC'
    """
    return NO_DATA if value is None else f"{value.day} {value:%b %Y, %H:%M} UTC"


def visible(text: object, limit: int = 64) -> str:
    """Show a name from a log so that nothing in it can hide: controls and direction marks as escapes, the middle cut.

    The chart renderer aborts the whole process on a character that XML forbids, so every name passes here first.

    >>> visible("gpt\\x1b[31m\\u202eevil"), visible("a" * 100, limit=9)
    ('gpt\\\\u001b[31m\\\\u202eevil', 'aaaa…aaaa')
    """
    raw = str(text)
    if len(raw) > limit:
        half = (limit - 1) // 2
        raw = f"{raw[:half]}…{raw[-half:]}"
    return "".join(f"\\u{ord(char):04x}" if unicodedata.category(char) in _UNSEEN else char for char in raw)


def _known(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value
