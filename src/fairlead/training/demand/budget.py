"""When the month's budget runs out: what was spent so far, and what the coming days will cost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
from msgspec import Struct

from fairlead import store
from fairlead.errors import EvidenceError, ProjectError
from fairlead.project import Project
from fairlead.training.demand import forecast
from fairlead.training.demand.windows import STEP, Windows, read

__all__ = ["Outlook", "budget_usd", "outlook", "shares", "usual_hours"]

Array = np.ndarray[Any, Any]
_DAY: Final = int(timedelta(days=1) / STEP)
_DAILY: Final = """
select date_trunc('day', start_time) + interval 1 day as day, sum(sum(cost_usd)::double) over (order by day) as usd
from attempts where start_time >= $from and start_time < $until group by 1 order by 1
"""


class Outlook(Struct, frozen=True, kw_only=True):
    """How a month ends: dollars by its end, and when the budget is gone (None: not this month).

    `low` and `high` hold if every day stays within the interval of the next 24 hours; `soonest` is when the budget is
    gone then, at the upper end.
    """

    month: str
    budget_usd: float | None
    spent_usd: float
    expected_usd: float
    low_usd: float
    high_usd: float
    runs_out: datetime | None
    soonest: datetime | None
    as_of: datetime
    course: list[tuple[datetime, float]] = []  # dollars of the month so far, day by day

    @property
    def words(self) -> str:
        """Say it in a sentence."""
        end = f"{self.expected_usd:,.2f} USD [{self.low_usd:,.2f}, {self.high_usd:,.2f}] by the end of {self.month}"
        said = f"{self.spent_usd:,.2f} USD spent, {end}"
        if self.budget_usd is None:
            return f"{said}; no budget is set"
        if self.runs_out is None and self.soonest is None:
            return f"{said}; the budget of {self.budget_usd:,.2f} lasts"
        if self.runs_out is None:
            until = _day(self.soonest)
            return f"{said}; the budget of {self.budget_usd:,.2f} lasts, unless every day is dear: then until {until}"
        return f"{said}; the budget of {self.budget_usd:,.2f} runs out on {_day(self.runs_out)}"


def budget_usd(project: Project) -> float | None:
    """Give the month's budget of `[tool.fairlead.budget]`; None when none is set, ProjectError when it is no amount."""
    given = project.settings.get("budget", {})
    where = f"{project.root / 'pyproject.toml'} [tool.fairlead.budget]"
    if not isinstance(given, dict) or set(given) - {"usd"}:
        raise ProjectError(f"{where}: expected one key, as in usd = 5000")
    amount = given.get("usd")
    if amount is None:
        return None
    if isinstance(amount, bool) or not isinstance(amount, (int, float)) or not 0 < amount < 1e12:
        raise ProjectError(f"{where} usd: expected dollars a month above 0, not {amount!r}")
    return float(amount)


def outlook(project: Project, *, as_of: datetime | None = None) -> Outlook | None:
    """Say how the month of the newest traffic ends; None until a demand predictor was trained.

    The next 24 hours are the champion's forecast. The days after are as the same weekdays of the last week, moved to
    the level of that forecast.
    """
    demand = forecast.champion(project)
    if demand is None:
        return None
    connection = store.open_lake(project.lake).connect(as_of=as_of)
    try:
        windows = read(connection, until=as_of)
        month = windows.end.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        sql = (
            "select coalesce(sum(cost_usd), 0)::double from attempts where start_time >= $from and start_time < $until"
        )
        spent = float(store.query(connection, sql, {"from": month, "until": windows.end}).item())
        daily = store.query(connection, _DAILY, {"from": month, "until": windows.end}).rows()
    finally:
        connection.close()
    ahead = forecast.ahead(demand, windows)
    day = ahead.filter(kind="total", measure="usd", horizon="24h")
    if day.is_empty():
        return None
    expected, low, high = (float(day[part][0]) for part in ("expected", "low", "high"))
    steps = _coming(windows, month, expected)
    total = float(steps.sum())
    stretch = {"low": low / expected, "high": high / expected} if expected > 0 else {"low": 1.0, "high": 1.0}
    budget = budget_usd(project)
    return Outlook(
        month=f"{month:%B %Y}",
        budget_usd=budget,
        spent_usd=spent,
        expected_usd=spent + total,
        low_usd=spent + total * stretch["low"],
        high_usd=spent + total * stretch["high"],
        runs_out=_gone(windows.end, spent, steps, budget),
        soonest=_gone(windows.end, spent, steps * stretch["high"], budget),
        as_of=windows.end,
        course=[(month, 0.0), *((min(day, windows.end), float(usd)) for day, usd in daily)],
    )


def usual_hours(project: Project) -> list[float]:
    """Give `shares` of the last weeks' traffic, for a snapshot to carry; empty where there is too little."""
    connection = store.open_lake(project.lake).connect()
    try:
        return shares(read(connection))
    except EvidenceError:
        return []
    finally:
        connection.close()


def shares(windows: Windows) -> list[float]:
    """Give the usual share of a day's dollars in each hour (UTC), 24 of them: what a budget's pace plans by.

    Empty where less than two days are known, or no dollars: what came once is not usual yet.
    """
    place = next(at for at, one in enumerate(windows.series) if (one.kind, one.measure) == ("total", "usd"))
    if len(windows.values) < 2 * _DAY or not windows.values[:, place].any():
        return []
    hour = np.array([(windows.start + row * STEP).hour for row in range(len(windows.values))])
    spent = np.bincount(hour, windows.values[:, place], minlength=24) / np.maximum(np.bincount(hour, minlength=24), 1)
    usual: Array = spent + 0.02 * spent.mean() + 1e-12  # an hour that was never used is not impossible
    return [float(one) for one in usual / usual.sum()]


def _coming(windows: Windows, month: datetime, next_day: float) -> Array:
    """Dollars of each window until the month ends."""
    end = (month + timedelta(days=32)).replace(day=1)
    count = int((end - windows.end) / STEP)
    place = next(at for at, one in enumerate(windows.series) if (one.kind, one.measure) == ("total", "usd"))
    whole = max(min(len(windows.values) // _DAY, 7), 1) * _DAY
    usual = windows.values[-whole:, place]
    if len(usual) < whole:  # less than a day is known: as it was, all the time
        usual = np.full(_DAY, usual.mean())
    steps = np.resize(usual, max(count, _DAY)).astype(np.float64)
    first = steps[:_DAY].sum()
    # The week's shape at the forecast's level. A first day without spend has no shape to move.
    steps = steps * (next_day / first) if first > 0 else np.full(len(steps), next_day / _DAY)
    return steps[:count]


def _gone(start: datetime, spent: float, steps: Array, budget: float | None) -> datetime | None:
    if budget is None:
        return None
    if spent >= budget:
        return start
    over = np.flatnonzero(spent + np.cumsum(steps) >= budget)
    return start + (int(over[0]) + 1) * STEP if len(over) else None


def _day(moment: datetime | None) -> str:
    return "an unknown day" if moment is None else f"{moment:%d %B, %H:%M} UTC"
