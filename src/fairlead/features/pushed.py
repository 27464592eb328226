"""Weights that were pushed to a gateway which cannot ask: the share of the endpoint that it drew is its propensity.

`fairlead weights` writes what it pushed to `var/weights/`, one JSON a push, which holds until the next one for the same
gateway and name. A gateway that draws by fixed weights logs no propensity, so its first attempts get it here.
"""

from __future__ import annotations

import datetime
import os
from pathlib import Path
from typing import Any, Final

import msgspec
import polars as pl
from msgspec import Struct
from scipy import stats

from fairlead.errors import ReadError
from fairlead.project import Project

__all__ = ["COLUMNS", "FOLDER", "Pushed", "contradicted", "fill", "read", "write"]

FOLDER: Final = "weights"
COLUMNS: Final = {"pushed.source": "source", "pushed.name": "request_model"}  # what a push is found by, and the route
_DOUBT: Final = 1e-4  # below this probability the log was not drawn by these shares


class Pushed(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The shares that a gateway draws by from `since` on: for each route that it tells apart, else for ''."""

    id: str
    since: datetime.datetime
    gateway: str
    sources: list[str]  # the readers of its log
    name: str | None  # that callers ask for; None where the log does not keep it
    policy: str
    policy_version: str
    requests: int  # that the shares were worked out on
    shares: dict[str, dict[str, float]]


def write(project: Project, pushed: Pushed) -> Path:
    """Keep what was pushed; the file is whole or not there."""
    folder = project.var / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    path, beside = folder / f"{pushed.id}.json", folder / f".{pushed.id}.json"
    beside.write_bytes(msgspec.json.format(msgspec.json.encode(pushed), indent=2))
    os.replace(beside, path)
    return path


def read(project: Project) -> list[Pushed]:
    """Give every push, the oldest first; ReadError where a file is damaged."""
    found = []
    for path in sorted((project.var / FOLDER).glob("*.json")):
        try:
            found.append(msgspec.json.decode(path.read_bytes(), type=Pushed))
        except (msgspec.MsgspecError, OSError) as fault:
            raise ReadError(f"{path}: not what `fairlead weights` writes ({fault}); restore or delete it") from fault
    return sorted(found, key=lambda one: (one.since, one.id))


def fill(rows: pl.DataFrame, pushes: list[Pushed]) -> pl.DataFrame:
    """Give the rows with the propensity of attempts that a gateway drew by pushed weights.

    Only a request's first attempt was drawn by them, so the others stay unknown; so does every attempt under a push
    whose shares the log contradicts (chi-square, p < 1e-4): it was not put in place, or endpoints were left out.
    """
    if not pushes or not rows.height:
        return rows
    route = rows["route"] if "route" in rows.columns else pl.repeat(None, rows.height, dtype=pl.String, eager=True)
    first = rows["start_time"] == rows.select(pl.col("start_time").min().over("request_id")).to_series()
    propensity, version, policy = rows["propensity"], rows["policy_version"], rows["policy_id"]
    open_ = propensity.is_null() & first
    for push, until in zip(pushes, _ends(pushes), strict=True):
        drawn = open_ & rows["pushed.source"].is_in(push.sources) & (rows["start_time"] >= push.since)
        if until is not None:
            drawn &= rows["start_time"] < until
        if push.name is not None:
            drawn &= (rows["pushed.name"] == push.name).fill_null(False)
        apart = sorted(push.shares.keys() - {""})
        for name, shares in push.shares.items():
            mine = drawn & (~route.is_in(apart).fill_null(False) if name == "" else (route == name).fill_null(False))
            if not contradicted(rows["endpoint"].filter(mine), shares):
                known = {endpoint: share for endpoint, share in shares.items() if share > 0}
                share = (
                    rows["endpoint"].replace_strict(known, default=None, return_dtype=pl.Float64).alias("propensity")
                )
                mine &= share.is_not_null()
                propensity = share.zip_with(mine, propensity)
                policy = policy.cast(pl.String).set(mine, "weights")
                version = version.cast(pl.String).set(mine, push.id)
    return rows.with_columns(propensity, policy, version)


def contradicted(endpoints: pl.Series, shares: dict[str, float]) -> bool:
    """Say whether drawing by these shares would hardly ever have given these endpoints.

    >>> contradicted(pl.Series(["a"] * 60 + ["b"] * 40), {"a": 0.5, "b": 0.5})
    False
    >>> contradicted(pl.Series(["a"] * 90 + ["b"] * 10), {"a": 0.5, "b": 0.5})
    True
    """
    counts: dict[Any, int] = dict(endpoints.drop_nulls().value_counts().iter_rows())
    total = sum(counts.values())
    if any(shares.get(name, 0.0) <= 0 for name in counts):
        return True
    expected = {name: share * total for name, share in shares.items() if share > 0}
    if not total or len(expected) < 2:
        return False
    off = sum((counts.get(name, 0) - mean) ** 2 / mean for name, mean in expected.items())
    return float(stats.chi2.sf(off, len(expected) - 1)) < _DOUBT


def _ends(pushes: list[Pushed]) -> list[datetime.datetime | None]:
    """Give when each push was followed by another for the same gateway and name."""
    return [
        min(
            (one.since for one in pushes[at + 1 :] if (one.gateway, one.name) == (push.gateway, push.name)),
            default=None,
        )
        for at, push in enumerate(pushes)
    ]
