"""The questions of the report, one SQL file each, asked of the lake's views."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any, Final

from fairlead import store

__all__ = ["TOP", "Ask", "question", "questions"]

TOP: Final = 8  # names shown of anything; the rest is summed up as "other"
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
        sql = question(name)
        known = {"from": self.start, "until": self.until, "now": self.now, "top": TOP} | more
        wanted = {key: known[key] for key in _PARAMETER.findall(sql)}
        asked = f"{name} {wanted}"
        if asked not in self.answers:
            self.answers[asked] = store.query(self.connection, sql, wanted or None).to_dicts()
        return self.answers[asked]

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
