"""The anomalies of a project's newest hours, by the champion."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from fairlead import features, store
from fairlead.project import Project
from fairlead.training.anomaly import hours, model
from fairlead.training.anomaly.detect import Anomaly, detect
from fairlead.training.anomaly.measures import MEASURES
from fairlead.training.registry import Registry

__all__ = ["NAME", "champion", "find"]

NAME: Final = "anomaly"
_DAYS: Final = max(max(measure.spans) for measure in MEASURES) / 24


def find(project: Project, *, as_of: datetime | None = None) -> list[Anomaly]:
    """Give what is out of the ordinary in the spans that end with the newest whole hour, the surest first.

    Empty until an anomaly predictor was trained. With `as_of` only what was known at that moment is looked at. A slice
    that the predictor does not know (a new team) counts in the totals until the next training.
    """
    usual = champion(project)
    if usual is None:
        return []
    connection = store.open_lake(project.lake).connect(as_of=as_of)
    try:
        features.make_views(connection, features.rules_of(project))
        newest = hours.read(connection, until=as_of, days=_DAYS)
    finally:
        connection.close()
    return detect(usual.baselines, newest.aligned(usual.slices), usual.plan.false_discovery_rate)


def champion(project: Project) -> model.Usual | None:
    """Give the anomaly predictor in force; None when there is none yet."""
    found = Registry.of(project).champion(NAME)
    return model.read(found.folder) if found else None
