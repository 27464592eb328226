"""Which share of recent requests the policy in use would send to each endpoint, as whole parts of a total."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import polars as pl
from msgspec import Struct

from fairlead import features
from fairlead.errors import EvidenceError, UsageError
from fairlead.project import Project
from fairlead.scoring.router import Router
from fairlead.scoring.snapshot import open_published
from fairlead.training import logs

__all__ = ["TOTAL", "Shares", "Target", "parts", "shares_of"]

TOTAL: Final = 1000
_LEAST: Final = 50  # requests of a route, to give it shares of its own
_MOST: Final = 100_000  # requests, the newest


class Target(Struct, frozen=True, kw_only=True):
    """An endpoint as a gateway's config names it."""

    name: str
    provider: str
    model: str


class Shares(Struct, frozen=True, kw_only=True):
    """Parts of a total by endpoint, for each route that has its own and, under '', for all the others."""

    total: int
    parts: dict[str, dict[str, int]]
    targets: dict[str, Target]
    requests: dict[str, int]  # that each was worked out on
    start: datetime.datetime
    end: datetime.datetime
    policy: str
    policy_version: str

    def of(self, route: str) -> dict[str, float]:
        """Give a route's shares, which sum to one."""
        return {name: count / self.total for name, count in self.parts[route].items()}


def shares_of(
    project: Project,
    *,
    days: float = 7.0,
    by_route: bool = False,
    explore: float = 0.0,
    total: int = TOTAL,
) -> Shares:
    """Ask the published policy about the requests of the lake's last `days`, and give each endpoint's share.

    With `by_route` routes of at least 50 requests have shares of their own. `explore` is spread evenly over the
    endpoints that the policy may choose, so that the log will tell of all of them. Raises EvidenceError where there was
    no request, and SnapshotRefusedError where nothing is published.
    """
    if not (0 <= explore <= 1 and days > 0):
        raise UsageError(f"explore is {explore} and days {days}; give a share from 0 to 1, and days above 0")
    snapshot, _ = open_published(project.published)
    joined = features.join(project, states=())
    rows = joined.rows.sort("start_time", "event_id").unique("request_id", keep="first", maintain_order=True)
    rows = rows.filter(pl.col("start_time") > pl.col("start_time").max() - datetime.timedelta(days=days)).tail(_MOST)
    if not rows.height:
        raise EvidenceError("no request in the log to work out shares on; load one first: `fairlead ingest`")
    chances = Router(snapshot).probabilities(logs.requests_of(rows, joined))
    chances = (1 - explore) * chances + explore * _spread(chances)
    groups = {"": np.ones(rows.height, dtype=bool), **(_routes(rows) if by_route else {})}
    endpoints, manifest = snapshot.endpoints, snapshot.manifest
    means = {route: chances[mine].mean(axis=0).tolist() for route, mine in groups.items()}
    return Shares(
        total=total,
        parts={route: parts(dict(zip(endpoints, mean, strict=True)), total) for route, mean in means.items()},
        targets={
            one.name: Target(name=one.name, provider=one.provider_name, model=one.model) for one in manifest.endpoints
        },
        requests={route: int(mine.sum()) for route, mine in groups.items()},
        start=rows["start_time"].min(),  # type: ignore[arg-type]  # a Datetime column's minimum
        end=rows["start_time"].max(),  # type: ignore[arg-type]
        policy=manifest.policy,
        policy_version=f"{manifest.version}+{snapshot.sha256[:16]}",
    )


def _routes(rows: pl.DataFrame) -> dict[str, np.ndarray[Any, Any]]:
    """Give which rows (n,) are of each route that has enough of them."""
    if "route" not in rows.columns:
        return {}
    seen = rows["route"].drop_nulls().value_counts().filter(pl.col("count") >= _LEAST)["route"].sort().to_list()
    return {route: (rows["route"] == route).fill_null(False).to_numpy() for route in seen if route}


def parts(shares: Mapping[str, float], total: int = TOTAL) -> dict[str, int]:
    """Give whole parts that sum to `total` and are each less than one off, by the largest remainders.

    Endpoints that would get none are left out. UsageError where the shares sum to nothing.

    >>> parts({"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}, 100)
    {'a': 34, 'b': 33, 'c': 33}
    """
    whole = sum(shares.values())
    if not (np.isfinite(whole) and whole > 0 and min(shares.values()) >= 0):
        raise UsageError("the shares of the endpoints do not sum to anything; no endpoint may be chosen")
    exact = {name: share / whole * total for name, share in shares.items()}
    found = {name: int(value) for name, value in exact.items()}
    left = total - sum(found.values())
    order = sorted(exact, key=lambda name: (found[name] - exact[name], name))
    for name in order[:left]:
        found[name] += 1
    return {name: count for name, count in found.items() if count}


def _spread(chances: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Share evenly among the endpoints that some request may go to."""
    used = (chances > 0).any(axis=0)
    spread: np.ndarray[Any, Any] = np.broadcast_to(used / used.sum(), chances.shape)
    return spread
