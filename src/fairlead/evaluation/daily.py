"""The candidate looked at every day: the change of quality and of cost against the log, kept beside the judgements.

One file a snapshot, `var/judgements/sequences/VERSION.json`, holds what each day's contributions add up to. A day that
is judged again takes its own place, unless the log now holds less of it (a later `--since`, old rows that were
dropped): nothing is counted twice, and nothing that was counted is lost. What was learned and chosen before the days
came is what the interval's validity rests on, so a new snapshot begins a new sequence. A caller who comes back on
another day counts as another one.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import Struct, structs

from fairlead.errors import ReadError
from fairlead.evaluation import estimators
from fairlead.evaluation.case import Case
from fairlead.evaluation.judgement import Daily, Reading
from fairlead.evaluation.sequence import LEAST, Sequence
from fairlead.evaluation.valued import Valued
from fairlead.scoring import whole
from fairlead.scoring.manifest import Manifest

__all__ = ["Day", "Kept", "days_of", "kept_with", "updated"]

Array = np.ndarray[Any, Any]
_METRICS: Final = {"quality_change": "quality", "cost_change_usd": "cost_usd"}
_EXPECTED: Final = 5_000  # requests at which it is narrowest; fixed before the first look, wide of it a little wider


class Day(Struct, frozen=True, kw_only=True):
    """One day's requests: how many, their mean contribution, and the sum of squared distances from it."""

    day: datetime.date
    n: int
    mean: float
    squares: float


class Kept(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The state of a snapshot's sequences, as it lies on disk; days in the order of their dates."""

    created_at: str  # when the snapshot was: another one of the same version begins anew
    expected: int = _EXPECTED
    days: dict[str, list[Day]] = {}


def updated(folder: Path, manifest: Manifest, case: Case, candidate: Valued) -> Daily | None:
    """Count the days of a case, keep the state and read it; None where there is nothing to count.

    Raises ReadError naming the file when what was kept cannot be read.
    """
    path = folder / f"{manifest.version}.json"
    before = _read(path, manifest.created_at)
    found = {name: _days(case, candidate.chances, metric) for name, metric in _METRICS.items()}
    now = structs.replace(before, days={name: kept_with(before.days.get(name, []), found[name]) for name in _METRICS})
    if not any(now.days.values()):
        return None
    if now != before:
        _write(now, path)
    dates = sorted({one.day for days in now.days.values() for one in days})
    made = {name: _reading(now, name, told=candidate.verdict.can_tell) for name in _METRICS}
    return Daily(since=dates[0], days=len(dates), **made)


def kept_with(kept: Iterable[Day], found: Iterable[Day]) -> list[Day]:
    """Give the days of both, each once: as found now, unless more of it was kept.

    >>> monday = datetime.date(2026, 11, 2)
    >>> one, more = (Day(day=monday, n=n, mean=0.0, squares=1.0) for n in (10, 12))
    >>> [day.n for day in kept_with([one], [more])], [day.n for day in kept_with([more], [one])]
    ([12], [12])
    """
    days = {one.day: one for one in kept}
    for one in found:
        if one.day not in days or one.n >= days[one.day].n:
            days[one.day] = one
    return [days[day] for day in sorted(days)]


def days_of(values: Array, time: Array, cluster: Array | None = None) -> list[Day]:
    """Sum up contributions (n,) by the UTC day of `time` (n,), in seconds; requests of one `cluster` (n,) as one."""
    days = np.floor(time / 86_400).astype("datetime64[D]")
    found = []
    for day in np.unique(days):
        mine = days == day
        own, centre = values[mine], float(values[mine].mean())
        squares = float(np.square(own - centre).sum())
        if cluster is not None:
            _, who = np.unique(cluster[mine], return_inverse=True)
            sums = np.bincount(who, weights=own - centre)
            # Never narrower than of single requests: one caller alone on a day has no spread to show.
            squares = max(squares, float(np.square(sums).sum()) * len(sums) / max(len(sums) - 1, 1))
        found.append(Day(day=day.astype(object), n=len(own), mean=centre, squares=squares))
    return found


def _days(case: Case, chances: Array, metric: str) -> list[Day]:
    rows = case.usable[metric]
    if not rows.any():
        return []
    single = structs.replace(case, cluster=None)
    new = estimators.doubly_robust(single.logged(metric, chances, rows))
    change = new.contributions - single.status_quo(metric, rows).contributions
    return days_of(change, case.log.time[rows], None if case.cluster is None else case.cluster[rows])


def _reading(kept: Kept, name: str, *, told: bool) -> Reading | None:
    state = Sequence(expected=kept.expected)
    for one in kept.days[name]:
        state = state.merge(one.n, one.mean, one.squares)
    if not state.n:
        return None
    return Reading(state.mean, *state.interval()) if told and state.n >= LEAST else Reading(state.mean)


def _read(path: Path, created_at: str) -> Kept:
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=Kept)
    except FileNotFoundError:
        return Kept(created_at=created_at)
    except (msgspec.DecodeError, msgspec.ValidationError) as fault:
        raise ReadError(f"{path}: not a sequence ({fault}); remove it to begin anew") from fault
    return kept if kept.created_at == created_at else Kept(created_at=created_at)


def _write(kept: Kept, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    whole.write(path, msgspec.json.format(msgspec.json.encode(kept), indent=2))
