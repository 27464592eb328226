"""How many calls of the last half minute failed, in constant memory."""

from __future__ import annotations

__all__ = ["Window"]

_PARTS = 10


class Window:
    """Calls and failures of the last `window_s` seconds, in ten parts that are reused in turn.

    >>> window = Window(window_s=30)
    >>> window.add(failed=True, now=0)
    >>> window.add(failed=False, now=20)
    >>> window.totals(20), window.totals(31), window.totals(100)
    ((2, 1), (1, 0), (0, 0))
    """

    __slots__ = ("_calls", "_failed", "_parts", "_width_s")

    def __init__(self, window_s: float) -> None:
        self._width_s = window_s / _PARTS
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._parts, self._calls, self._failed = [-_PARTS] * _PARTS, [0] * _PARTS, [0] * _PARTS

    def add(self, *, failed: bool, now: float) -> None:
        """Count a call that ends now."""
        part = int(now / self._width_s)
        place = part % _PARTS
        if self._parts[place] != part:
            self._parts[place], self._calls[place], self._failed[place] = part, 0, 0
        self._calls[place] += 1
        self._failed[place] += failed

    def totals(self, now: float) -> tuple[int, int]:
        """Give the calls and the failures among them."""
        oldest = int(now / self._width_s) - _PARTS
        places = [place for place, part in enumerate(self._parts) if part > oldest]
        return sum(self._calls[place] for place in places), sum(self._failed[place] for place in places)
