"""The calls that have begun at an endpoint and not ended."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from itertools import count

from msgspec import Struct

__all__ = ["Call", "Calls"]


class Call(Struct):
    """One call in flight."""

    begun_at: float
    tokens: float = 0.0  # what was expected of it, for counting against a limit
    conversation: str | None = None
    mark: int = 0  # what other workers know it by; 0 where there are none


class Calls:
    """Calls in flight, oldest first. One that never ends is dropped at `call_max_s`, so a count cannot leak.

    A call without a request id takes the place of any other without one: the oldest ends first. A request id that
    begins again is the same call, not a second one.

    >>> calls = Calls(call_max_s=600, calls_max=100)
    >>> calls.begin("r-1", Call(begun_at=0.0))
    >>> calls.begin("r-2", Call(begun_at=500.0))
    >>> calls.drop(now=601.0), len(calls)
    (1, 1)
    >>> calls.end("r-1") is None, calls.end("r-2").begun_at
    (True, 500.0)
    """

    __slots__ = ("_nameless", "_numbers", "_open", "call_max_s", "calls_max")

    def __init__(self, call_max_s: float, calls_max: int) -> None:
        self.call_max_s, self.calls_max = call_max_s, calls_max
        self._open: OrderedDict[str | int, Call] = OrderedDict()
        self._nameless: OrderedDict[int, None] = OrderedDict()
        self._numbers = count()

    def __len__(self) -> int:
        return len(self._open)

    def begin(self, request_id: str | None, call: Call) -> None:
        """Take note of a call that begins."""
        key: str | int
        if request_id is None:
            key = next(self._numbers)
            self._nameless[key] = None
        else:
            key = request_id
            self._open.pop(key, None)  # to the end of the line: it begins now
        self._open[key] = call
        if len(self._open) > self.calls_max:
            self._drop_oldest()

    def end(self, request_id: str | None) -> Call | None:
        """Take a call out; None where no such call is in flight."""
        if request_id is not None:
            return self._open.pop(request_id, None)
        if not self._nameless:
            return None
        key, _ = self._nameless.popitem(last=False)
        return self._open.pop(key)

    def end_marked(self, marks: Collection[int]) -> list[Call]:
        """Take out the calls that another worker saw end."""
        found = [key for key, call in self._open.items() if call.mark in marks]
        for key in found:
            if isinstance(key, int):
                del self._nameless[key]
        return [self._open.pop(key) for key in found]

    def drop(self, now: float) -> int:
        """Drop the calls that are too old to be still running; say how many."""
        dropped = 0
        while self._open and next(iter(self._open.values())).begun_at < now - self.call_max_s:
            self._drop_oldest()
            dropped += 1
        return dropped

    def _drop_oldest(self) -> None:
        key, _ = self._open.popitem(last=False)
        if isinstance(key, int):
            del self._nameless[key]
