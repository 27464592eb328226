"""Runs every check of drift on a project: what came after the training, against the training."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import polars as pl

from fairlead import features, store
from fairlead.errors import EvidenceError, ModelError
from fairlead.project import Project
from fairlead.training import logs, spec
from fairlead.training.anomaly import hours
from fairlead.training.champions import champion_of
from fairlead.training.drift import errors, inputs, latency, prices, rows
from fairlead.training.drift.check import Check, unknown, worst
from fairlead.training.frame import Frame
from fairlead.training.predictor import TrainedPredictor
from fairlead.training.registry import Registry

__all__ = ["drift", "should_retrain"]

Array = np.ndarray[Any, Any]
_DAY_S: Final = 86400.0


def drift(project: Project, *, as_of: datetime | None = None) -> list[Check]:
    """Compare what came after the champions' training with their training: inputs, errors, bounds, latency, prices.

    With `as_of` only what was known at that moment is looked at. A check that has too little to look at says so. Empty
    until something was trained.
    """
    champions, checks = _champions(project)
    if not champions:
        return checks
    first = champions[0]
    since, until = (datetime.fromtimestamp(moment, UTC) for moment in (first.trained_from, first.trained_until))
    seen = rows.read(project, first.trained_until, [one.trained_until for one in champions], as_of)
    try:
        frame = logs.frame_of(seen.joined)
    except EvidenceError as fault:
        return [*checks, unknown("requests", "inputs", str(fault))]
    after = frame.time > first.trained_until
    if after.any() and frame.time[after].max() - first.trained_until >= _DAY_S:
        before = _among(frame.ids, seen.sample)
        learned, fresh = (frame.take(np.flatnonzero(side)).aligned(first) for side in (before, after))
        checks += inputs.checks(learned, fresh, *_strange(seen, first, until))
    else:  # the hours of a part of a day are not spread as a whole one's
        checks.append(unknown("request features", "inputs", "less than a day of requests since the training"))
    for champion in champions:
        fresh = _fresh(frame, champion, seen.again[champion.trained_until])
        checks += errors.checks(champion, fresh)
    connection = store.open_lake(project.lake).connect(as_of=as_of)
    try:
        features.make_views(connection, features.rules_of(project))
        checks += latency.checks(hours.read(connection, until=as_of, labels=False), since, until)
        newest = datetime.fromtimestamp(float(frame.time.max()), UTC)
        checks += prices.checks(connection, project, until, as_of or newest)
    finally:
        connection.close()
    return checks


def should_retrain(checks: list[Check]) -> str | None:
    """Say why to train again; None when no check asks for it. For a schedule that trains only when it is worth it."""
    asking = [check for check in checks if check.verdict in ("retrain", "alarm")]
    if worst(checks) in ("ok", "unknown"):
        return None
    return "; ".join(f"{check.group}, {check.name}: {check.reason}" for check in asking)


def _champions(project: Project) -> tuple[list[TrainedPredictor], list[Check]]:
    """Read the champions of the predictors that learn from requests; one that cannot be read is said to be unknown."""
    registry = Registry.of(project)
    champions, checks = [], []
    for one in spec.read_all(project.models):
        try:
            found = champion_of(registry, one.name)
        except ModelError as fault:
            checks.append(unknown(one.name, "errors", str(fault)))
            continue
        if found is not None:
            champions.append(found.predictor)
    return champions, checks


def _fresh(frame: Frame, champion: TrainedPredictor, again: pl.Series) -> Frame:
    """Rows after a champion's training whose prompt it has not learned from, in order of time."""
    kept = np.flatnonzero((frame.time > champion.trained_until) & ~_among(frame.ids, again))
    return frame.take(kept[np.argsort(frame.time[kept], kind="stable")]).aligned(champion)


def _among(ids: Any, known: pl.Series) -> Array:
    found: Array = pl.Series(ids, dtype=pl.String).is_in(known.implode()).to_numpy()
    return found


def _strange(seen: rows.Compared, champion: TrainedPredictor, until: datetime) -> tuple[float, float]:
    """Share of rows with a category that the champion does not know, after the training and before."""
    strange, found = pl.lit(False), seen.joined.rows
    for name, known in champion.categories.items():
        if name in found.columns:
            strange = strange | (pl.col(name).is_not_null() & ~pl.col(name).is_in(known))
    share = found.select(strange.fill_null(False).cast(pl.Float64)).to_series().to_numpy()
    sides = (found["start_time"] > until).to_numpy(), _among(found["event_id"], seen.sample)
    after, before = (float(share[side].mean()) if side.any() else 0.0 for side in sides)
    return after, before
