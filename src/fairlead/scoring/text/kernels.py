"""The same features in one pass over the bytes, compiled: only where numba is installed."""

from __future__ import annotations

from typing import Any, Final

import numba as nb
import numpy as np

from fairlead.scoring.text import tables
from fairlead.scoring.text.names import BUCKETS, FAMILIES, MARKS, SHARES, SYMBOLS, TEXT_FEATURES, WIDE

__all__ = ["features", "jit", "words"]

Array = np.ndarray[Any, Any]

# One look-up a byte: its class in bits 0-3 and 4-7, folded from bit 8 (0 between words).
_BYTES: Final = np.array(
    [
        kind | kind << 4 | (0 if folded == 32 else folded << 8)
        for kind, folded in zip(tables.CLASS, tables.FOLD, strict=True)
    ],
    np.uint32,
)
# What a word's byte counts for in its hash, by place: two numbers of eight bytes times two constants.
_PLACES: Final = np.array(
    [
        *((tables.FIRST << 8 * place) % 2**64 for place in range(8)),
        *((tables.SECOND << 8 * place) % 2**64 for place in range(8)),
    ],
    np.uint64,
)
_BINS: Final = tables.BINS.astype(np.uint32)  # unsigned, so that an index needs no check of its sign
_EDGES: Final = np.append(tables.GROUPS, len(tables.BINS))
_KEYS: Final = tables.SLOT_KEYS
_USED: Final = tables.SLOT_KEYS != 0  # an eighth of the keys, so that it stays in the cache
_KEY_WORDS: Final = tables.SLOT_WORDS
_FAMILY_OF: Final = np.array(list(tables.KEYWORDS.values()), np.uint8)
_KEYWORDS: Final = len(tables.KEYWORDS)
_REST: Final = np.uint64(tables.JOIN)
_SLOT_SHIFT: Final = np.uint64(tables.SLOT_SHIFT)
_BAG_SHIFT: Final = np.uint64(tables.BAG_SHIFT)
_TABLE_SHIFT: Final = np.uint64(64 - 9)
_TABLE: Final = 1 << 9  # twice MAX_DISTINCT
_MOST: Final = tables.MAX_DISTINCT
_NONE: Final = np.uint64(0)
_LAST: Final = tables.WORD_BYTES
_LINE: Final = np.uint32(2)
_LINE_BEFORE: Final = np.uint32(2 << 4)
_COUNTED: Final = len(MARKS) + len(SYMBOLS)
_BAG_AT: Final = _COUNTED
_FAMILIES: Final = len(FAMILIES)
_FAMILIES_AT: Final = _BAG_AT + BUCKETS
_LENGTHS_AT: Final = _FAMILIES_AT + _FAMILIES
_SHARES: Final = len(SHARES)
_SPACE: Final = list(SHARES).index("space_share")
_SYMBOL: Final = list(SHARES).index("symbol_share")
_SHARES_FROM: Final = _COUNTED + BUCKETS  # among the groups
_SHARES_AT: Final = _LENGTHS_AT + 5
_RATIOS_AT: Final = _SHARES_AT + _SHARES
_WIDTH: Final = len(TEXT_FEATURES)


def features(data: bytes) -> tuple[Array, Array]:
    """Give the features of 1 to MAX_BYTES bytes of UTF-8, and the hashes of its words, as `plain.features` does."""
    out = np.empty(_WIDTH, np.float32)
    codes = np.empty((len(data) >> 1) + 2, np.uint64)
    return out, codes[: _fill(data, tables.LOG1P, out, codes)]


def words(data: bytes) -> Array:
    """Give the hashes of a text's words, in their order: (words,) uint64."""
    return features(data)[1]


def jit(function: Any) -> Any:
    """Compile at the first call, without the interpreter's lock, and keep the result on disk where that can be done."""
    try:
        return nb.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # no folder that a cache could be written to
        return nb.njit(nogil=True)(function)


@jit
def _fill(data: Any, log1p: Any, out: Any, codes: Any) -> Any:
    tally = np.zeros(1024, np.uint32)
    seen = np.zeros(_TABLE, np.uint64)
    bag = np.zeros(BUCKETS, np.uint32)
    size = len(data)
    ids = np.empty(len(codes), np.uint64)
    longest = _count(data, tally)
    found = _hash(data, codes, ids)
    distinct = 0
    for word in range(min(found, _MOST)):
        distinct += _added(ids[word], seen)
    for group in range(_COUNTED):
        count = np.uint32(0)
        for index in range(_EDGES[group], _EDGES[group + 1]):
            count += tally[_BINS[index]]
        out[group] = log1p[count]
    _families(codes, found, bag, log1p, out)
    different = 0
    for byte in range(256):
        different += tally[256 + byte] > 0
    at = _LENGTHS_AT
    out[at] = out[at + 1] = 0.0
    out[at + 2] = log1p[found]
    out[at + 3] = log1p[longest]
    out[at + 4] = log1p[different]
    wordy = 0
    for share in range(_SHARES):
        total = -1 if share == _SPACE else 0  # the line end before the text
        for index in range(_EDGES[_SHARES_FROM + share], _EDGES[_SHARES_FROM + share + 1]):
            total += int(tally[_BINS[index]])
        out[_SHARES_AT + share] = total / size
        if share != _SPACE and share != _SYMBOL:  # noqa: PLR1714
            wordy += total
    last = size - 1
    while last >= 0 and (data[last] == 32 or 9 <= data[last] <= 13):
        last -= 1
    out[_RATIOS_AT] = wordy / max(found, 1)
    out[_RATIOS_AT + 1] = distinct / max(min(found, _MOST), 1)
    out[_RATIOS_AT + 2] = 1.0 if last >= 0 and data[last] == 63 else 0.0
    return found


@jit
def _count(data: Any, tally: Any) -> Any:
    """Count pairs of classes and, behind them, bytes; returns the longest line."""
    before = _LINE_BEFORE
    line_at, longest = 0, 0
    for i in range(len(data)):
        byte = data[i]
        info = _BYTES[byte]
        # In turns into two tables, since adding to one place again and again waits for the last addition.
        copy = np.uint32((i & 1) << 9)
        tally[copy + np.uint32(256) + byte] += np.uint32(1)
        tally[copy + (before | (info & np.uint32(15)))] += np.uint32(1)
        before = info & np.uint32(0xF0)
        if byte == 10:
            longest = max(longest, i - line_at)
            line_at = i + 1
    tally[before | _LINE] += np.uint32(1)
    for index in range(512):
        tally[index] += tally[512 + index]
    return max(longest, len(data) - line_at)


@jit
def _hash(data: Any, codes: Any, ids: Any) -> Any:
    """Hash words: the first WORD_BYTES to `codes`, all of it to `ids`. Returns how many there are."""
    size = len(data)
    found, i = 0, 0
    while i < size:
        byte = data[i]
        info = _BYTES[byte]
        if info < 256:
            i += 1
            continue
        # A word ends before what stands between words, and before and behind a character that is one of its own.
        stop = size if byte < WIDE else min(size, i + (4 if byte >= 0xF0 else 3))
        code, rest, at = _NONE, _NONE, 0
        while True:
            folded = np.uint64(info >> np.uint32(8))
            if at < _LAST:
                code += folded * _PLACES[at]
            else:
                rest = (rest + folded) * _REST
            at += 1
            i += 1
            if i >= stop:
                break
            byte = data[i]
            info = _BYTES[byte]
            if info < 256 or byte >= WIDE:
                break
        codes[found] = code
        ids[found] = code + rest
        found += 1
    return found


@jit
def _added(word: Any, seen: Any) -> Any:
    """Put a word into the set, unless it is there."""
    word = max(word, np.uint64(1))  # 0 is an empty place
    place = np.int64(word >> _TABLE_SHIFT)
    while seen[place] != _NONE:
        if seen[place] == word:
            return 0
        place = (place + 1) & (_TABLE - 1)
    seen[place] = word
    return 1


@jit
def _families(codes: Any, found: Any, bag: Any, log1p: Any, out: Any) -> None:
    """Count the bag of all words, and the different keywords of each family."""
    had = np.zeros(_KEYWORDS, np.uint8)
    families = np.zeros(_FAMILIES, np.uint32)
    for index in range(found):
        code = codes[index]
        bag[code >> _BAG_SHIFT] += np.uint32(1)
        slot = code >> _SLOT_SHIFT
        if _USED[slot] and _KEYS[slot] == code:
            word = _KEY_WORDS[slot]
            families[_FAMILY_OF[word]] += np.uint32(had[word] == 0)
            had[word] = 1
    for family in range(_FAMILIES):
        out[_FAMILIES_AT + family] = log1p[families[family]]
    for bucket in range(BUCKETS):
        out[_BAG_AT + bucket] = log1p[bag[bucket]]
