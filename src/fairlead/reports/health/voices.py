"""Whose words the labels are: judges held against people, and which endpoints' answers are preferred."""

from __future__ import annotations

from typing import Final

from fairlead.features import abilities
from fairlead.reports import formats
from fairlead.reports.health.check import Check
from fairlead.reports.queries import Ask

__all__ = ["checks"]

_GROUP: Final = "feedback"
_SHOWN: Final = 3


def checks(ask: Ask) -> list[Check]:
    """Check the judges and the comparisons there are, over all that was ever said."""
    return [check for check in (_judges(ask), _preferences(ask)) if check is not None]


def _judges(ask: Ask) -> Check | None:
    rows = ask("health_judges")
    if not rows:
        return None
    deaf = [row for row in rows if not row["useful"]]
    few = [row for row in rows if row["useful"] and not row["known"]]
    return Check(
        name="judges",
        group=_GROUP,
        value=formats.count(len(rows)),
        verdict="bad" if deaf else "look" if few else "fine",
        meaning=". ".join(
            f"{formats.visible(row['judge'])} {formats.visible(row['told'], 300)}" for row in rows[:_SHOWN]
        )
        + ".",
        action="Have people or tests score a sample of what a judge scores." if few or deaf else "",
        threshold="look: scored too few requests that people or tests did; bad: no agreement with them is seen",
    )


def _preferences(ask: Ask) -> Check | None:
    rows = [(row["one"], row["other"], row["outcome"]) for row in ask("health_compared")]
    found = abilities(rows)
    if not found:
        return None
    words = "; ".join(
        f"{formats.visible(one.endpoint)} is preferred to a middling one in {one.preferred:.0%} "
        f"[{one.low:.0%}, {one.high:.0%}] of {one.comparisons:,}"
        for one in found[:_SHOWN]
    )
    clear = found[0].low > found[-1].high
    return Check(
        name="preferences",
        group=_GROUP,
        value=f"{len(rows):,}",
        verdict="fine" if clear else "look",
        meaning=f"{words}.",
        action="" if clear else "More comparisons are needed to tell the best endpoint from the worst.",
        threshold="look: the intervals of the most and the least preferred endpoint overlap",
    )
