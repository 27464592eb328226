"""What the other workers know, brought together for each endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, nan
from typing import Any

import numpy as np
from msgspec import Struct

from fairlead.scoring.live.headroom import MINUTE_S
from fairlead.scoring.live.health import HEALTHY, Verdict
from fairlead.scoring.live.settings import Settings
from fairlead.scoring.live.wire import Peer, Row

__all__ = ["ALONE", "Others", "combine"]

Array = np.ndarray[Any, Any]


class Others(Struct, frozen=True):
    """What the other workers together know of one endpoint."""

    in_flight: float = 0.0
    turns: float = 0.0
    latency_s: float = nan
    failed: float = 0.0
    calls: float = 0.0
    requests: float = 0.0  # of the last minute, as the next
    tokens: float = 0.0
    headroom: float = 1.0
    wait_until: float = -inf
    probing: bool = False
    verdict: Verdict = HEALTHY  # the newest of theirs


ALONE = Others()
_SUMMED = Others.__struct_fields__[:-2]


def combine(peers: Sequence[Peer], hashes: Array, settings: Settings, now: float) -> list[Others]:
    """Give for each endpoint, by the hash of its name, what all peers together know.

    Counts are added up. Latency is the highest, which is what one worker that saw all calls would hold: it jumps to
    the slowest. Peers may know other endpoints than we do.
    """
    if not peers:
        return [ALONE] * len(hashes)
    rows = np.stack([_aligned(peer, hashes) for peer in peers])  # (peers, K, fields)
    since = np.maximum(0.0, now - rows[..., Row.SEEN_AT])
    with np.errstate(under="ignore"):
        kept = np.exp(-since / settings.decay_s)
        used = np.exp(-np.maximum(0.0, now - rows[..., Row.USED_AT]) / MINUTE_S)
        errors = np.exp(-np.maximum(0.0, now - rows[..., Row.ERRORS_AT]) / settings.decay_s)
    refilled = rows[..., Row.SAID] + np.maximum(0.0, now - rows[..., Row.SAID_AT]) / MINUTE_S
    together = np.stack(
        [
            rows[..., Row.IN_FLIGHT].sum(0),
            rows[..., Row.TURNS].sum(0),
            np.fmax.reduce(rows[..., Row.LATENCY] * kept, axis=0),
            (rows[..., Row.FAILED] * errors).sum(0),
            (rows[..., Row.CALLS] * errors).sum(0),
            (rows[..., Row.REQUESTS] * used).sum(0),
            (rows[..., Row.TOKENS] * used).sum(0),
            np.minimum(1.0, refilled.min(0)),
            rows[..., Row.WAIT_UNTIL].max(0),
        ],
        axis=1,
    )
    newest: Array = rows[rows[..., Row.VERDICT_AT].argmax(0), np.arange(len(hashes))]
    probing: Array = np.asarray((rows[..., Row.PROBING] > 0).any(0))
    return [
        Others(**dict(zip(_SUMMED, numbers, strict=True)), probing=probed, verdict=_verdict(row))
        for numbers, probed, row in zip(together.tolist(), probing.tolist(), newest.tolist(), strict=True)
    ]


def _aligned(peer: Peer, hashes: Array) -> Array:
    """Put a peer's rows into our order; what it does not know is as good as new."""
    if np.array_equal(peer.hashes, hashes):
        return peer.rows
    places = {name: place for place, name in enumerate(peer.hashes.tolist())}
    found = [places.get(name, -1) for name in hashes.tolist()]
    rows = np.broadcast_to(np.array(Row.NEW), (len(found), Row.FIELDS)).copy()
    known = np.array(found) >= 0
    rows[known] = peer.rows[np.array(found)[known]]
    return rows


def _verdict(row: list[float]) -> Verdict:
    if row[Row.VERDICT_ID] == 0:
        return HEALTHY
    return Verdict(
        id=int(row[Row.VERDICT_ID]),
        at=row[Row.VERDICT_AT],
        ejected=row[Row.EJECTED] > 0,
        until=row[Row.UNTIL],
        times=int(row[Row.TIMES]),
    )
