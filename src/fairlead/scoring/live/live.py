"""The state of all endpoints now: `view()` before a decision, `begin()` after it, `end()` with its outcome."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from math import inf
from typing import Any

import numpy as np

from fairlead.scoring.live.calls import Call
from fairlead.scoring.live.company import Company
from fairlead.scoring.live.endpoint import Endpoint
from fairlead.scoring.live.peers import ALONE, Others, combine
from fairlead.scoring.live.published import ADMITTED, AVAILABLE, IN_FLIGHT, TURNS, aligned, arrays, as_view, changed
from fairlead.scoring.live.settings import Settings
from fairlead.scoring.live.shared import Shared
from fairlead.scoring.live.warmth import Warmth
from fairlead.scoring.live.wire import Peer, Row, fingerprint
from fairlead.scoring.outcome import Outcome
from fairlead.scoring.view import View

__all__ = ["Live"]

Array = np.ndarray[Any, Any]


class Live:
    """What is in flight, how slow, how faulty and how full each endpoint is; safe to use from several threads.

    `shared` joins the workers of one machine. `clock` gives seconds that never go back. None of `view`, `begin` and
    `end` raises or waits for anything but a lock that is held for microseconds.

    >>> now = [0.0]
    >>> live = Live(["a", "b"], clock=lambda: now[0])
    >>> live.begin(1, request_id="r-1")
    >>> live.view().in_flight.tolist()
    [0.0, 1.0]
    >>> now[0] = 2.0
    >>> live.end(Outcome(endpoint="b", request_id="r-1"))
    >>> live.view().in_flight.tolist(), live.view().latency_s.tolist()
    ([0.0, 0.0], [nan, 2.0])
    """

    def __init__(
        self,
        endpoints: Sequence[str],
        settings: Settings | None = None,
        clock: Callable[[], float] = time.monotonic,
        shared: Shared | None = None,
    ) -> None:
        self.settings = settings or Settings()
        self.warmth = Warmth(self.settings.cache_s, self.settings.conversations_max, clock)
        self._clock, self._company = clock, Company(shared)
        self._lock, self._refreshing = threading.Lock(), threading.Lock()
        self._states: list[Endpoint] = []
        self._columns: list[tuple[float, ...]] = []
        self._arrays = arrays([])
        self._published: tuple[tuple[str, ...], View] = ((), as_view(self._arrays))
        self._fresh_until = -inf
        self.resize(endpoints)
        _ALL.add(self)

    @property
    def endpoints(self) -> tuple[str, ...]:
        """The endpoints, in the order of the view's arrays."""
        return self._published[0]

    def view(self, endpoints: tuple[str, ...] | None = None) -> View:
        """Give the state as it is now; its arrays never change afterwards.

        Say `endpoints` where a snapshot with others may just have been taken: the arrays then come in their order.
        """
        if not self._clock() < self._fresh_until:
            self._refresh()
        known, view = self._published
        if endpoints is None or endpoints == known:
            return view
        return aligned(view, known, endpoints)

    def begin(
        self, endpoint: int | str, request_id: str | None = None, tokens: float = 0, conversation: str | None = None
    ) -> None:
        """Take in that a call of about `tokens` tokens was sent to an endpoint, by its place or its name."""
        self.begin_many(((endpoint, request_id, tokens, conversation),))

    def begin_many(self, calls: Iterable[tuple[int | str, str | None, float, str | None]]) -> None:
        """Take in several calls at once, each with what `begin` is told of it, in its order."""
        with self._lock:
            counted: dict[int, tuple[int, int]] = {}
            for call in calls:
                self._begin(*call, counted)
            for place, (more, turns) in counted.items():
                if turns and not self._company.shares:
                    self._count(place, more, turns)
                else:
                    self._change(place, self._clock())

    def _begin(
        self,
        endpoint: int | str,
        request_id: str | None,
        tokens: float,
        conversation: str | None,
        counted: dict[int, tuple[int, int]],
    ) -> None:
        now = self._clock()
        place = self._places.get(endpoint, -1) if isinstance(endpoint, str) else int(endpoint)
        if not 0 <= place < len(self._states):
            return
        state = self._states[place]
        mark = self._company.mark(state.name, request_id)
        open_before = len(state.calls)
        state.begin(request_id, Call(now, max(0.0, tokens), conversation, mark))
        if state.limit is None and self._columns[place][ADMITTED] >= 1:
            more, turns = counted.get(place, (0, 0))
            counted[place] = more + len(state.calls) - open_before, turns + 1
        else:
            counted[place] = (0, 0)  # more than counts may have changed

    def end(self, outcome: Outcome) -> None:
        """Take in how a call ended; an outcome of an endpoint that is not there is passed over."""
        with self._lock:
            place = self._places.get(outcome.endpoint)
            if place is None:
                return
            now = self._clock()
            call, news = self._states[place].end(outcome, now)
            if not news:
                return
            if call is None:
                self._company.ended(self._company.mark(outcome.endpoint, outcome.request_id))
            self._change(place, now)
        if call is not None and call.conversation is not None and outcome.status == "ok":
            self.warmth.note(call.conversation, outcome.endpoint, outcome.input_tokens or call.tokens)

    def warm(self, conversation: str) -> Array:
        """Give the prompt tokens of a conversation that each endpoint is likely to have cached: (K,)."""
        return self.warmth.warm(conversation, self.endpoints)

    def incumbent(self, conversation: str) -> int:
        """Give the place of the endpoint that served the conversation's last turn, -1 for none."""
        return self.warmth.incumbent(conversation, self.endpoints)

    def resize(self, endpoints: Sequence[str]) -> None:
        """Take other endpoints; those that stay keep their state."""
        with self._lock:
            kept = {state.name: state for state in self._states}
            fewest = min((state.turns for state in self._states), default=0)
            self._states = [kept.get(name) or Endpoint(name, self.settings) for name in endpoints]
            for state in self._states:
                if state.name not in kept:
                    state.turns = fewest  # or a rule that evens out turns would send it everything
            self._places = {name: place for place, name in enumerate(endpoints)}
            self._hashes = np.array([fingerprint(name) for name in endpoints], dtype=np.uint64)
            self._rows = np.zeros((len(self._states), Row.FIELDS))
            self._others: list[Others] = [ALONE] * len(self._states)
            self._publish_all(tuple(endpoints), self._clock())
            self._fresh_until = -inf  # what the others know of the new ones is still to be read

    def share(self) -> bytes:
        """Give what this worker tells those on other machines, who `hear` it."""
        with self._lock:
            self._company.told = True
            now = self._clock()
            rows = np.array([state.row(now) for state in self._states], dtype=np.float64)
            return self._company.image(self._hashes, rows.reshape(len(self._states), Row.FIELDS), now)

    def hear(self, peers: Sequence[Peer]) -> None:
        """Take in what workers on other machines told, on this worker's clock; it counts for two seconds."""
        self._company.hear(peers, self._clock())

    def now(self) -> float:
        """Give the time on this worker's clock, in seconds."""
        return self._clock()

    @property
    def node(self) -> int:
        """The number that this worker is known by."""
        return self._company.node

    def close(self) -> None:
        """Leave the other workers: what this one holds no longer counts for them."""
        with self._lock:
            self._company.close()

    def _refresh(self) -> None:
        """Let time pass, and read what the others tell. One thread does; the rest take the view there is."""
        if not self._refreshing.acquire(blocking=False):
            return
        try:
            peers = self._company.peers(self._clock())
            with self._lock:
                now = self._clock()
                ended = self._company.ended_elsewhere(peers)
                self._others = combine(peers, self._hashes, self.settings, now)
                for state, others in zip(self._states, self._others, strict=True):
                    state.catch_up(others.verdict, ended, now)
                self._publish_all(self._published[0], now)
        finally:
            self._refreshing.release()

    def _count(self, place: int, more: int, turns: int) -> None:
        """Publish more calls at a healthy endpoint without a limit: all that changes is two counts."""
        old = self._columns[place]
        if not old[AVAILABLE]:
            return self._change(place, self._clock())
        new = list(old)
        new[IN_FLIGHT], new[TURNS] = old[IN_FLIGHT] + more, old[TURNS] + turns
        self._columns[place] = tuple(new)
        self._arrays = changed(self._arrays, place, old, self._columns[place])
        self._published = (self._published[0], as_view(self._arrays))
        return None

    def _change(self, place: int, now: float) -> None:
        """Publish what has just become of one endpoint."""
        state, old = self._states[place], self._columns[place]
        new = state.column(now, self._others[place])
        if new[AVAILABLE] > old[AVAILABLE] or new[ADMITTED] < 1:
            new = self._spared(place, new)
        self._columns[place] = new
        self._arrays = changed(self._arrays, place, old, new)
        self._published = (self._published[0], as_view(self._arrays))
        if self._company.shares:
            self._rows[place] = state.row(now)
            self._company.show(self._hashes, self._rows, now)

    def _publish_all(self, endpoints: tuple[str, ...], now: float) -> None:
        """Publish what time and the others have made of all endpoints."""
        pairs = zip(self._states, self._others, strict=True)
        columns = [state.column(now, others) for state, others in pairs]
        if endpoints == self._published[0]:
            for place, new in enumerate(columns):
                if new[AVAILABLE] > self._columns[place][AVAILABLE] or new[ADMITTED] < 1:
                    columns[place] = self._spared(place, new)
        self._columns, self._arrays = columns, arrays(columns)
        self._published = (endpoints, as_view(self._arrays))
        self._fresh_until = now + self.settings.refresh_s
        if self._company.shares and self._states:
            rows = np.array([state.row(now) for state in self._states], dtype=np.float64)
            if not np.array_equal(rows, self._rows, equal_nan=True):
                self._rows = rows
                self._company.show(self._hashes, rows, now)

    def _spared(self, place: int, column: tuple[float, ...]) -> tuple[float, ...]:
        """Spare an endpoint that is coming back the turns it misses: it would be sent all of them at once."""
        stayed = [
            state.turns
            for other, (state, then) in enumerate(zip(self._states, self._columns, strict=True))
            if other != place and then[AVAILABLE] and then[ADMITTED] >= 1
        ]
        missed = max(0, min(stayed, default=0) - self._states[place].turns)
        self._states[place].turns += missed
        return (*column[:TURNS], column[TURNS] + missed, *column[TURNS + 1 :])

    def _after_fork(self) -> None:
        self._lock, self._refreshing = threading.Lock(), threading.Lock()  # another thread may have held them
        self._company.after_fork()
        names = [state.name for state in self._states]
        self._states = []  # the calls in flight are the parent's
        self.resize(names)


_ALL: weakref.WeakSet[Live] = weakref.WeakSet()


def _after_fork() -> None:
    for live in list(_ALL):
        live._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
