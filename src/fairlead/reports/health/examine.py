"""Runs every check on a project's data."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from msgspec import Struct

from fairlead import store
from fairlead.evaluation.judgement import Judgement
from fairlead.project import Project
from fairlead.reports import judgement
from fairlead.reports.health import clocks, labels, loads, money, presence, values, voices
from fairlead.reports.health.check import Check
from fairlead.reports.queries import Ask, prepare, window
from fairlead.store import Fault, Lake

__all__ = ["Health", "examine", "health"]


class Health(Struct, frozen=True, kw_only=True):
    """All checks, and the days that they looked at; loads are checked whatever their days."""

    made_at: datetime
    since: datetime
    until: datetime
    checks: list[Check]

    @property
    def bad(self) -> list[str]:
        """The names of the checks that are red."""
        return [check.name for check in self.checks if check.verdict == "bad"]


def health(project: Project, *, now: datetime | None = None) -> Health:
    """Check the data of the project's last 30 days of traffic; what is damaged is named and left out of the rest."""
    now = (now or datetime.now(UTC)).astimezone(UTC)
    lake = store.open_lake(project.lake)
    faults = lake.verify()
    connection = lake.connect(without=faults)
    try:
        prepare(connection, project)
        ask = window(connection, now)
        found = examine(ask, lake, judgement.read(project.var / "judgements" / "latest.json"), faults)
    finally:
        connection.close()
    return Health(made_at=now, since=ask.start, until=ask.until, checks=found)


def examine(ask: Ask, lake: Lake, judged: Judgement | None, faults: Sequence[Fault]) -> list[Check]:
    """Run every check; `faults` is what `lake.verify` found."""
    span = ask.one("span")
    sources = len({row["name"] for row in ask("health_seen") if row["kind"] == "source"})
    return [
        *loads.checks(ask, lake, faults),
        *clocks.checks(ask, span),
        *values.checks(ask, sources),
        *money.checks(ask, judged),
        *presence.checks(ask),
        *labels.checks(ask),
        *voices.checks(ask),
    ]
