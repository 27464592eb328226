"""Whether the times can be trusted: clocks ahead of ours, clocks that disagree, local times taken for UTC."""

from __future__ import annotations

from typing import Any

from fairlead.reports import formats
from fairlead.reports.health.check import Check, graded, listed, nothing
from fairlead.reports.queries import Ask

__all__ = ["checks"]

_GROUP = "clocks"
_STALE_H = 48
_AHEAD_BAD = 0.001
_LATE_H = 48
_APART_S, _APART_BAD_S = 2.0, 60.0
_LOADS = 3


def checks(ask: Ask, span: dict[str, Any]) -> list[Check]:
    """Check the times of the window's attempts, and of those dated after it."""
    names = ("freshness", "future starts", "ends before starts", "ingest lag", "clocks apart", "time zone")
    if span["newest"] is None:
        return [nothing(name, _GROUP, "Nothing has been ingested.") for name in names]
    rows = ask("health_clocks")
    return [_freshness(ask, span), _ahead(rows, span), _ends(ask, rows), _lag(rows), _apart(ask), _zone(ask)]


def _freshness(ask: Ask, span: dict[str, Any]) -> Check:
    age_h = (ask.now - span["newest"]).total_seconds() / 3600
    words = f"Newest attempt {formats.moment(span['newest'])}. Last ingested {formats.moment(span['last_ingested'])}."
    return Check(
        name="freshness",
        group=_GROUP,
        value=f"{formats.seconds(max(0.0, age_h * 3600))} old",
        verdict="look" if age_h > _STALE_H else "fine",
        meaning=words,
        action="Look whether the export and the ingest schedule still run." if age_h > _STALE_H else "",
        threshold="look: over 48 hours",
    )


def _ahead(rows: list[dict[str, Any]], span: dict[str, Any]) -> Check:
    little, far = (sum(row[key] for row in rows) for key in ("ahead_a_little", "ahead"))
    total = sum(row["attempts"] for row in rows)
    words = f"{formats.count(little)} attempts start up to five minutes after they were ingested, {far:,} later still"
    words += f" ({listed([row['name'] for row in rows if row['ahead']])})." if far else "."
    if span["future"]:
        words += f" {span['future']:,} attempts are dated more than a day after this report, and are left out of it."
    worse = far / total > _AHEAD_BAD if total else False
    return Check(
        name="future starts",
        group=_GROUP,
        value=formats.count(little + far),
        verdict="bad" if worse else "look" if little + far else "fine",
        meaning=words,
        action="Set the gateway's clock by NTP; look whether it writes local time without a zone."
        if little + far
        else "",
        threshold="look: any; bad: over 1 in 1,000 more than five minutes ahead",
    )


def _ends(ask: Ask, rows: list[dict[str, Any]]) -> Check:
    after = sum(row["part_after_end"] for row in rows)
    refused = sum(row["before_start"] for row in ask("quarantine"))
    total = sum(row["attempts"] for row in rows) + refused
    return Check(
        name="ends before starts",
        group=_GROUP,
        value=formats.count(after + refused),
        verdict=graded((after + refused) / total if total else 0.0, 0.0, 0.001),
        meaning=f"{refused:,} lines were set aside because their end lies before their start; in {after:,} attempts the"
        " first part of the answer, or the provider's time, lies after the end.",
        action="Look which fields the source means by these; a mapping may have them the wrong way round."
        if after + refused
        else "",
        threshold="look: any; bad: over 1 in 1,000",
    )


def _lag(rows: list[dict[str, Any]]) -> Check:
    slow = [row for row in rows if row["p90_s"] is not None and row["p90_s"] > _LATE_H * 3600]
    worst = max(rows, key=lambda row: row["p90_s"] or 0.0)
    return Check(
        name="ingest lag",
        group=_GROUP,
        value=formats.seconds(worst["p50_s"]),
        verdict="look" if slow else "fine",
        meaning=f"Half of the attempts of {formats.visible(worst['name'])} were here within that time of their end, "
        f"nine in ten within {formats.seconds(worst['p90_s'])}.",
        action=f"A first load of old logs looks like this; else ingest {listed([row['name'] for row in slow])} oftener."
        if slow
        else "",
        threshold="look: nine in ten take over 48 hours",
    )


def _apart(ask: Ask) -> Check:
    # Two sources log different ends of one call, so a shift counts only where nearly all traces have the same.
    rows = [row for row in ask("health_source_clocks") if row["low_s"] * row["high_s"] > 0]
    worst = max(rows, key=lambda row: abs(row["shift_s"]), default=None)
    shift = abs(worst["shift_s"]) if worst else 0.0
    words = "No two sources date the same traces differently."
    if worst and shift > _APART_S:
        words = (
            f"On {worst['traces']:,} traces {formats.visible(worst['other'])} is {formats.seconds(shift)} "
            f"{'behind' if worst['shift_s'] > 0 else 'ahead of'} {formats.visible(worst['name'])} in the middle."
        )
    return Check(
        name="clocks apart",
        group=_GROUP,
        value=formats.seconds(shift) if worst else "–",
        verdict=graded(shift, _APART_S, _APART_BAD_S),
        meaning=words,
        action="Set both clocks by NTP; a shift of whole hours is a time zone." if shift > _APART_S else "",
        threshold="same trace in two sources, at least 20; look: over 2 s; bad: over a minute",
    )


def _zone(ask: Ask) -> Check:
    ahead = [row for row in ask("health_zones") if row["hours"] < 0]
    behind = [
        row
        for row in ask("health_zones")
        if row["hours"] > 0 and row["off"] >= _LOADS and row["off"] >= 0.8 * row["loads"]
    ]
    words = "No source's starts lie a whole number of hours off the moment they were ingested."
    if found := [*ahead, *behind]:
        words = "; ".join(
            f"{formats.visible(row['name'])}: the newest start lies {abs(row['hours']):g} hours "
            f"{'after' if row['hours'] < 0 else 'before'} its ingestion, in {row['off']:,} of {row['loads']:,} loads"
            for row in found[:3]
        )
        words += "."
    return Check(
        name="time zone",
        group=_GROUP,
        value=f"{found[0]['hours']:+g} h" if found else "–",
        verdict="bad" if ahead else "look" if behind else "fine",
        meaning=words,
        action="Local time is being read as UTC: have the source write its zone. An export made hours before it is "
        "loaded looks the same."
        if found
        else "",
        threshold="within 3 minutes of whole or half hours; look: behind in 3 loads and 80 % of them; bad: ahead",
    )
