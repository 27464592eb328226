"""One look at everything that can go wrong by itself: anomalies, drift, and demand against the budget."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from msgspec import Struct

from fairlead.errors import AlarmError, EvidenceError
from fairlead.project import Project
from fairlead.training.anomaly.detect import Anomaly
from fairlead.training.anomaly.find import find
from fairlead.training.demand.budget import Outlook, outlook
from fairlead.training.drift import Check, drift, should_retrain, worst

__all__ = ["Watch", "watch"]


class Watch(Struct, frozen=True, kw_only=True):
    """What one look found. `retrain` says why to train again, None when nothing asks for it."""

    verdict: Literal["ok", "retrain", "alarm"]
    alarms: list[str]
    retrain: str | None
    anomalies: list[Anomaly]
    drift: list[Check]
    budget: Outlook | None
    unknown: list[str]

    def raise_alarm(self) -> None:
        """Raise AlarmError when there is an alarm: that is how a scheduled run tells its own scheduler."""
        if self.alarms:
            raise AlarmError("; ".join(self.alarms))


def watch(project: Project, *, as_of: datetime | None = None) -> Watch:
    """Look for anomalies in the newest hours, for drift since the training, and whether the budget lasts.

    The verdict is alarm when somebody should look now: an anomaly, drift that is grave, or a budget that runs out this
    month. What could not be looked at is named in `unknown`: no data is not a pass.
    """
    unknown: list[str] = []
    try:
        anomalies = find(project, as_of=as_of)
        money = outlook(project, as_of=as_of)
    except EvidenceError as fault:  # a store without traffic
        anomalies, money = [], None
        unknown.append(str(fault))
    checks = drift(project, as_of=as_of)
    if not checks:
        unknown.append("nothing was trained yet; run `fairlead train`")
    unknown += [f"{check.group}, {check.name}: {check.reason}" for check in checks if check.verdict == "unknown"]
    alarms = [anomaly.words for anomaly in anomalies]
    alarms += [f"{check.group}, {check.name}: {check.reason}" for check in checks if check.verdict == "alarm"]
    if money is not None and money.runs_out is not None:
        alarms.append(money.words)
    retrain = should_retrain(checks)
    gravest = worst(checks)
    return Watch(
        verdict="alarm" if alarms else "retrain" if gravest == "retrain" else "ok",
        alarms=alarms,
        retrain=retrain,
        anomalies=anomalies,
        drift=checks,
        budget=money,
        unknown=unknown,
    )
