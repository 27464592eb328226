"""What one worker tells the others: bytes that can be read whole or not at all."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from hashlib import blake2b
from math import inf, isfinite, nan
from typing import Any, Final

import numpy as np
from msgspec import Struct

__all__ = ["ENDED", "Peer", "Row", "fingerprint", "pack", "shifted", "unpack"]

Array = np.ndarray[Any, Any]

_MAGIC: Final = b"FLV1"
# magic, endpoints, ended calls that follow, node, ended calls ever, the writer's clock
_HEAD: Final = struct.Struct("<4sHHQQd")
_CHECK: Final = struct.Struct("<I")
ENDED: Final = 64  # ended calls that are told; a reader looks more often than these pass by


class Row:
    """The fields of an endpoint's row, all floats; those of `MOMENTS` are moments of the writer's clock."""

    IN_FLIGHT, TURNS, LATENCY, SEEN_AT, FAILED, CALLS, ERRORS_AT, REQUESTS, TOKENS, USED_AT = range(10)
    SAID, SAID_AT, WAIT_UNTIL, PROBING, VERDICT_ID, VERDICT_AT, EJECTED, UNTIL, TIMES = range(10, 19)
    FIELDS = 19
    MOMENTS = (SEEN_AT, ERRORS_AT, USED_AT, SAID_AT, WAIT_UNTIL, VERDICT_AT, UNTIL)
    NEW = (0, 0, nan, 0, 0, 0, 0, 0, 0, 0, 1, 0, -inf, 0, 0, -inf, 0, -inf, 0)


class Peer(Struct, frozen=True, kw_only=True):
    """What another worker told: `rows` (K, Row.FIELDS) for the endpoints whose names hash to `hashes` (K,).

    `ended` names, by fingerprint, the last calls that ended there but began elsewhere, of `ended_ever` in all.
    """

    node: int
    now: float
    hashes: Array
    rows: Array
    ended: tuple[int, ...]
    ended_ever: int


def fingerprint(*parts: str) -> int:
    """Give eight bytes of a hash as a number, the same in every process.

    >>> fingerprint("azure/gpt-4o", "r-1") == fingerprint("azure/gpt-4o", "r-1")
    True
    """
    joined = "\x1f".join(parts).encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(joined, digest_size=8).digest(), "little")


def pack(node: int, now: float, hashes: Array, rows: Array, ended: Sequence[int], ended_ever: int) -> bytes:
    """Give the bytes that `unpack` reads.

    >>> sent = pack(7, 1.0, np.array([5], np.uint64), np.array([Row.NEW]), ended=[3], ended_ever=1)
    >>> read = unpack(sent)
    >>> read.node, read.ended, read.rows.shape, unpack(sent[:-1]), unpack(b"garbage")
    (7, (3,), (1, 19), None, None)
    """
    body = b"".join(
        (
            _HEAD.pack(_MAGIC, len(hashes), len(ended), node, ended_ever, now),
            hashes.astype("<u8", copy=False).tobytes(),
            rows.astype("<f8", copy=False).tobytes(),
            struct.pack(f"<{len(ended)}Q", *ended),
        )
    )
    return body + _CHECK.pack(zlib.crc32(body))


def unpack(data: bytes) -> Peer | None:
    """Read what another worker told; None for anything torn, foreign or damaged. It is never trusted further."""
    if len(data) < _HEAD.size + _CHECK.size or data[:4] != _MAGIC:
        return None
    _, endpoints, told, node, ended_ever, now = _HEAD.unpack_from(data)
    end = len(data) - _CHECK.size
    if end != _HEAD.size + endpoints * 8 * (1 + Row.FIELDS) + told * 8 or not isfinite(now):
        return None
    if zlib.crc32(data[:end]) != _CHECK.unpack_from(data, end)[0]:
        return None
    hashes = np.frombuffer(data, "<u8", endpoints, _HEAD.size)
    start = _HEAD.size + endpoints * 8
    rows = np.frombuffer(data, "<f8", endpoints * Row.FIELDS, start).reshape(endpoints, Row.FIELDS)
    ended = struct.unpack_from(f"<{told}Q", data, end - told * 8)
    return Peer(node=node, now=now, hashes=hashes, rows=_sane(rows, now), ended=ended, ended_ever=ended_ever)


def shifted(peer: Peer, by_s: float) -> Peer:
    """Put a peer's moments on another clock, which is `by_s` ahead of its own."""
    rows = peer.rows.copy()
    rows[:, Row.MOMENTS] += by_s
    return Peer(
        node=peer.node,
        now=peer.now + by_s,
        hashes=peer.hashes,
        rows=rows,
        ended=peer.ended,
        ended_ever=peer.ended_ever,
    )


def _sane(rows: Array, now: float) -> Array:
    """Bound every field, so that a faulty writer can mislead but never break a reader, nor do so for long."""
    low, high = np.zeros(Row.FIELDS), np.full(Row.FIELDS, 1e12)
    low[[Row.WAIT_UNTIL, Row.VERDICT_AT, Row.UNTIL]] = -inf
    high[list(Row.MOMENTS)] = now
    high[[Row.WAIT_UNTIL, Row.UNTIL]] = now + 3600.0
    high[Row.IN_FLIGHT], high[Row.LATENCY], high[Row.SAID] = 1e6, 1e5, 1.0
    high[Row.TIMES], high[Row.VERDICT_ID] = 100.0, 2.0**53
    bounded: Array = np.clip(rows, low, high)
    broken = np.isnan(bounded)
    broken[:, Row.LATENCY] = False
    if broken.any():
        bounded[broken.any(axis=1)] = Row.NEW
    return bounded
