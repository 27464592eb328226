"""Limits of keys: through Redis where it answers in time, else this worker's share of them."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from importlib import resources
from typing import Final, TypeVar

from fairlead.serve.exchange import BUDGET_S, Client
from fairlead.serve.security.bucket import Bucket
from fairlead.serve.security.keyfile import Limit

__all__ = ["Limits"]

_SCRIPT: Final = resources.files(__package__).joinpath("limits.lua").read_text(encoding="utf-8")
T = TypeVar("T")
_MOST_BUCKETS: Final = 10_000
_AHEAD_S: Final = 0.02  # of a key's rate that is taken at once
_KEPT_S: Final = 1.0  # that tokens which were taken ahead count


class _Lease:
    """Tokens that were taken ahead, until when they count, and until when there are none to ask for."""

    __slots__ = ("none_until", "tokens", "until")

    def __init__(self) -> None:
        self.tokens, self.until, self.none_until = 0, 0.0, 0.0

    def take(self, now: float) -> float | None:
        """Give 0.0 where a token was left, the seconds to wait where there can be none yet, None where to ask."""
        if self.tokens and now < self.until:
            self.tokens -= 1
            return 0.0
        return self.none_until - now if now < self.none_until else None


class Limits:
    """Counts what keys ask. A limiter that cannot ask Redis neither opens nor closes: it gives out its own share.

    `client` is `fairlead.serve.connect(url, budget_s)`, which gives up in time; after one slow or failed call Redis is
    left alone for `pause_s`. It is asked for what a key may use in 20 ms at once, and not again before the wait it gave
    is over, so a busy key does not cost a question a call; what is not used within a second is lost to the key.
    `workers` tells how many share a limit when each counts alone; no share is under one call.

    >>> limits = Limits(workers=lambda: 2)
    >>> limit = Limit(rate_per_s=1, burst=4)
    >>> [limits.take("a", limit, now=0.0) > 0 for _ in range(3)]
    [False, False, True]
    """

    def __init__(
        self,
        *,
        workers: Callable[[], int] = lambda: 1,
        client: Client | None = None,
        group: str = "default",
        budget_s: float = BUDGET_S,
        pause_s: float = 1.0,
    ) -> None:
        self._workers, self._client, self._group = workers, client, group
        self._budget_s, self._pause_s = budget_s, pause_s
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()
        self._leases: OrderedDict[str, _Lease] = OrderedDict()
        self._lock = threading.Lock()
        self._resume_at = -math.inf
        self.failure: str | None = None  # why the last call was counted here and not in Redis
        self.shared = self.local = self.failures = 0

    def take(self, key_id: str, limit: Limit, now: float | None = None) -> float:
        """Take one call of a key; give 0.0 where it may go on, else the seconds to wait."""
        moment = time.monotonic() if now is None else now
        if self._client is not None and moment >= self._resume_at:
            waited_s = self._ask(self._client, key_id, limit)
            if waited_s is not None:
                return waited_s
        with self._lock:
            self.local += 1
            return self._bucket(key_id, limit, moment).take(moment)

    def _ask(self, client: Client, key_id: str, limit: Limit) -> float | None:
        began = time.monotonic()
        with self._lock:
            lease = _kept(self._leases, key_id, _Lease)
            waited_s = lease.take(began)
        if waited_s is not None:
            return waited_s
        wanted = max(1, min(int(limit.rate_per_s * _AHEAD_S), limit.burst // 10))
        try:
            name = f"fairlead:limit:1:{self._group}:{key_id}"
            taken, wait_ms = map(int, client.eval(_SCRIPT, 1, name, repr(limit.rate_per_s), limit.burst, wanted))
            # Who got less than it wanted lets it gather: else a key at its limit would ask for every token.
            wait_s = max(wait_ms / 1000, _AHEAD_S if taken < wanted > 1 else 0.0)
            lease.tokens, lease.until, lease.none_until = max(0, taken - 1), began + _KEPT_S, began + wait_s
        except Exception as fault:  # whatever a client raises, the call is counted here
            self._rest(f"{type(fault).__name__}: {fault}")
            return None
        taken_s = time.monotonic() - began
        if taken_s > self._budget_s:  # an answer, but a late one: it counts, and the next calls do not wait for another
            self._rest(f"took {taken_s * 1000:.0f} ms of {self._budget_s * 1000:.0f}")
        else:
            self.failure = None
        self.shared += 1
        return 0.0 if taken else wait_s

    def _rest(self, why: str) -> None:
        self.failure, self.failures = why, self.failures + 1
        self._resume_at = time.monotonic() + self._pause_s

    def _bucket(self, key_id: str, limit: Limit, now: float) -> Bucket:
        workers = max(1, self._workers())
        rate, burst = limit.rate_per_s / workers, max(1.0, limit.burst / workers)
        bucket = _kept(self._buckets, key_id, lambda: Bucket(rate, burst, now))
        bucket.change(rate, burst)
        return bucket


def _kept(table: OrderedDict[str, T], key_id: str, make: Callable[[], T]) -> T:
    """Give what is kept for a key, made where nothing is; the keys that were used longest ago are forgotten."""
    found = table.pop(key_id, None)
    if found is None:
        found = make()
        if len(table) >= _MOST_BUCKETS:
            table.popitem(last=False)
    table[key_id] = found
    return found
