"""The questions of the report, one SQL file each, asked of the lake's views."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from importlib.resources import files
from typing import Any, Final

import polars as pl

from fairlead import store
from fairlead.errors import StoreError
from fairlead.features import make_views, rules_of
from fairlead.project import Project

__all__ = ["TOP", "Ask", "prepare", "question", "questions", "window"]

TOP: Final = 8  # names shown of anything; the rest is summed up as "other"
_DAYS: Final = 30
_PARAMETER: Final = re.compile(r"\$([a-z_]+)")


@dataclass(frozen=True, slots=True)
class Ask:
    """A connection to the lake's views, and the window of time that is asked about."""

    connection: Any  # duckdb's, which only the store may name
    start: datetime
    until: datetime
    now: datetime
    answers: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # several sections ask the same

    def __call__(self, name: str, **more: Any) -> list[dict[str, Any]]:
        """Give the answer to sql/`name`.sql as rows."""
        sql, wanted = self._filled(name, more)
        asked = f"{name} {wanted}"
        if asked not in self.answers:
            self.answers[asked] = store.query(self.connection, sql, wanted or None).to_dicts()
        return self.answers[asked]

    def frame(self, name: str) -> pl.DataFrame:
        """Give the answer to sql/`name`.sql as a frame, where it has many rows."""
        sql, wanted = self._filled(name, {})
        return store.query(self.connection, sql, wanted)

    def _filled(self, name: str, more: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        sql = question(name)
        known = {"from": self.start, "until": self.until, "now": self.now, "top": TOP} | more
        return sql, {key: known[key] for key in _PARAMETER.findall(sql)}

    def one(self, name: str, **more: Any) -> dict[str, Any]:
        """Give the single row that answers sql/`name`.sql."""
        return self(name, **more)[0]

    @property
    def first_day(self) -> date:
        """The window's first day (UTC)."""
        return self.start.date()

    @property
    def last_day(self) -> date:
        """The window's last day (UTC)."""
        return (self.until - timedelta(microseconds=1)).date()

    @property
    def days(self) -> int:
        """How many days the window has."""
        return (self.last_day - self.first_day).days + 1


def window(connection: store.Connection, now: datetime) -> Ask:
    """Give the last 30 days of traffic to ask about, the last of them that of the newest attempt."""
    span = Ask(connection, now, now, now).one("span")
    newest = span["newest"] or now
    until = datetime.combine(newest.date() + timedelta(days=1), time(), UTC)
    oldest = span["oldest"] or until
    start = max(until - timedelta(days=_DAYS), datetime.combine(oldest.date(), time(), UTC))
    return Ask(connection, start, until, now)


def prepare(connection: store.Connection, project: Project) -> None:
    """Make what several questions share, once: the labels, and what each model can hold."""
    make_views(connection, rules_of(project))
    for name in ("request_feedback", "labels"):
        connection.execute(f"create or replace temp table {name} as select * from {name}")
    connection.execute(f"create or replace temp table model_context as {_contexts(connection, project)}")


def _contexts(connection: store.Connection, project: Project) -> str:
    """Give the query for what each model can hold; a price file that cannot be read is spoken of under costs."""
    with suppress(StoreError):
        if project.prices.is_file():
            store.load_prices(connection, project.prices)
            if "context_window" in connection.sql("select * from price_list limit 0").columns:
                return (
                    "select lower(model) as model, max(context_window) as tokens from price_list group by lower(model)"
                )
    return "select '' as model, 0 as tokens where false"


@cache
def question(name: str) -> str:
    """Give the text of sql/`name`.sql."""
    return (files(__package__) / "sql" / f"{name}.sql").read_text(encoding="utf-8")


def questions() -> list[str]:
    """Give the names of all questions."""
    return sorted(
        entry.name.removesuffix(".sql")
        for entry in (files(__package__) / "sql").iterdir()
        if entry.name.endswith(".sql")
    )
