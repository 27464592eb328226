"""A month's budget, spent where quality per dollar is highest: a slow shadow price instead of a cliff."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any, Final

import numpy as np

from fairlead.errors import UsageError

__all__ = ["Budget", "hourly"]

Array = np.ndarray[Any, Any]
_HOUR: Final = 3600.0
_HOURS_A_DAY: Final = 24
_HOURS_A_WEEK: Final = 168


class Budget:
    """Tells how dear money is now: `pace` multiplies a policy's `usd_price`, above 1 when the budget runs ahead.

    The plan spreads `usd` over the calendar month (UTC) by `demand`: 24 shares by hour of the day, 168 by hour of the
    week (Monday first); without it, by the hours that the router's snapshot says are usual, else evenly. Every `step_s`
    the spend of the last `window_s` is compared with what the plan gives that window of what was left at its start, and
    the pace moves by dual ascent, pace x exp(`rate` x hours x (spend - plan) / plan), by at most 20 % an hour (Balseiro
    and Gur 2019; slow dual pacing). Planning from what is left repays an overspent day over the
    rest of the month. `reserve` is the share held back until the last day, for a surge that comes too late to be
    repaid.

    A pace only chooses among endpoints, so it holds a budget that the cheapest endpoints can hold. In simulated months,
    with a surge of demand or a doubled price, it ended between 98 % and 100 % of it (`benchmarks/budget_pacing.py`).
    What must never be exceeded needs a gateway's hard limit as well. A policy needs a `usd_price` over 0 for a pace to
    act.

    Safe to use from any thread. `clock` gives seconds since 1970.

    >>> now = [datetime(2026, 6, 1, tzinfo=UTC).timestamp()]
    >>> budget = Budget(usd=720, clock=lambda: now[0])  # one dollar an hour
    >>> for _ in range(12):
    ...     now[0] += 300
    ...     budget.observe(0.25)
    >>> budget.pace > 1, round(budget.spent_usd, 2), round(budget.planned_usd, 2)
    (True, 3.0, 0.98)
    """

    def __init__(
        self,
        usd: float,
        *,
        demand: Sequence[float] | None = None,
        rate: float = 0.2,
        step_s: float = 300.0,
        window_s: float = 3600.0,
        reserve: float = 0.02,
        bounds: tuple[float, float] = (0.1, 1000.0),
        clock: Callable[[], float] = time.time,
    ) -> None:
        for what, value in (("usd", usd), ("rate", rate), ("step_s", step_s), ("window_s", window_s)):
            if not (isinstance(value, (int, float)) and math.isfinite(value) and value > 0):
                raise UsageError(f"budget: {what} must be a number over 0, not {value!r}")
        if not 0 <= reserve < 1:
            raise UsageError(f"budget: reserve must be a share from 0 to under 1, not {reserve}")
        if not (len(bounds) == 2 and 0 < bounds[0] <= 1 <= bounds[1] < math.inf):
            raise UsageError(f"budget: bounds must be a pace from 0 to 1 and one from 1 up, not {bounds}")
        self.usd, self.rate, self.step_s, self.reserve = float(usd), rate, float(step_s), reserve
        self._window = max(round(window_s / step_s), 1)  # steps that are compared at a time
        self._bounds = (math.log(bounds[0]), math.log(bounds[1]))
        self._demand, self._told = hourly(demand), demand is not None
        self._clock, self._lock = clock, threading.Lock()
        self._log_pace, self._pace, self._spent = 0.0, 1.0, 0.0
        self._begin(clock())

    @property
    def pace(self) -> float:
        """What a policy's `usd_price` is to be multiplied by, now."""
        if self._clock() >= self._next:
            with self._lock:
                self._advance(self._clock())
        return self._pace

    @property
    def spent_usd(self) -> float:
        """What was spent this month."""
        return self._spent

    @property
    def planned_usd(self) -> float:
        """What the plan would have spent by now, reserve held back."""
        return self._planned(self._clock())

    def observe(self, cost_usd: float | None) -> None:
        """Count what a call cost, when that is known; unknown and impossible amounts are not counted."""
        if cost_usd is None or not (math.isfinite(cost_usd) and cost_usd >= 0):
            return
        with self._lock:
            self._advance(self._clock())
            self._spent += cost_usd
            self._recent[-1] += cost_usd

    def expect(self, demand: Sequence[float]) -> None:
        """Plan the month by the hours that a snapshot says are usual, where nobody gave others; none changes nothing.

        What was spent and the pace stay as they are.

        >>> budget = Budget(usd=720, clock=lambda: datetime(2026, 6, 1, 12, tzinfo=UTC).timestamp())
        >>> round(budget.planned_usd, 2), budget.expect([1.0] * 12 + [0.0] * 12), round(budget.planned_usd, 2)
        (11.76, None, 23.52)
        """
        if self._told or not demand:
            return
        weights = hourly(demand)
        with self._lock:
            self._demand = weights
            self._plan()

    def state(self) -> dict[str, Array]:
        """Give what was counted, as arrays, to be kept over a restart."""
        with self._lock:
            head = [self._month.timestamp(), self._next, self._spent, self._log_pace]
            return {"budget": np.array([*head, *self._recent])}

    def restore(self, state: Mapping[str, Array]) -> None:
        """Take up what `state()` gave; spend of another month is dropped, the pace is kept."""
        given = state.get("budget")
        if given is None or given.shape != (4 + self._window,) or not np.isfinite(given).all():
            raise UsageError(f"budget: the state must be {4 + self._window} finite numbers under 'budget'")
        month, upcoming, spent, log_pace, *recent = given.tolist()
        with self._lock:
            self._set(log_pace)
            if month == self._month.timestamp():
                self._spent, self._next, self._recent = spent, upcoming, recent

    def _begin(self, now: float) -> None:
        """Start the month that `now` lies in, with the pace that the last one ended with."""
        at = datetime.fromtimestamp(now, UTC)
        self._month = at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        ends = (self._month + timedelta(days=32)).replace(day=1)
        self._starts, self._ends = self._month.timestamp(), ends.timestamp()
        self._plan()
        self._spent = 0.0
        self._recent = [0.0] * self._window
        self._opened = now  # a process that starts in mid-month knows nothing of what was spent before
        self._next = now + self.step_s

    def _plan(self) -> None:
        """Give each hour of the month its share, summed up."""
        hours = round((self._ends - self._starts) / _HOUR)
        first = self._month.weekday() * _HOURS_A_DAY
        weights = [self._demand[(first + hour) % _HOURS_A_WEEK] for hour in range(hours)]
        total = sum(weights)
        self._shares = [0.0, *accumulate(weight / total for weight in weights)]

    def _advance(self, now: float) -> None:
        if now >= self._ends or now < self._starts:
            self._begin(now)
        while now >= self._next:
            if now - self._next > self._window * self.step_s:  # nobody asked for a while: no spend to judge by
                self._recent, self._next = [0.0] * self._window, now + self.step_s
                return
            self._judge(self._next)
            self._recent = [*self._recent[1:], 0.0]
            self._next += self.step_s

    def _judge(self, now: float) -> None:
        """Move the pace by how the window that ends at `now` compares with its share of what was left."""
        start = max(now - self._window * self.step_s, self._opened)
        spent = sum(self._recent)
        left = max(self.usd - (self._spent - spent), 0.0) - self._held(now)
        share = (self._share(now) - self._share(start)) / max(1.0 - self._share(start), 1e-9)
        plan = max(left, 0.0) * share
        hours = self.step_s / _HOUR
        over = (spent - plan) / plan if plan > 0 else math.inf if spent > 0 else 0.0
        most = math.log(1.2) * hours
        self._set(self._log_pace + min(max(self.rate * hours * over, -most), most))

    def _set(self, log_pace: float) -> None:
        self._log_pace = min(max(log_pace, self._bounds[0]), self._bounds[1])
        self._pace = math.exp(self._log_pace)

    def _held(self, now: float) -> float:
        """The reserve, given free evenly over the last day."""
        last = (self._ends - now) / (_HOURS_A_DAY * _HOUR)
        return self.usd * self.reserve * min(max(last, 0.0), 1.0)

    def _planned(self, now: float) -> float:
        return (self.usd - self._held(now)) * self._share(now)

    def _share(self, now: float) -> float:
        """The share of the month's demand that the plan expects until `now`."""
        hours = min(max((now - self._starts) / _HOUR, 0.0), len(self._shares) - 1.0)
        whole = min(int(hours), len(self._shares) - 2)
        return self._shares[whole] + (hours - whole) * (self._shares[whole + 1] - self._shares[whole])


def hourly(demand: Sequence[float] | None) -> list[float]:
    """Give 168 weights, one an hour of the week, of 24 or 168; UsageError for what is no demand."""
    weights = [1.0] * _HOURS_A_DAY if demand is None else [float(one) for one in demand]
    if len(weights) not in (_HOURS_A_DAY, _HOURS_A_WEEK):
        raise UsageError(f"budget: demand must be 24 or 168 shares, not {len(weights)}")
    if not all(math.isfinite(one) and one >= 0 for one in weights) or sum(weights) <= 0:
        raise UsageError("budget: demand must be shares from 0 up, some of them over 0")
    return weights * (_HOURS_A_WEEK // len(weights))
