"""Where a conversation's prompt is likely to be cached, and who served its last turn."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np

__all__ = ["Warmth"]

_PLACES = 4  # endpoints remembered for each conversation


class Warmth:
    """The prompt caches that our own calls have filled: a bounded memory, the longest unused forgotten first.

    A provider drops a cached prompt some minutes after its last use (5 by default), so that is how long an entry
    lasts. Conversations are kept as 8-byte hashes. Safe to use from several threads.

    >>> warmth = Warmth(cache_s=300, conversations_max=1000, clock=lambda: 0.0)
    >>> warmth.note("c-1", "b", tokens=1200)
    >>> warmth.warm("c-1", ("a", "b")).tolist(), warmth.incumbent("c-1", ("a", "b"))
    ([0.0, 1200.0], 1)
    """

    def __init__(self, cache_s: float, conversations_max: int, clock: Callable[[], float]) -> None:
        self._cache_s, self._most, self._clock = cache_s, conversations_max, clock
        self._kept: OrderedDict[int, tuple[tuple[str, float, float], ...]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def note(self, conversation: str, endpoint: str, tokens: float) -> None:
        """Take note that an endpoint has just served a turn of `tokens` prompt tokens."""
        key, now = _key(conversation), self._clock()
        with self._lock:
            others = tuple(one for one in self._kept.pop(key, ()) if one[0] != endpoint and one[2] > now)
            self._kept[key] = ((endpoint, max(0.0, tokens), now + self._cache_s), *others)[:_PLACES]
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)

    def warm(self, conversation: str, endpoints: Sequence[str]) -> np.ndarray[Any, Any]:
        """Give the prompt tokens that each endpoint is likely to have cached: (K,), 0 where none."""
        tokens = np.zeros(len(endpoints))
        for endpoint, cached, _ in self._of(conversation):
            if endpoint in endpoints:
                tokens[endpoints.index(endpoint)] = cached
        return tokens

    def incumbent(self, conversation: str, endpoints: Sequence[str]) -> int:
        """Give the place of the endpoint that served the last turn; -1 where none is known or it is gone."""
        last = next((endpoint for endpoint, _, _ in self._of(conversation)), None)
        return endpoints.index(last) if last is not None and last in endpoints else -1

    def _of(self, conversation: str) -> tuple[tuple[str, float, float], ...]:
        now = self._clock()
        with self._lock:
            entries = self._kept.get(_key(conversation), ())
        return tuple(one for one in entries if one[2] > now)


def _key(conversation: str) -> int:
    return int.from_bytes(blake2b(conversation.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
