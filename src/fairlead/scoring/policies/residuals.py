"""What came minus what was expected, remembered by route and endpoint in a fixed amount of memory."""

from __future__ import annotations

import functools
import hashlib
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from fairlead.errors import UsageError

__all__ = ["Residuals"]

Array = np.ndarray[Any, Any]
_DOUBLINGS: Final = 40.0  # how far weights may grow before they are scaled back, as powers of two


class Residuals:
    """Shrunken, fading means of errors in T targets, by (route, endpoint); safe to use from any thread.

    Each mean is a normal posterior: a route's error at an endpoint is drawn to the endpoint's over all routes, and that
    one to zero, each as strongly as `prior` observations. An observation fades by half with `half_life` newer ones of
    its cell and with `half_life_s` seconds. Weights grow with time instead of being decayed (forward decay: Cormode et
    al. 2009), so rewards may come late and in any order, and reading multiplies once.

    Memory is fixed: `routes` rows and `endpoints` columns. A route owns the row that its hash picks; another route with
    that row wears the owner down, one visit against one, and takes over when nothing is left (Misra and Gries 1982), so
    a stream of one-time routes cannot wash out the busy ones. Routes without a row have the endpoint's mean. When
    columns run out, the endpoint with the least evidence gives up its own.
    """

    def __init__(
        self,
        targets: int,
        *,
        routes: int,
        endpoints: int,
        prior: float,
        half_life: float,
        half_life_s: float,
        clock: Callable[[], float],
    ) -> None:
        self._prior, self._keep, self._half_life_s = prior, 2.0 ** (-1.0 / half_life), half_life_s
        self._clock, self._lock = clock, threading.Lock()
        self._most = 2.0 * half_life  # visits that a row's owner can have in hand
        self._sums = np.zeros((routes + 1, endpoints, targets, 2))  # the last row holds all routes; error, weight
        self._cells = self._sums.reshape(-1).data  # the same memory: single numbers are read and set faster
        self._owners = [0] * routes  # 0: nobody's
        self._visits = [0.0] * routes
        self._names = [0] * endpoints
        self._since = clock()  # the moment at which an observation weighs one
        self._columns: dict[int, int] = {}
        self._changes = 0
        self._read: tuple[tuple[str, ...], int, Array, Array | None] = ((), -1, np.zeros(0, dtype=np.int64), None)

    def learn(self, route: str | None, endpoint: str, errors: Sequence[float], waited_s: float = 0.0) -> None:
        """Take in one observation's errors (T,), made `waited_s` seconds ago; NaN where a target was not seen."""
        with self._lock:
            weight = self._weight(self._clock() - max(waited_s, 0.0))
            column, row = self._column(endpoint), self._row(route)
            for place in (-1, row) if row is not None else (-1,):
                self._add(place % len(self._sums), column, errors, weight)

    def means(self, routes: Sequence[str | None] | None, endpoints: tuple[str, ...]) -> tuple[Array, Array]:
        """Give the expected errors and how unsure they are: (n, K, T) for n routes, (1, K, T) where routes are None.

        The second is the posterior's variance as a multiple of one observation's: 1 / `prior` and more where nothing
        was seen.
        """
        distinct = [None] if routes is None else list(dict.fromkeys(routes))
        with self._lock:
            fade = 2.0 ** (-(self._clock() - self._since) / self._half_life_s)
            columns, unseen = self._known(endpoints)
            rows = [self._owned(route) for route in distinct]
            whole = self._sums[-1].take(columns, axis=0)
            if len(rows) == 1:
                own = self._sums[rows[0]].take(columns, axis=0)[None]
            else:
                own = self._sums[np.array(rows, dtype=np.int64)[:, None], columns]
        if unseen is not None:
            whole[unseen], own[:, unseen] = 0.0, 0.0
        if min(rows, default=0) < 0:
            own[[row < 0 for row in rows]] = 0.0
        seen, seen_here = whole[..., 1] * fade + self._prior, own[..., 1] * fade + self._prior
        middle = whole[..., 0] * fade / seen
        shifts: Array = (own[..., 0] * fade + self._prior * middle) / seen_here
        unsure: Array = 1.0 / seen_here + (self._prior / seen_here) ** 2 / seen
        if routes is None or len(distinct) == len(routes):
            return shifts, unsure
        place = {route: index for index, route in enumerate(distinct)}
        at = [place[route] for route in routes]
        return shifts[at], unsure[at]

    def state(self) -> dict[str, Array]:
        """Give what was learned as arrays of fixed size, to be kept over a restart."""
        with self._lock:
            return {
                "sums": self._sums.copy(),
                "owners": np.array(self._owners, dtype=np.uint64),
                "visits": np.array(self._visits, dtype=np.float64),
                "names": np.array(self._names, dtype=np.uint64),
                "since": np.array([self._since]),
            }

    def restore(self, state: Mapping[str, Array]) -> None:
        """Take up a state that `state()` gave; UsageError where it is of another size or not finite."""
        for name, array in self.state().items():
            given = state.get(name)
            if given is None or given.shape != array.shape or given.dtype != array.dtype:
                shape = None if given is None else f"{given.dtype} {given.shape}"
                raise UsageError(f"state: {name} must be {array.dtype} {array.shape}, not {shape}")
            if not np.isfinite(given).all():
                raise UsageError(f"state: {name} holds numbers that are not finite")
        with self._lock:
            self._sums[...] = state["sums"]
            self._owners, self._visits = state["owners"].tolist(), state["visits"].tolist()
            self._names, self._since = state["names"].tolist(), float(state["since"][0])
            self._columns = {name: column for column, name in enumerate(self._names) if name}
            self._changes += 1

    def forget(self, kept: float = 0.0) -> None:
        """Keep this share of the evidence: after a newly trained snapshot, what it learned itself is not owed twice."""
        with self._lock:
            self._sums *= kept

    def _weight(self, at: float) -> float:
        doublings = (at - self._since) / self._half_life_s
        if doublings > _DOUBLINGS:
            self._sums *= 2.0**-doublings
            self._since, doublings = at, 0.0
        return float(2.0 ** max(doublings, -1000.0))

    def _add(self, row: int, column: int, errors: Sequence[float], weight: float) -> None:
        cells, at = self._cells, 2 * len(errors) * (row * len(self._names) + column)
        for error in errors:
            if math.isfinite(error):
                cells[at] = cells[at] * self._keep + weight * error
                cells[at + 1] = cells[at + 1] * self._keep + weight
            at += 2

    def _row(self, route: str | None) -> int | None:
        """Give the route's row, taking it over where the owner has worn out."""
        if route is None or not len(self._owners):
            return None
        key = _hash(route)
        row = key % len(self._owners)
        if self._owners[row] != key:
            self._visits[row] -= 1
            if self._visits[row] > 0:
                return None
            self._owners[row], self._visits[row] = key, 0.0
            self._sums[row] = 0.0
        self._visits[row] = min(self._visits[row] + 1, self._most)
        return row

    def _owned(self, route: str | None) -> int:
        if route is None or not len(self._owners):
            return -1
        key = _hash(route)
        row = key % len(self._owners)
        return row if self._owners[row] == key else -1

    def _column(self, endpoint: str) -> int:
        key = _hash(endpoint)
        column = self._columns.get(key)
        if column is None:
            free = len(self._columns)
            column = free if free < len(self._names) else int(self._sums[-1, :, :, 1].sum(axis=-1).argmin())
            self._columns.pop(self._names[column], None)
            self._sums[:, column] = 0.0
            self._names[column] = key
            self._columns[key] = column
            self._changes += 1
        return column

    def _known(self, endpoints: tuple[str, ...]) -> tuple[Array, Array | None]:
        """Give the columns of the endpoints, and which of them, if any, nothing is known of (their column is 0)."""
        names, changes, columns, unseen = self._read
        if names is not endpoints or changes != self._changes:
            columns = np.array([self._columns.get(_hash(name), -1) for name in endpoints], dtype=np.int64)
            unseen = columns < 0 if (columns < 0).any() else None
            columns = np.maximum(columns, 0)
            self._read = (endpoints, self._changes, columns, unseen)
        return columns, unseen


@functools.lru_cache(maxsize=4096)
def _hash(name: str) -> int:
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") | 1  # 0 is nobody
