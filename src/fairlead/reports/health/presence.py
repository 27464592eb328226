"""What appeared, what fell silent, and days of which logs are missing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from fairlead.reports import formats
from fairlead.reports.health.check import Check, Rows, listed, nothing
from fairlead.reports.queries import Ask

__all__ = ["checks"]

_GROUP: Final = "presence"
_NEW: Final = timedelta(days=7)
_HISTORY: Final = timedelta(days=14)  # with less, everything is new
_DAYS, _SHARE_OF_DAYS = 5, 0.6
_TIMES: Final = 3
_LEAST_H: Final = 24


def checks(ask: Ask) -> list[Check]:
    """Check when sources, models, endpoints, teams and feedback were seen."""
    seen = ask("health_seen")
    if not seen:
        names = ("newly seen", "fallen silent", "feedback that stopped", "days with few rows")
        return [nothing(name, _GROUP, "Nothing has been ingested for these days.") for name in names]
    silent = [row for row in seen if _is_silent(row)]
    return [
        _new(ask, seen),
        _silent("fallen silent", [row for row in silent if row["kind"] != "feedback"], (
            "Look whether that log is still exported and its caller still runs; else it was switched off.")),
        _silent("feedback that stopped", [row for row in silent if row["kind"] == "feedback"], (
            "Look whether the evaluator still runs and its results are still ingested.")),
        _days(ask),
    ]  # fmt: skip


def _new(ask: Ask, seen: Rows) -> Check:
    oldest = seen[0]["oldest"]
    if oldest is None or oldest > ask.until - _HISTORY:
        return nothing("newly seen", _GROUP, "The logs reach back less than 14 days: everything in them is new.")
    found = [row for row in seen if row["first_seen"] >= ask.until - _NEW]
    return Check(
        name="newly seen",
        group=_GROUP,
        value=formats.count(len(found)),
        verdict="look" if found else "fine",
        meaning=f"Seen first in the last 7 days: {_names(found)}."
        if found
        else "No source, model, endpoint, team or kind of feedback is new.",
        action="If nobody added it, look for a changed name or a stray key." if found else "",
        threshold="look: any first seen in the last 7 days, where logs reach back 14",
    )


def _is_silent(row: dict[str, Any]) -> bool:
    daily = row["days"] >= _DAYS and row["share_of_days"] >= _SHARE_OF_DAYS
    return bool(daily and row["silent_h"] > max(_LEAST_H, _TIMES * row["usual_gap_h"]))


def _silent(name: str, rows: Rows, action: str) -> Check:
    rows = sorted(rows, key=lambda row: (-row["silent_h"] / row["usual_gap_h"], row["kind"], row["name"]))
    words = "Everything that was seen daily is still seen."
    if rows:
        hours = formats.seconds(3600 * rows[0]["silent_h"])
        words = f"Seen daily, then silent for over 3 times their usual gap: {_names(rows)}; the first for {hours}."
    return Check(
        name=name,
        group=_GROUP if name == "fallen silent" else "feedback",
        value=formats.count(len(rows)),
        verdict="look" if rows else "fine",
        meaning=words,
        action=action if rows else "",
        threshold="look: silent over 24 hours and 3 times the usual gap",
    )


def _names(rows: Rows) -> str:
    return listed([f"{row['kind']} {row['name']}" for row in rows])


def _days(ask: Ask) -> Check:
    rows = ask("health_days")
    few = [row for row in rows if row["missing"]]
    empty = [row for row in few if not row["n"]]
    words = "No day has under a quarter of the attempts usual for its source and kind of day."
    if few:
        days = listed([_day(row) for row in few])
        words = f"Far fewer attempts than usual: {days}."
    return Check(
        name="days with few rows",
        group=_GROUP,
        value=formats.count(len(few)),
        verdict="bad" if empty else "look" if few else "fine",
        meaning=words,
        action="Look for a log file of that day that was not ingested, then ingest it." if few else "",
        threshold="look: under 25 % of the usual, where that is 20 or more; bad: none at all",
    )


def _day(row: dict[str, Any]) -> str:
    return f"{row['name']} on {formats.day(row['day'])} ({row['n']:,} of {row['usual']:,.0f})"
