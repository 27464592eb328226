"""Reads the attempts that drift compares and no others: what came after the training, and a sample from before."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Final

import polars as pl
from msgspec import Struct

from fairlead import features, store
from fairlead.project import Project
from fairlead.training import spec
from fairlead.training.drift import inputs

__all__ = ["Compared", "read"]

_BEFORE: Final = "from attempts where start_time <= $until and endpoint is not null"
_SAMPLE: Final = f"""
select event_id
from (select event_id, row_number() over (order by start_time, event_id) - 1 as place {_BEFORE})
where place in (select unnest($places))
"""
# Word for word the same as something learned from; without a text, another attempt at the same request.
_SAME: Final = "coalesce(nullif(hex(prompt_sha256), ''), request_id)"
_AGAIN: Final = f"""
select event_id from attempts
where start_time > $until and endpoint is not null and {_SAME} in (select {_SAME} {_BEFORE})
"""


class Compared(Struct, frozen=True, kw_only=True):
    """Joined attempts, and which of them are what: ids of the sample from before the training's end.

    `again` has, by that end in seconds, the ids of later attempts whose prompt was learned from.
    """

    joined: features.Joined
    sample: pl.Series
    again: dict[float, pl.Series]


def read(project: Project, until: float, ends: Collection[float], as_of: datetime | None = None) -> Compared:
    """Join what came after the earliest of `ends`, and an even sample of what came up to `until`, in seconds.

    A year's lake is then read for its ids and prompts, but joined only where something is compared.
    """
    connection = store.open_lake(project.lake).connect(as_of=as_of)
    try:
        upto = {"until": _moment(until)}
        count = store.query(connection, f"select count(*) {_BEFORE}", upto).item()
        sample = store.query(connection, _SAMPLE, {**upto, "places": inputs.spread(count).tolist()})["event_id"]
        again = {end: store.query(connection, _AGAIN, {"until": _moment(end)})["event_id"] for end in set(ends)}
    finally:
        connection.close()
    ids = ", ".join("'" + one.replace("'", "''") + "'" for one in sample.to_list()) or "null"
    after = f"start_time > timestamptz '{_moment(min(ends)).isoformat()}'"
    states = spec.tables_of(project.models)
    joined = features.join(project, as_of=as_of, states=states, only=f"{after} or event_id in ({ids})")
    return Compared(joined=joined, sample=sample, again=again)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
