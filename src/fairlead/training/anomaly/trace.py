"""The days around an anomaly: what was, beside what is usual, to be drawn."""

from __future__ import annotations

from datetime import datetime

import numpy as np
from msgspec import Struct

from fairlead.training.anomaly.detect import Anomaly
from fairlead.training.anomaly.hours import HOUR, Hours
from fairlead.training.anomaly.measures import MEASURES
from fairlead.training.anomaly.model import Usual

__all__ = ["Point", "trace"]

_BUCKET = 3  # hours that are drawn as one


class Point(Struct, frozen=True):
    """Three hours of a slice's measure: from when, what it was (None: nothing to measure), and what is usual then."""

    at: datetime
    value: float | None
    usual: float


def trace(usual: Usual, hours: Hours, anomaly: Anomaly) -> list[Point]:
    """Give the days that `hours` holds, for the slice and the measure of an anomaly, in the measure's unit."""
    measure = next(one for one in MEASURES if one.name == anomaly.measure)
    column = usual.slices.index(anomaly.slice)
    sums = measure.of(hours.aligned(usual.slices))
    expected = usual.baselines[measure.name].expected[:, column]
    week = (hours.start.weekday() * 24 + hours.start.hour + np.arange(len(hours))) % 168
    points = []
    for begin in range(len(hours) % _BUCKET, len(hours), _BUCKET):
        part = slice(begin, begin + _BUCKET)
        amount, whole = float(sums.part[part, column].sum()), float(sums.whole[part, column].sum())
        normal = float(expected[week[part]].sum() if measure.kind == "amount" else expected[week[part]].mean())
        value = amount if measure.kind == "amount" else amount / whole if whole else None
        if measure.kind == "time":
            value, normal = (None if one is None else float(np.exp(one)) for one in (value, normal))  # type: ignore[assignment]
        points.append(Point(hours.start + begin * HOUR, value, normal))
    return points
