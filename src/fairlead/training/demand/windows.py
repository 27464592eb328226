"""What was asked for in each ten minutes: requests, tokens and dollars, in total, by route and by team."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import polars as pl
from msgspec import Struct

from fairlead import store
from fairlead.errors import EvidenceError

__all__ = ["MEASURES", "STEP", "Series", "Windows", "read"]

Array = np.ndarray[Any, Any]
STEP: Final = timedelta(minutes=10)
MEASURES: Final = ("requests", "tokens", "usd")
_DAYS: Final = 35  # enough for the same time in the last four weeks
_MOST: Final = 12  # routes, and teams, with a series of their own
_SQL: Final = """
select
    time_bucket(interval 10 minutes, start_time) as window_start,
    route,
    team_id as team,
    count(distinct request_id) filter (coalesce(attempt_kind, '') <> 'shadow')::double as requests,
    coalesce(sum(coalesce(input_tokens, 0) + coalesce(output_tokens, 0)), 0)::double as tokens,
    coalesce(sum(cost_usd), 0)::double as usd
from attempts
where start_time >= $from and start_time < $until
group by all
"""


class Series(Struct, frozen=True, order=True):
    """What one column of the windows counts: `kind` is total, route or team."""

    kind: str
    name: str
    measure: str


class Windows(Struct, frozen=True):
    """Amounts by window: `values` is (T, S), row t the ten minutes from `start` + t steps, column s `series[s]`."""

    start: datetime
    series: tuple[Series, ...]
    values: Array

    @property
    def end(self) -> datetime:
        """The moment after the last window."""
        return self.start + len(self.values) * STEP

    def aligned(self, series: tuple[Series, ...]) -> Windows:
        """Give the columns of these series, zeros for one that had no traffic."""
        place = {one: at for at, one in enumerate(self.series)}
        columns = [self.values[:, place[one]] if one in place else np.zeros(len(self.values)) for one in series]
        return Windows(self.start, series, np.stack(columns, axis=1))

    def place(self, moment: datetime) -> int:
        """Say which row the window that ends at `moment` is, -1 when it lies before the first."""
        return max(int((moment - self.start) / STEP) - 1, -1)


def read(connection: store.Connection, *, until: datetime | None = None, days: float = _DAYS) -> Windows:
    """Count the last days of traffic by ten minutes; the newest window is the last one that is over.

    It is over when an attempt began after it, or at `until`. Ten minutes without any traffic count as zero.
    EvidenceError when there is less than an hour of traffic.
    """
    span = store.query(connection, "select min(start_time) as oldest, max(start_time) as newest from attempts").row(0)
    oldest, newest = span
    if newest is None:
        raise EvidenceError("no attempts to count; run `fairlead ingest` on your gateway's logs first")
    end = _floor(newest if until is None else min(until, newest + STEP))
    start = max(_floor(oldest), end - _whole(days))
    length = int((end - start) / STEP)
    if length < 6:
        raise EvidenceError(f"{length * 10} minutes of traffic are too few to forecast from; come back after an hour")
    rows = store.query(connection, _SQL, {"from": start, "until": end})
    at = ((rows["window_start"].dt.epoch("s") - int(start.timestamp())) // int(STEP.total_seconds())).to_numpy()
    series: list[Series] = []
    columns: list[Array] = []
    for kind, name, chosen in _slices(rows):
        for measure in MEASURES:
            series.append(Series(kind, name, measure))
            columns.append(np.bincount(at[chosen], rows[measure].to_numpy()[chosen], minlength=length))
    return Windows(start, tuple(series), np.stack(columns, axis=1))


def _slices(rows: pl.DataFrame) -> list[tuple[str, str, Array]]:
    found = [("total", "", np.ones(rows.height, dtype=bool))]
    for kind in ("route", "team"):
        named = rows.filter(pl.col(kind).is_not_null()).group_by(kind).agg(pl.col("requests").sum())
        for name in named.sort("requests", kind, descending=[True, False]).head(_MOST)[kind].to_list():
            found.append((kind, name, (rows[kind] == name).fill_null(False).to_numpy()))
    return found


def _floor(moment: datetime) -> datetime:
    return moment - timedelta(seconds=moment.timestamp() % STEP.total_seconds())


def _whole(days: float) -> timedelta:
    return timedelta(days=1) * days
