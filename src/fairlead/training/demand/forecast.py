"""The forecast that reports, budgets and the watch read: what is coming, from the champion and the newest rows."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import numpy as np
import polars as pl

from fairlead import store
from fairlead.project import Project
from fairlead.training.demand import model
from fairlead.training.demand.windows import STEP, Windows, read
from fairlead.training.registry import Registry

__all__ = ["COLUMNS", "NAME", "ahead", "champion", "forecast"]

NAME: Final = "demand"
COLUMNS: Final[dict[str, Any]] = {
    "kind": pl.String,
    "name": pl.String,
    "measure": pl.String,
    "horizon": pl.String,
    "start": pl.Datetime("us", "UTC"),
    "until": pl.Datetime("us", "UTC"),
    "expected": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "before": pl.Float64,
}


def forecast(project: Project, *, as_of: datetime | None = None) -> pl.DataFrame:
    """Forecast requests, tokens and dollars of the next ten minutes, hour and day, in total, by route and by team.

    A row is one amount: `kind` (total, route, team), `name`, `measure`, `horizon`, the span it is of (`start` to
    `until`, UTC), what is `expected`, the interval `low` to `high`, and what the span `before` had. Empty until a
    demand predictor was trained. With `as_of` only what was known at that moment is looked at.
    """
    demand = champion(project)
    if demand is None:
        return pl.DataFrame(schema=COLUMNS)
    connection = store.open_lake(project.lake).connect(as_of=as_of)
    try:
        windows = read(connection, until=as_of)
    finally:
        connection.close()
    return ahead(demand, windows)


def champion(project: Project) -> model.Demand | None:
    """Give the demand predictor in force; None when there is none yet."""
    found = Registry.of(project).champion(NAME)
    return model.read(found.folder) if found else None


def ahead(demand: model.Demand, windows: Windows) -> pl.DataFrame:
    """Go on from where a demand predictor was trained over the newer windows, and forecast from the last one.

    Series that it does not know have no forecast; when its training lies before the windows, it starts anew on them.
    """
    windows = windows.aligned(demand.series)
    trained = windows.place(demand.trained_until)
    whole = 0 <= trained < len(windows.values)
    frames = []
    for horizon in demand.plan.spans():
        state = demand.states[horizon.name] if whole else None
        # What the champion knew at its last window is what the next one begins with.
        since = min(trained + 1, len(windows.values) - 1) if whole else 0
        made = model.run(windows, horizon, demand.plan.coverage, state=state, since=since)
        span = horizon.windows
        before = windows.values[-span:].sum(axis=0)
        count = len(windows.series)
        frames.append(
            pl.DataFrame(
                {
                    "kind": [one.kind for one in windows.series],
                    "name": [one.name for one in windows.series],
                    "measure": [one.measure for one in windows.series],
                    "horizon": [horizon.name] * count,
                    "start": [windows.end] * count,
                    "until": [windows.end + span * STEP] * count,
                    "expected": made.expected[-1],
                    "low": made.low[-1],
                    "high": made.high[-1],
                    "before": before if len(windows.values) >= span else np.full(count, np.nan),
                },
                schema=COLUMNS,
            )
        )
    return pl.concat(frames)
