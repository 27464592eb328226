"""What the predictors of traffic over time say, gathered once for the page."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
from msgspec import Struct

from fairlead import features, store
from fairlead.errors import EvidenceError
from fairlead.project import Project
from fairlead.training.anomaly import hours
from fairlead.training.anomaly.detect import Anomaly, detect
from fairlead.training.anomaly.find import champion
from fairlead.training.anomaly.trace import Point, trace
from fairlead.training.demand import forecast
from fairlead.training.demand.budget import Outlook, outlook
from fairlead.training.drift import Check, drift

__all__ = ["Looked", "look"]

_DAYS = 7


class Looked(Struct, frozen=True, kw_only=True):
    """The forecast, the month's outlook, anomalies with the days around them by place, and the checks of drift."""

    forecast: pl.DataFrame
    outlook: Outlook | None = None
    anomalies: Sequence[Anomaly] = ()
    traces: dict[int, list[Point]] = {}
    checks: Sequence[Check] = ()


def look(project: Project) -> Looked:
    """Ask the champions; all is empty where nothing was trained or there is no traffic."""
    nothing = Looked(forecast=pl.DataFrame(schema=forecast.COLUMNS))
    if not project.registry.is_dir():
        return nothing
    usual = champion(project)
    connection = store.open_lake(project.lake).connect()
    try:
        features.make_views(connection, features.rules_of(project))
        recent = hours.read(connection, days=_DAYS)
        coming, money = forecast.forecast(project), outlook(project)
    except EvidenceError:
        return nothing
    finally:
        connection.close()
    found: list[Anomaly] = []
    if usual is not None:
        found = detect(usual.baselines, recent.aligned(usual.slices), usual.plan.false_discovery_rate)
    return Looked(
        forecast=coming,
        outlook=money,
        anomalies=found,
        traces={place: trace(usual, recent, one) for place, one in enumerate(found)} if usual else {},
        checks=drift(project),
    )
