"""What slots hold, as typed columns: for all lines at once, and only what its reader would read the same way.

A kind of slot is read in its usual spelling alone. Whatever else a line may say in it makes the line not sound, and
the reader is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fairlead.ingest.spans import Slots

__all__ = ["Typed", "read"]

_ID, _UUID, _MOMENT, _COUNT, _NUMBER, _TEXT, _UNREAD = "id", "uuid", "moment", "count", "number", "text", "unread"
# A number that no parser refuses or rounds to infinity, as JSON spells it.
_JSON_NUMBER: Final = r"^-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,30})?([eE][-+]?[0-9]{1,2})?$"
_MOST_LETTERS: Final = 1_024  # of an id
_DIGITS: Final = 10
_MOST: Final = 1_000_000_000
_ZERO, _MINUS, _BACKSLASH = 48, 45, "\\"
_HEX: Final = np.isin(np.arange(256), np.frombuffer(b"0123456789abcdefABCDEF", np.uint8))
_DASHES: Final = (8, 13, 18, 23)
_UUID_LENGTH: Final = 36
_DAY_US, _HOUR_US, _MINUTE_US, _SECOND_US = 86_400_000_000, 3_600_000_000, 60_000_000, 1_000_000
_MICROS: Final = 26  # letters of a time to the microsecond
_ZONES: Final = {19: 0, 26: 0, 25: 6, 32: 6}  # letters of a time, and how many of them say its zone
_EARLIEST, _LATEST = (int(np.datetime64(f"{year}-01-01", "us").astype(np.int64)) for year in (2000, 2100))

Integers = np.ndarray[Any, np.dtype[np.int64]]
Truths = np.ndarray[Any, np.dtype[np.bool_]]


class Typed(NamedTuple):
    """Texts as Arrow columns; counts, and moments in microseconds since 1970, as whole numbers; other numbers."""

    sound: Truths
    values: dict[str, Any]


def read(slots: Slots, kinds: Mapping[str, str]) -> Typed:
    """Read each slot by its kind: `id`, `uuid`, `text` (of any length), `moment`, `count` or `number`.

    What is `unread` is a number as well, but no column needs it.
    """
    sound: Truths = np.ones(len(slots.places), bool)
    values: dict[str, Any] = {}
    for alias, spans in slots.spans.items():
        kind = kinds[alias]
        first, *others = spans
        if kind in (_COUNT, _MOMENT):
            values[alias], good = (_counts if kind == _COUNT else _moments)(slots.data, first.start, first.end)
            for other in others if kind == _COUNT else ():
                again, well = _counts(slots.data, other.start, other.end)
                good &= well & (again == values[alias])
            others = [] if kind == _COUNT else others
            text = slots.cut(first) if others else None
        else:
            text = slots.cut(first)
            values[alias], good = _worded(kind, text, first.end - first.start)
        if kind not in (_NUMBER, _UNREAD) and any(span.number for span in spans):
            good &= _true(pc.match_substring_regex(slots.cut(first), _JSON_NUMBER))
        for other in others:
            good &= _true(pc.equal(slots.cut(other), text))
        sound &= good
    return Typed(sound, values)


def _worded(kind: str, text: pa.Array, lengths: Integers) -> tuple[Any, Truths]:
    if kind == _NUMBER:
        return _numbers(text)
    if kind == _UNREAD:
        return text, _true(pc.match_substring_regex(text, _JSON_NUMBER))
    if kind == _UUID:
        return text, _uuids(text, lengths)
    coded = text.dictionary_encode() if kind == _TEXT else text
    plain = _true(pc.invert(pc.match_substring(coded.dictionary if kind == _TEXT else coded, _BACKSLASH)))
    if kind == _TEXT:
        return coded, plain[coded.indices.to_numpy()] if len(plain) else np.ones(len(text), bool)
    return text, plain & (lengths > 0) & (lengths <= _MOST_LETTERS)


def _numbers(text: pa.Array) -> tuple[Any, Truths]:
    good = pc.match_substring_regex(text, _JSON_NUMBER)
    told = text if pc.all(good).as_py() else pc.if_else(good, text, "0")
    return pc.cast(told, pa.float64()).to_numpy(), _true(good)


def _uuids(text: pa.Array, lengths: Integers) -> Truths:
    if not (lengths == _UUID_LENGTH).all():
        usual = lengths == _UUID_LENGTH
        good: Truths = np.zeros(len(text), bool)
        if usual.any():
            chosen = text.filter(pa.array(usual))
            good[usual] = _uuids(chosen, lengths[usual])
        return good
    letters = np.frombuffer(text.buffers()[2], np.uint8, len(text) * _UUID_LENGTH).reshape(-1, _UUID_LENGTH)
    is_hex = _HEX[letters]
    is_hex[:, _DASHES] = letters[:, _DASHES] == _MINUS
    whole: Truths = np.logical_and.reduce(is_hex, axis=1)
    return whole


def _counts(data: bytes, starts: Integers, ends: Integers) -> tuple[Integers, Truths]:
    """Read whole numbers of tokens as JSON spells them."""
    lengths = ends - starts
    good: Truths = (lengths > 0) & (lengths <= _DIGITS) & (ends >= _DIGITS)
    digits = _letters(data, np.maximum(ends, _DIGITS) - _DIGITS, _DIGITS) - np.uint8(_ZERO)
    values: Integers = np.zeros(len(starts), np.int64)
    for place, row in enumerate(digits):
        told = lengths >= _DIGITS - place
        good &= ~told | (row <= 9)
        values *= 10
        values += np.where(told, row, 0)
    first = np.frombuffer(data, np.uint8)[starts]
    good &= ((first != _ZERO) | (lengths == 1)) & (values <= _MOST)
    return values, good


def _moments(data: bytes, starts: Integers, ends: Integers) -> tuple[Integers, Truths]:
    """Read times like 2026-10-01 00:00:00.123456+00:00, to the second or the microsecond, with a zone or without."""
    lengths = ends - starts
    values: Integers = np.zeros(len(starts), np.int64)
    good: Truths = np.zeros(len(starts), bool)
    for length in np.unique(lengths).tolist():
        if length in _ZONES:
            rows = np.flatnonzero(lengths == length)
            letters = _letters(data, starts[rows], length)
            values[rows], good[rows] = _times(letters, _ZONES[length])
    return values, good & (values >= _EARLIEST) & (values < _LATEST)


def _times(letters: Any, zone: int) -> tuple[Integers, Truths]:
    digits = letters - np.uint8(_ZERO)
    length = len(letters) - zone
    good = ((letters[10] == ord(" ")) | (letters[10] == ord("T"))) & (letters[13] == ord(":"))
    good &= (letters[4] == _MINUS) & (letters[7] == _MINUS) & (letters[16] == ord(":"))

    def number(start: int, end: int) -> Integers:
        nonlocal good
        found = np.zeros(letters.shape[1], np.int32)
        for row in digits[start:end]:
            good = good & (row <= 9)
            found = found * 10 + row
        return found.astype(np.int64)

    year, month, day = number(0, 4), number(5, 7), number(8, 10)
    hour, minute, second = number(11, 13), number(14, 16), number(17, 19)
    good &= (month >= 1) & (month <= 12) & (day >= 1) & (hour <= 23) & (minute <= 59) & (second <= 59)
    months = (year - 1970) * 12 + month - 1
    begins = months.astype("M8[M]").astype("M8[D]").astype(np.int64)
    good &= day <= (months + 1).astype("M8[M]").astype("M8[D]").astype(np.int64) - begins
    values = (begins + day - 1) * _DAY_US + hour * _HOUR_US + minute * _MINUTE_US + second * _SECOND_US
    if length == _MICROS:
        good &= letters[19] == ord(".")
        values += number(20, 26)
    if zone:
        sign, hours, minutes = letters[length], number(length + 1, length + 3), number(length + 4, length + 6)
        good &= ((sign == ord("+")) | (sign == _MINUS)) & (letters[length + 3] == ord(":"))
        good &= (hours <= 23) & (minutes <= 59)
        values -= np.where(sign == _MINUS, -1, 1) * (hours * _HOUR_US + minutes * _MINUTE_US)
    return values, good


def _letters(data: bytes, starts: Integers, length: int) -> Any:
    """Give parts of the same length: a row for each letter's place."""
    windows: Any = np.ndarray((len(data) - length + 1,), f"V{length}", data, strides=(1,))
    return np.ascontiguousarray(windows[starts].view(np.uint8).reshape(-1, length).T)


def _true(found: Any) -> Truths:
    truths: Truths = found.to_numpy(zero_copy_only=False)
    return truths
