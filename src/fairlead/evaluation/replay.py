"""Logged requests as the judge needs them: one row a request, with what a policy would have been asked."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import polars as pl
from msgspec import Struct

from fairlead.errors import EvidenceError
from fairlead.features import Joined
from fairlead.scoring.predict import Batch
from fairlead.training import logs

__all__ = ["Replay", "replay"]

Array = np.ndarray[Any, Any]


class Replay(Struct, frozen=True, kw_only=True):
    """Requests of a window: (n,) arrays, NaN where nothing was observed.

    `endpoint` is the index of the endpoint that was chosen first, -1 where the snapshot does not have it. `outcomes`
    are those of the whole request: retries and fallbacks count against the endpoint that was chosen.
    """

    request_ids: list[str]
    batch: Batch
    endpoint: Array
    propensity: Array
    outcomes: dict[str, Array]
    time: Array  # when each started, in seconds
    group: Array  # equal for equal prompts
    waited_s: Array  # how long after its start the last word on its quality came, NaN where none did
    start: datetime.datetime
    end: datetime.datetime
    left_out: int  # requests whose prompt had been learned from

    def __len__(self) -> int:
        return len(self.request_ids)


def replay(
    joined: Joined, endpoints: tuple[str, ...], since: datetime.datetime | None, until: datetime.datetime | None = None
) -> Replay:
    """Give the requests that started after `since`; EvidenceError when there are none.

    Requests whose prompt was also seen up to `since` are left out: the predictors may have learned their answer.
    """
    rows = joined.rows.sort("start_time", "event_id")
    late = pl.col("start_time") > since if since is not None else pl.lit(True)
    if until is not None:
        late = late & (pl.col("start_time") <= until)
    requests = rows.group_by("request_id", maintain_order=True).agg(
        pl.exclude("quality", "quality_measured", "quality_at", "cost_usd", "duration_s", "failed").first(),
        # Right in the mean, where `quality` is drawn to what is usual wherever a judge is noise.
        pl.col("quality_measured").drop_nulls().last().alias("quality"),
        pl.col("quality_at").drop_nulls().last(),
        pl.col("failed").last(),
        pl.when(pl.col("cost_usd").is_null().any()).then(None).otherwise(pl.col("cost_usd").sum()).alias("cost_usd"),
        (
            (pl.col("start_time") + pl.duration(microseconds=pl.col("duration_s") * 1e6)).max()
            - pl.col("start_time").min()
        )
        .dt.total_microseconds()
        .alias("took_us"),
    )
    window = requests.filter(late)
    learned = requests.filter(~late)["prompt_sha256"].drop_nulls().unique()
    fresh = window.filter(~pl.col("prompt_sha256").is_in(learned.implode()).fill_null(False)) if since else window
    if not fresh.height:
        raise EvidenceError(
            f"no requests after {since} whose prompts were not learned from; ingest newer logs, or train with --holdout"
        )
    codes = {name: code for code, name in enumerate(endpoints)}
    return Replay(
        request_ids=fresh["request_id"].to_list(),
        batch=logs.requests_of(fresh, joined),
        endpoint=np.array([codes.get(name, -1) for name in fresh["endpoint"]], dtype=np.int64),
        propensity=logs.numbers(fresh, "propensity"),
        outcomes={
            "quality": logs.numbers(fresh, "quality"),
            "cost_usd": logs.numbers(fresh, "cost_usd"),
            "latency_s": logs.numbers(fresh, "took_us") / 1e6,
            "failure": logs.numbers(fresh, "failed"),
        },
        time=fresh["start_time"].dt.epoch("us").to_numpy() / 1e6,
        group=np.array(
            [p.hex() if p else r for p, r in zip(fresh["prompt_sha256"].to_list(), fresh["request_id"], strict=True)]
        ),
        waited_s=logs.numbers(fresh.select(s=(pl.col("quality_at") - pl.col("start_time")).dt.total_seconds()), "s"),
        start=fresh["start_time"].min(),  # type: ignore[arg-type]  # a Datetime column's minimum
        end=fresh["start_time"].max(),  # type: ignore[arg-type]
        left_out=window.height - fresh.height,
    )
