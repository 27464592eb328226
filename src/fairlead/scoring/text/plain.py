"""The features of a text with numpy and the standard library alone: always there, and what numba is tested against."""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Any, Final

import numpy as np

from fairlead.scoring.text import tables
from fairlead.scoring.text.names import BUCKETS, FAMILIES, MARKS, SYMBOLS, TEXT_FEATURES, WIDE

__all__ = ["features", "words"]

Array = np.ndarray[Any, Any]

_SUMS: Final = len(MARKS) + len(SYMBOLS) + BUCKETS
_LENGTHS_AT: Final = _SUMS + len(FAMILIES)
_WIDTH: Final = len(TEXT_FEATURES)
_FAMILY_AT: Final = {word: _SUMS + family for word, family in tables.KEYWORDS.items()}
_LOGS: Final = tables.LOG1P[: len(tables.KEYWORDS) + 1].tolist()
_FACTORS: Final = np.array([tables.FIRST, tables.SECOND], np.uint64)
_BAG_SHIFT: Final = np.uint64(tables.BAG_SHIFT)
_KEYWORDS: Final = frozenset(tables.KEYWORDS)
_BLOCK: Final = 256  # words packed at a time


def features(data: bytes) -> tuple[Array, Array]:
    """Give the features of 1 to MAX_BYTES bytes of UTF-8, and the hashes of its words.

    The first is float32, one value for each name in TEXT_FEATURES; the two lengths at its start are left to the caller.
    The second is uint64, in the order of the text.
    """
    size, around = len(data), b"\n" + data + b"\n"
    before, after = around.translate(tables.CLASS_BEFORE), around.translate(tables.CLASS)
    raw = np.frombuffer(before + after + data, np.uint8)
    bytes_of = np.bincount(raw[2 * size + 4 :], None, 256)
    pairs = np.bincount(raw[: size + 1] + raw[size + 3 : 2 * size + 4], None, 256)
    split = _split(data)
    codes = _hashed(split)
    bag = np.bincount((codes >> _BAG_SHIFT).view(np.intp), None, BUCKETS)
    sums = np.add.reduceat(np.concatenate((pairs, bytes_of, bag)).take(tables.BINS), tables.GROUPS)

    out = np.zeros(_WIDTH, np.float32)
    tables.LOG1P.take(sums[:_SUMS], out=out[:_SUMS], mode="clip")
    different = set(split if len(split) <= tables.MAX_DISTINCT else split[: tables.MAX_DISTINCT])
    families = dict[int, int]()
    for word in _KEYWORDS & different if len(split) <= tables.MAX_DISTINCT else _KEYWORDS.intersection(split):
        at = _FAMILY_AT[word]
        families[at] = families.get(at, 0) + 1
    for at, count in families.items():
        out[at] = _LOGS[count]
    digits, lower, upper, space, foreign, wide, symbols = sums[_SUMS:].tolist()
    out[_LENGTHS_AT:] = (
        0,
        0,
        tables.LOG1P[len(split)],
        tables.LOG1P[max(map(len, data.split(b"\n")))],
        tables.LOG1P[np.count_nonzero(bytes_of)],
        digits / size,
        lower / size,
        upper / size,
        (space - 1) / size,
        foreign / size,
        wide / size,
        symbols / size,
        (digits + lower + upper + foreign + wide) / max(len(split), 1),
        len(different) / max(min(len(split), tables.MAX_DISTINCT), 1),
        data.rstrip()[-1:] == b"?",
    )
    return out, codes


def words(data: bytes) -> Array:
    """Give the hashes of a text's words, in their order: (words,) uint64.

    >>> [int(code) == tables.code(word) for code, word in zip(words(b"Hi you"), ["hi", "you"])]
    [True, True]
    """
    return _hashed(_split(data))


def _split(data: bytes) -> list[bytes]:
    """Cut folded text into words, around the characters that are words of their own too."""
    folded = data.translate(tables.FOLD)
    if data.isascii():
        return folded.split()
    raw = np.frombuffer(folded, np.uint8)
    lead = raw >= WIDE
    if not lead.any():
        return folded.split()
    cut = np.zeros(len(raw) + 4, np.bool_)
    cut[: len(raw)] = lead
    cut[3:-1] |= lead & (raw < 0xF0)
    cut[4:] |= lead & (raw >= 0xF0)
    return np.insert(raw, cut[: len(raw)].nonzero()[0], 32).tobytes().split()


def _hashed(split: list[bytes]) -> Array:
    if len(split) > _BLOCK:
        return np.concatenate([_hashed(split[at : at + _BLOCK]) for at in range(0, len(split), _BLOCK)])
    packed = np.frombuffer(_packer(len(split)).pack(*split), "<u8")
    hashes: Array = packed.reshape(-1, 2).dot(_FACTORS)
    return hashes


@lru_cache(_BLOCK + 1)
def _packer(number: int) -> struct.Struct:
    """Give what lays so many words side by side, each cut or filled to WORD_BYTES."""
    return struct.Struct(f"{tables.WORD_BYTES}s" * number)
