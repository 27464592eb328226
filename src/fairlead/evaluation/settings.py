"""The frontier of policy settings: what each costs, how long it takes and how good it is, and which ones to look at.

Settings are compared on the first days, where the Pareto-optimal ones are picked; the figures beside them are of later
days, on which nothing was picked, so they are not flattered by the choice.
"""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import Struct

from fairlead.errors import EvidenceError, ReadError
from fairlead.evaluation import operating_point
from fairlead.evaluation.bounds import Tail
from fairlead.evaluation.evidence import Evidence, split
from fairlead.evaluation.intervals import Estimate, mean
from fairlead.evaluation.optimise import grid
from fairlead.evaluation.reach import Limits, limits_of, tail_of
from fairlead.scoring import whole

__all__ = ["NAME", "Frontier", "Setting", "measure", "optimal", "read", "settings_of", "write"]

NAME: Final = "frontier.json"
_ROWS: Final = 10_000  # requests of each part; more would narrow intervals that are narrow already
_PRICES: Final = 11
_SECONDS: Final = (1 / 3, 2 / 3)  # where among the prices of a second that turn choices
_FLOORS: Final = (0.25, 0.5)  # quantiles of the best lower bound of quality a request has


class Setting(Struct, frozen=True, kw_only=True):
    """One setting of `intelligent`: as it looked when it was compared, and what later days say. Means a request."""

    parameters: dict[str, float]
    optimal: bool  # no other was at least as good in cost, time and quality, and better in one
    chosen_quality: float
    chosen_cost_usd: float
    chosen_p95_s: float | None
    quality: Estimate | None = None  # None where the logs cannot tell
    cost_usd: Estimate | None = None
    p95_s: Tail | None = None


class Frontier(Struct, frozen=True, kw_only=True):
    """Every setting that was compared, and what was logged on the later days."""

    made_at: datetime.datetime
    chosen_requests: int
    confirmed_requests: int
    confirmed_from: datetime.datetime
    confirmed_until: datetime.datetime
    logged_quality: Estimate
    logged_cost_usd: Estimate
    settings: list[Setting]


def measure(evidence: Evidence, *, now: datetime.datetime | None = None) -> Frontier:
    """Compare a grid of price, weight of time and quality floor on the first days, and value it on the later ones."""
    first, later = (part.thinned(_ROWS) for part in split(evidence))
    timed = bool(np.isfinite(first.latency_s).any() and np.isfinite(later.latency_s).any())
    limits = [limits_of(part) if timed else None for part in (first, later)]
    looked = [(one, *_looks(first, one, limits[0])) for one in settings_of(first)]
    kept = _distinct(looked)
    best = optimal(np.array([row[1:] for row in kept], dtype=np.float64))
    settings = [
        _valued(
            later,
            Setting(
                parameters=one,
                optimal=bool(good),
                chosen_cost_usd=cost,
                chosen_quality=-worse,
                chosen_p95_s=p95 if timed else None,
            ),
            limits[1],
        )
        for (one, cost, worse, p95), good in zip(kept, best, strict=True)
    ]
    start, end = (datetime.datetime.fromtimestamp(at, datetime.UTC) for at in (later.time.min(), later.time.max()))
    return Frontier(
        made_at=now or datetime.datetime.now(datetime.UTC),
        chosen_requests=len(first),
        confirmed_requests=len(later),
        confirmed_from=start,
        confirmed_until=end,
        logged_quality=mean("quality", later.logged_quality).estimate(),
        logged_cost_usd=mean("cost_usd", later.logged_cost_usd).estimate(),
        settings=settings,
    )


def settings_of(evidence: Evidence) -> list[dict[str, float]]:
    """Give the grid: prices of a dollar x prices of a second x quality floors, the plain ones first."""
    own = evidence.candidates
    prices = [float(price) for price in grid(evidence, _PRICES)]
    seconds, floors = [0.0], [None, *_floors(evidence)]
    if np.isfinite(own.latency_s).any():
        turns = operating_point.price_grid(np.where(own.eligible, own.quality, np.nan), own.latency_s, 12)
        seconds += [float(turns[int(part * (len(turns) - 1))]) for part in _SECONDS if len(turns) > 1]
    return [
        {"usd_price": price}
        | ({"second_price": second} if second else {})
        | ({} if floor is None else {"quality_floor": floor})
        for floor in floors
        for second in dict.fromkeys(seconds)
        for price in prices
    ]


def optimal(costs: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Say which rows (n, d) no other row is at least as low in everything and lower in something: (n,) bool.

    >>> optimal(np.array([[1.0, 2.0], [2.0, 1.0], [2.0, 2.0]])).tolist()
    [True, True, False]
    """
    no_more = (costs[:, None, :] <= costs[None, :, :]).all(axis=2)
    less = (costs[:, None, :] < costs[None, :, :]).any(axis=2)
    beaten = (no_more & less).any(axis=0)
    return np.asarray(~beaten)


def write(folder: Path, found: Frontier) -> Path:
    """Write `frontier.json` into a folder, at once."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / NAME
    whole.write(path, msgspec.json.format(msgspec.json.encode(found), indent=2))
    return path


def read(folder: Path) -> Frontier | None:
    """Read what `write` wrote; None where there is nothing, ReadError where it is damaged."""
    path = folder / NAME
    if not path.is_file():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=Frontier)
    except msgspec.DecodeError as fault:
        raise ReadError(
            f"{path}: no frontier ({fault}); delete it, `fairlead publish --frontier` makes it anew"
        ) from fault


def _looks(evidence: Evidence, parameters: dict[str, float], limits: Limits | None) -> tuple[float, float, float]:
    """What is to be low: cost, quality lost, seconds."""
    chances = evidence.choices(parameters)
    p95 = 0.0 if limits is None else tail_of(chances, limits).value
    return evidence.spend(chances).value, -float(evidence.of(evidence.quality, chances).mean()), p95


def _valued(evidence: Evidence, setting: Setting, limits: Limits | None) -> Setting:
    chances = evidence.choices(setting.parameters)
    if not evidence.support(chances).can_tell:
        return setting
    return msgspec.structs.replace(
        setting,
        quality=mean("quality", evidence.of(evidence.quality, chances)).estimate(),
        cost_usd=evidence.spend(chances).estimate(),
        p95_s=None if limits is None else _finite(tail_of(chances, limits)),
    )


def _finite(tail: Tail) -> Tail | None:
    return tail if np.isfinite([tail.value, tail.low, tail.high]).all() else None


def _floors(evidence: Evidence) -> list[float]:
    own = evidence.candidates
    low = np.where(own.eligible & np.isfinite(own.quality_low), own.quality_low, -np.inf).max(axis=1)
    known = low[np.isfinite(low)]
    return [float(np.round(np.quantile(known, part), 3)) for part in _FLOORS] if known.size else []


def _distinct(looked: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Settings that look alike to three digits are one: the plainest of them."""
    kept: dict[tuple[str, ...], tuple[Any, ...]] = {}
    for row in looked:
        kept.setdefault(tuple(f"{value:.3g}" for value in row[1:]), row)
    if not kept:
        raise EvidenceError("there is no setting to compare; bring endpoints that differ in cost")
    return list(kept.values())
