"""The other workers: what they tell this one, and what it tells them."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Sequence
from math import inf
from typing import Any, Final

import numpy as np

from fairlead.errors import FairleadError
from fairlead.scoring.live.shared import Shared
from fairlead.scoring.live.wire import ENDED, Peer, fingerprint, pack

__all__ = ["Company"]

HEARD_S: Final = 2.0  # news from other machines older than this no longer counts


class Company:
    """This worker's place among others: through shared memory, and through whoever calls `hear`.

    A call may begin at one worker and end at another, as behind a load balancer. The one that sees it end tells the
    call's fingerprint, and the one where it began takes it out.
    """

    def __init__(self, shared: Shared | None) -> None:
        self._shared = shared
        self.told = shared is not None  # whether anybody listens
        self._heard: tuple[float, tuple[Peer, ...]] = (-inf, ())
        self._ended: deque[int] = deque(maxlen=ENDED)
        self._begin()

    def after_fork(self) -> None:
        """Be a worker of one's own in a forked child, with nothing of the parent's."""
        self._begin()
        if self._shared is not None:
            self._shared.leave()

    def _begin(self) -> None:
        self.node = int.from_bytes(os.urandom(8), "little")
        self._heard_of: dict[int, int] = {}
        self._ended.clear()
        self._ended_ever = 0

    def mark(self, endpoint: str, request_id: str | None) -> int:
        """Give what the others know a call by; 0 where it has no id or nobody listens."""
        return fingerprint(endpoint, request_id) if self.told and request_id is not None else 0

    def ended(self, mark: int) -> None:
        """Take note that a call ended here that began elsewhere."""
        if mark:
            self._ended.append(mark)
            self._ended_ever += 1

    def hear(self, peers: Sequence[Peer], now: float) -> None:
        """Take in what workers on other machines told."""
        self._heard = (now, tuple(peers))

    def peers(self, now: float) -> list[Peer]:
        """Give what the others last told; a worker that is heard in two ways is taken from shared memory."""
        peers: dict[int, Peer] = {}
        heard_at, heard = self._heard
        if now < heard_at + HEARD_S:
            peers.update((peer.node, peer) for peer in heard)
        shared = self._shared
        if shared is not None:
            with contextlib.suppress(OSError, ValueError):  # the folder is gone, or was closed just now: go on alone
                peers.update((peer.node, peer) for peer in shared.peers(now))
        peers.pop(self.node, None)
        return list(peers.values())

    def ended_elsewhere(self, peers: Sequence[Peer]) -> set[int]:
        """Give the marks of calls that ended at others since this was last asked."""
        marks: set[int] = set()
        heard_of = {}
        for peer in peers:
            fresh = peer.ended_ever - self._heard_of.get(peer.node, 0)
            heard_of[peer.node] = peer.ended_ever
            if fresh > 0:
                marks.update(peer.ended[-fresh:])
        self._heard_of = heard_of
        return marks

    @property
    def shares(self) -> bool:
        """Whether each change has to be shown at once."""
        return self._shared is not None

    def image(self, hashes: np.ndarray[Any, Any], rows: np.ndarray[Any, Any], now: float) -> bytes:
        """Give the bytes that tell others of this worker's endpoints."""
        return pack(self.node, now, hashes, rows, self._ended, self._ended_ever)

    def show(self, hashes: np.ndarray[Any, Any], rows: np.ndarray[Any, Any], now: float) -> None:
        """Show the other workers of this machine what has changed here."""
        shared = self._shared
        if shared is None:
            return
        try:
            shared.publish(self.image(hashes, rows, now))
        except (OSError, ValueError, FairleadError):
            self._shared = None  # no memory or no slot left: go on alone

    def close(self) -> None:
        """Leave: what this worker holds no longer counts for the others."""
        shared, self._shared = self._shared, None
        if shared is not None:
            shared.leave()
