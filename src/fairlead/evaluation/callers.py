"""Which requests belong together: those of one user, or of one conversation, are no independent evidence.

An interval takes whole groups in place of requests (intervals.clustered). The coarsest grouping that still has enough
groups is used: a standard error from few groups, or from one that holds most requests, is itself a guess.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import polars as pl
from msgspec import Struct

from fairlead import store
from fairlead.evaluation.replay import Replay
from fairlead.project import Project

__all__ = ["LEAST", "Clusters", "clusters_of", "grouped"]

Array = np.ndarray[Any, Any]
LEAST: Final = 50.0  # effective groups
_LEVELS: Final = {"user": "user_id", "end user": "end_user_id", "conversation": "conversation_id"}
_SQL: Final = """
select request_id, min(user_id) as user_id, min(end_user_id) as end_user_id, min(conversation_id) as conversation_id
from attempts
where start_time >= $from and start_time <= $until
group by request_id
"""


class Clusters(Struct, frozen=True, kw_only=True):
    """What requests were grouped by, and into how many groups; one request that names nobody is one of its own."""

    by: str
    groups: int

    def __str__(self) -> str:
        return f"Intervals take the requests of one {self.by} together: {self.groups:,} groups"


def clusters_of(project: Project, log: Replay) -> tuple[Clusters | None, Array | None]:
    """Ask the lake who sent the requests of a log; codes (n,), or nothing where each request stands alone."""
    con = store.open_lake(project.lake).connect()
    try:
        rows = store.query(con, _SQL, {"from": log.start, "until": log.end})
    finally:
        con.close()
    return grouped(pl.DataFrame({"request_id": log.request_ids}).join(rows, on="request_id", how="left"))


def grouped(callers: pl.DataFrame) -> tuple[Clusters | None, Array | None]:
    """Group requests (request_id, user_id, end_user_id, conversation_id) by the coarsest name with enough groups.

    >>> ids = [str(place) for place in range(200)]
    >>> few, pairs = ["a", "b"] * 100, [str(place // 2) for place in range(200)]
    >>> columns = {"request_id": ids, "user_id": few, "end_user_id": few, "conversation_id": pairs}
    >>> grouped(pl.DataFrame(columns))[0]
    Clusters(by='conversation', groups=100)
    """
    names = list(_LEVELS.values())
    for place, (by, column) in enumerate(_LEVELS.items()):
        if callers[column].null_count() == callers.height:
            continue
        # Who is not named at one level may be at a finer one; a user and a conversation of one name stay two.
        finer = [pl.format("{}:{}", pl.lit(name), pl.col(name)) for name in (*names[place:], "request_id")]
        code = callers.select(pl.coalesce(finer).rank("dense")).to_series().to_numpy().astype(np.int64) - 1
        size = np.bincount(code).astype(np.float64)
        if len(code) ** 2 / float(np.square(size).sum()) < LEAST:
            continue
        return (None, None) if len(size) == len(code) else (Clusters(by=by, groups=len(size)), code)
    return None, None
