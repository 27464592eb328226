"""What is out of the ordinary now, and whether what was learned still holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from markupsafe import Markup, escape

from fairlead.reports import charts_watch, formats, tables
from fairlead.reports.page import Block, Section
from fairlead.training.anomaly.detect import Anomaly
from fairlead.training.anomaly.trace import Point
from fairlead.training.demand.budget import Outlook
from fairlead.training.drift import Check, worst

__all__ = ["alerts", "section"]

_DRAWN: Final = 4
_ORDER: Final = {"alarm": 0, "retrain": 1, "unknown": 2, "ok": 3}
_SAID: Final = {"alarm": "alarm", "retrain": "train again", "unknown": "too little data", "ok": "ok"}
_DRIFT_NOTE: Final = (
    "What came after the training, against the training. A check asks for training only where the change lasts or is "
    "beyond chance, so that quiet traffic stays quiet."
)


def section(anomalies: Sequence[Anomaly], traces: Mapping[int, Sequence[Point]], checks: Sequence[Check]) -> Section:
    """Show the anomalies of the newest hours with the days around them, and every check of drift."""
    blocks = [
        Block(charts_watch.anomaly(place, found, traces[place]), _title(found), formats.visible(found.words, 400))
        for place, found in enumerate(anomalies[:_DRAWN])
        if place in traces
    ]
    more = [found.words for place, found in enumerate(anomalies) if place >= _DRAWN or place not in traces]
    if more:
        blocks.append(Block(tables.table("anomalies", [tables.texts("also", more)]), wide=True))
    if checks:
        blocks.append(Block(_drift(checks), "Does what was learned still hold?", _DRIFT_NOTE, wide=True))
    return Section("watch", "What is out of the ordinary", _lead(anomalies, checks), blocks)


def alerts(anomalies: Sequence[Anomaly], money: Outlook | None) -> list[str]:
    """Give what belongs at the top of the page: the surest anomaly, and a budget that runs out."""
    found = []
    if anomalies:
        more = f" {len(anomalies) - 1} more below." if len(anomalies) > 1 else ""
        found.append(f"Out of the ordinary: {formats.visible(anomalies[0].words, 400)}.{more}")
    if money is not None and money.runs_out is not None:
        found.append(f"The month's budget runs out on {formats.moment(money.runs_out)}.")
    return found


def _lead(anomalies: Sequence[Anomaly], checks: Sequence[Check]) -> str:
    if not anomalies and not checks:
        return "Nothing is watched yet: “fairlead train” learns what is usual once there are four days of traffic."
    first = f"{len(anomalies)} in the newest hours." if anomalies else "Nothing in the newest hours."
    verdict = worst(list(checks))
    if not checks:
        return first
    said = {
        "ok": "What was learned still holds.",
        "retrain": "What was learned has aged: train again.",
        "alarm": "What was learned does not hold any more: look at the red lines below.",
    }
    return f"{first} {said.get(verdict, '')}".strip()


def _title(found: Anomaly) -> str:
    where = (
        "all traffic"
        if found.slice.kind == "total"
        else f"{found.slice.kind} “{formats.visible(found.slice.name, 60)}”"
    )
    return f"{found.measure.capitalize()}, {where}"


def _drift(checks: Sequence[Check]) -> Any:
    rows = sorted((one for one in checks if one.verdict != "ok"), key=lambda one: (_ORDER[one.verdict], one.group))
    groups = dict.fromkeys(check.group for check in checks if check.verdict == "ok")
    rows += [_together([one for one in checks if one.group == group and one.verdict == "ok"]) for group in groups]
    marks = [
        Markup('<strong class="bad">{}</strong>').format(_SAID[row.verdict])
        if row.verdict in ("alarm", "retrain")
        else escape(_SAID[row.verdict])
        for row in rows
    ]
    return tables.table(
        "drift",
        [
            tables.Column("verdict", [Markup(mark) for mark in marks], "left"),  # noqa: S704 - escaped above
            tables.names("what", [f"{row.group}: {row.name}" for row in rows]),
            tables.texts("because", [row.reason for row in rows], 300),
        ],
    )


def _together(checks: Sequence[Check]) -> Check:
    """Say in one line what is well with a group of checks."""
    if len(checks) == 1:
        return checks[0]
    reason = f"{len(checks)} checks are as in training: {', '.join(check.name for check in checks)}"
    return Check(name="all the others", group=checks[0].group, verdict="ok", reason=reason)
