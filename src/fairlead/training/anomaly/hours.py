"""What happened in each hour, for every slice: sums from which spend, latency, errors, quality and shares follow."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import polars as pl
from msgspec import Struct

from fairlead import store
from fairlead.errors import EvidenceError

__all__ = ["HOUR", "KINDS", "Hours", "Slice", "read"]

Array = np.ndarray[Any, Any]
HOUR: Final = timedelta(hours=1)
KINDS: Final = ("total", "team", "route", "key", "provider", "model", "endpoint")
_MOST: Final = 20  # slices of a kind, the busiest
_DAYS: Final = 42
_SUMS: Final = ("attempts", "usd", "usd2", "errors", "timed", "log_s", "log_s2", "worded", "log_tokens", "log_tokens2")
_LABELS: Final = ("labels", "quality", "quality2")
_SQL: Final = """
with known as (
    select
        date_trunc('hour', start_time) as hour, 'total' as total, team_id as team, route, api_key_id as key,
        provider_name as provider, coalesce(response_model, request_model) as model, endpoint,
        cost_usd::double as usd, status,
        case when status = 'ok' and duration_s > 0 then ln(duration_s) end as log_s,
        case when status = 'ok' and output_tokens > 0 then ln(output_tokens) end as log_tokens
    from attempts
    where start_time >= $from and start_time < $until and coalesce(attempt_kind, '') <> 'shadow'
)
select
    hour, total, team, route, key, provider, model, endpoint, grouping_id({names}) as grouped,
    count(*)::double as attempts, coalesce(sum(usd), 0) as usd, coalesce(sum(usd * usd), 0) as usd2,
    count(*) filter (status = 'error')::double as errors,
    count(log_s)::double as timed, coalesce(sum(log_s), 0) as log_s, coalesce(sum(log_s * log_s), 0) as log_s2,
    count(log_tokens)::double as worded, coalesce(sum(log_tokens), 0) as log_tokens,
    coalesce(sum(log_tokens * log_tokens), 0) as log_tokens2
from known
group by grouping sets ({sets})
"""
# A label counts in the hour that it came: what is known of an hour then never changes afterwards.
_LABEL_SQL: Final = """
with known as (
    select
        date_trunc('hour', labels.final_at) as hour, 'total' as total, team_id as team, route, api_key_id as key,
        provider_name as provider, coalesce(response_model, request_model) as model, endpoint, labels.quality
    from labels join requests using (request_id)
    where labels.final_at >= $from and labels.final_at < $until
)
select
    hour, total, team, route, key, provider, model, endpoint, grouping_id({names}) as grouped,
    count(*)::double as labels, sum(quality) as quality, sum(quality * quality) as quality2
from known
group by grouping sets ({sets})
"""


class Slice(Struct, frozen=True, order=True):
    """A part of the traffic: all of it, or what one team, route, key, provider, model or endpoint has of it."""

    kind: str
    name: str


class Hours(Struct, frozen=True):
    """Sums by hour and slice: each of `sums` is (T, S), row t the hour from `start` + t hours."""

    start: datetime
    slices: tuple[Slice, ...]
    sums: dict[str, Array]

    def __len__(self) -> int:
        return len(self.sums["attempts"])

    @property
    def end(self) -> datetime:
        """The moment after the last hour."""
        return self.start + len(self) * HOUR

    def until(self, moment: datetime) -> Hours:
        """Give the hours that were over at a moment."""
        kept = max(0, min(len(self), int((moment - self.start) / HOUR)))
        return Hours(self.start, self.slices, {name: array[:kept] for name, array in self.sums.items()})

    def aligned(self, slices: tuple[Slice, ...]) -> Hours:
        """Give the columns of these slices, zeros for one that had no traffic."""
        place = {one: at for at, one in enumerate(self.slices)}
        known = np.array([place.get(one, -1) for one in slices])
        sums = {name: np.where(known >= 0, array[:, known], 0.0) for name, array in self.sums.items()}
        return Hours(self.start, slices, sums)


def read(
    connection: store.Connection, *, until: datetime | None = None, days: float = _DAYS, labels: bool = True
) -> Hours:
    """Sum the last days of traffic by hour; the newest hour is the last one that is over.

    The connection needs the label views (`features.make_views`), unless `labels` is false: then no quality is summed.
    EvidenceError when there is no whole hour.
    """
    span = store.query(connection, "select min(start_time) as oldest, max(start_time) as newest from attempts").row(0)
    if span[1] is None:
        raise EvidenceError("no attempts to look at; run `fairlead ingest` on your gateway's logs first")
    end = _floor(span[1] if until is None else min(until, span[1] + HOUR))
    start = max(_floor(span[0]), end - timedelta(days=1) * days)
    length = int((end - start) / HOUR)
    if length < 1:
        raise EvidenceError("less than an hour of traffic; come back when an hour is over")
    asked = {"from": start, "until": end}
    rows = store.query(connection, _filled(_SQL), asked)
    scored = [(store.query(connection, _filled(_LABEL_SQL), asked), _LABELS)] if labels else []
    slices = _busiest(rows)
    place = {one: at for at, one in enumerate(slices)}
    sums = {name: np.zeros((length, len(slices))) for name in (*_SUMS, *_LABELS)}
    for frame, names in ((rows, _SUMS), *scored):
        at = ((frame["hour"].dt.epoch("s") - int(start.timestamp())) // 3600).to_numpy()
        column = np.array([place.get(one, -1) if one else -1 for one in _named(frame)], dtype=np.int64)
        kept = column >= 0
        for name in names:
            sums[name][at[kept], column[kept]] = frame[name].to_numpy()[kept]
    return Hours(start, slices, sums)


def _filled(sql: str) -> str:
    return sql.format(names=", ".join(KINDS), sets=", ".join(f"(hour, {kind})" for kind in KINDS))


def _named(frame: pl.DataFrame) -> list[Slice | None]:
    """Say which slice each row is of; none where the name is not given."""
    # grouping_id has a bit for every name that a row is not grouped by, the first name's the highest.
    every = 2 ** len(KINDS) - 1
    kind_of = {every - 2 ** (len(KINDS) - 1 - at): kind for at, kind in enumerate(KINDS)}
    columns = {kind: frame[kind].to_list() for kind in KINDS}
    kinds = [kind_of[grouped] for grouped in frame["grouped"].to_list()]
    named = ((kind, columns[kind][row]) for row, kind in enumerate(kinds))
    return [None if name is None else Slice(kind, name) for kind, name in named]


def _busiest(rows: pl.DataFrame) -> tuple[Slice, ...]:
    counted: dict[Slice, float] = {}
    for one, attempts in zip(_named(rows), rows["attempts"].to_list(), strict=True):
        if one is not None:
            counted[one] = counted.get(one, 0.0) + attempts
    found: list[Slice] = []
    for kind in KINDS:
        own = sorted((one for one in counted if one.kind == kind), key=lambda one: (-counted[one], one.name))
        found += own[:_MOST]
    return tuple(found)


def _floor(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)
