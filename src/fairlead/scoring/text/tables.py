"""The names of features as tables of numbers, which numpy and numba read alike.

A word is its first 16 bytes as two numbers, times two odd constants, modulo 2**64 (Knuth's multiplicative hashing): its
top bits are the good ones. A pair of neighbouring words is hashed from its two hashes. `FIRST` and `SECOND` were
searched so that no two keywords share a slot.

>>> code("what") >> SLOT_SHIFT, code("longer-than-that-one") == code("longer-than-that")
(2168, True)
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from fairlead.scoring.text.names import BUCKETS, CLASSES, FAMILIES, MARKS, SHARES, SYMBOLS

__all__ = ["CLASS", "FOLD", "GROUPS", "LOG1P", "MAX_BYTES", "code"]

Array = np.ndarray[Any, Any]

MAX_BYTES: Final = 65_536  # beyond this only the length is counted: a decision's time must be bounded
MAX_DISTINCT: Final = 256  # distinct words are counted among the first so many: their share would fall with length
WORD_BYTES: Final = 16
FIRST: Final = 0x91B7584A2265B1F5
SECOND: Final = 0xCD613E30D8F16ADF
JOIN: Final = 0x1027C4D1C386BBC5
SLOT_BITS: Final = 13
SLOT_SHIFT: Final = 64 - SLOT_BITS
BAG_SHIFT: Final = 64 - 5

_ORDER: Final = {name: index for index, name in enumerate(CLASSES)}


def code(word: str) -> int:
    """Hash a word as the words of texts are hashed: 64 bits."""
    folded = word.encode().translate(FOLD)[:WORD_BYTES].ljust(WORD_BYTES, b"\0")
    first, second = int.from_bytes(folded[:8], "little"), int.from_bytes(folded[8:], "little")
    return (first * FIRST + second * SECOND) % 2**64


def _fold() -> bytes:
    """Letters in lower case, digits and foreign bytes as they are, a space for what stands between words."""
    kept = b"".join(CLASSES[name] for name in ("digit", "lower", "upper", "foreign", "wide"))
    return bytes(byte if byte in kept else 32 for byte in range(256)).lower()


def _class() -> bytes:
    table = bytearray(256)
    for name, members in CLASSES.items():
        for byte in members:
            table[byte] = _ORDER[name]
    return bytes(table)


def _groups() -> tuple[Array, Array]:
    """Give what is summed: bins of (256 pairs of classes, 256 bytes, BUCKETS), and where each feature's bins start."""
    bins, starts = list[int](), list[int]()

    def count(before: str, after: str) -> None:
        bins.extend(_ORDER[first] * 16 + _ORDER[then] for first in before.split() for then in after.split())

    for rules in MARKS.values():
        starts.append(len(bins))
        for before, after in rules:
            count(before, after)
    for bin_of in (*(256 + symbol for symbol in SYMBOLS.encode()), *range(512, 512 + BUCKETS)):
        starts.append(len(bins))
        bins.append(bin_of)
    for classes in SHARES.values():
        starts.append(len(bins))
        count(classes, " ".join(CLASSES))  # the first of a pair: all bytes, and the line end before them
    return np.array(bins, np.intp), np.array(starts, np.intp)


def _slots() -> tuple[Array, Array]:
    """Give the hash of the keyword in each slot, 0 for none, and which keyword it is."""
    keys, which = np.zeros(1 << SLOT_BITS, np.uint64), np.zeros(1 << SLOT_BITS, np.uint16)
    for index, word in enumerate(KEYWORDS):
        keys[code(word.decode()) >> SLOT_SHIFT], which[code(word.decode()) >> SLOT_SHIFT] = code(word.decode()), index
    return keys, which


FOLD: Final = _fold()
CLASS: Final = _class()
CLASS_BEFORE: Final = bytes(16 * kind for kind in CLASS)
BINS, GROUPS = _groups()
KEYWORDS: Final = {word.encode(): family for family, words in enumerate(FAMILIES.values()) for word in words.split()}
SLOT_KEYS, SLOT_WORDS = _slots()
LOG1P: Final = np.log1p(np.arange(MAX_BYTES + 4)).astype(np.float32)  # one table, so that both ways round alike
