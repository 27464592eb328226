"""The one label of a request, from all that was said of it: what training, judge and reports read alike.

Views over the lake's: `feedback_scores` (each feedback from 0 to 1), `request_feedback` (which request it speaks of),
`labels` (one row a request), `preferences` and `asked_again`. What is known of each judge (noise.py) is taken when the
views are made. The rules are in features/sql/, the numbers here, and `[tool.fairlead.feedback]` changes them:

maturity = "7d"              # how long a request's feedback is waited for; a label that is missing sooner is unknown
asked_again = "10m"          # the same prompt of the same caller within this is the same question again
[…feedback.weights]          # human and code 9, llm 3, implicit 1, asked_again 0 (shown, not counted); of judges that
                             # were seen to agree with people or tests, what was seen counts instead
[…feedback.labels."name"]    # what the labels of a category are worth: good = 1.0
"""

from __future__ import annotations

import re
from datetime import timedelta
from functools import cache
from importlib.resources import files
from typing import Any, Final

from msgspec import Struct

from fairlead.errors import ProjectError
from fairlead.features.noise import Noise, noise_of, told
from fairlead.project import Project

__all__ = ["Rules", "make_views", "rules_of"]

_SCORES: Final = ("asked_again", "feedback_scores", "request_feedback", "evaluator_scores", "preferences")
_WEIGHTS: Final = {"human": 9.0, "code": 9.0, "llm": 3.0, "implicit": 1.0, "asked_again": 0.0}
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days"}
_SPAN: Final = re.compile(r"([1-9]\d{0,5})\s*([mhd])")


class Rules(Struct, frozen=True, kw_only=True):
    """How feedback becomes labels."""

    maturity: timedelta = timedelta(days=7)
    asked_again: timedelta = timedelta(minutes=10)
    weights: dict[str, float] = {}  # of kinds of evaluators, where they differ from ours
    labels: dict[str, dict[str, float]] = {}  # by name of the feedback: what its labels are worth


def rules_of(project: Project) -> Rules:
    """Read the project's rules; ProjectError names the key that is off."""
    where = f"{project.root / 'pyproject.toml'} [tool.fairlead.feedback]"
    settings = project.settings.get("feedback", {})
    if not isinstance(settings, dict):
        raise ProjectError(f"{where}: not a table; write [tool.fairlead.feedback] above its keys")
    _known(where, settings, Rules.__struct_fields__)
    weights = _shares(f"{where} weights", settings.get("weights", {}), None)
    _known(f"{where} weights", weights, _WEIGHTS)
    maps = settings.get("labels", {})
    if not isinstance(maps, dict):
        raise ProjectError(f'{where} labels: not a table; write [tool.fairlead.feedback.labels."name"]')
    return Rules(
        maturity=_span(where, "maturity", settings.get("maturity", "7d")),
        asked_again=_span(where, "asked_again", settings.get("asked_again", "10m")),
        weights=weights,
        labels={name: _shares(f'{where} labels."{name}"', worth, 1.0) for name, worth in maps.items()},
    )


def make_views(con: Any, rules: Rules) -> list[Noise]:
    """Define the views in a connection to the lake; they are as of the moment that its own views are of.

    Gives what is known of each judge by then.
    """
    weights = {**_WEIGHTS, **rules.weights}
    worth = [(name, label, score) for name, known in rules.labels.items() for label, score in known.items()]
    spans = f"interval {_us(rules.maturity)} microseconds as maturity, interval {_us(rules.asked_again)} microseconds"
    con.execute(f"create or replace view label_rules as select {spans} as asked_again")
    # Nothing was known after the last load, or after the newest row where a log is dated ahead of its loading.
    con.execute(
        "create or replace view label_horizon as select max(greatest(start_time, ingested_at)) as moment from attempts"
    )
    _values(con, "evaluator_weight", "weighed_as varchar, weight double", list(weights.items()))
    _values(con, "label_map", "name varchar, label varchar, score double", worth)
    for name in _SCORES:
        con.execute(f"create or replace view {name} as {_sql(name)}")
    con.execute(f"create or replace view compared as {_sql('compared')}")
    judges = noise_of(con, _sql("doubly_scored"))
    _make_labels(con, [one for one in judges if one.known])
    rows = [(one.judge, told(one), one.n, one.useful) for one in judges]
    _values(con, "judges", "judge varchar, told varchar, n bigint, useful boolean", rows)
    return judges


def _make_labels(con: Any, noise: list[Noise]) -> None:
    """Define `labels` on what is known of the judges: tables, since everything else would be computed twice."""
    columns = "judge varchar, slope double, intercept double, reliability double, useful boolean"
    rows = [(one.judge, one.slope, one.intercept, one.reliability, one.useful) for one in noise]
    _values(con, "evaluator_noise", columns, rows)
    bias = [(one.judge, endpoint, value) for one in noise for endpoint, value in one.bias.items()]
    _values(con, "evaluator_bias", "judge varchar, endpoint varchar, bias double", bias)
    nobody = "" if noise else " limit 0"  # who has no noise to take out needs no usual
    con.execute(f"create or replace temp table label_cells as {_sql('label_cells')}{nobody}")
    con.execute(f"create or replace view measured_labels as {_sql('measured_labels')}")
    con.execute(f"create or replace temp table label_usual as {_sql('label_usual')}{nobody}")
    con.execute(f"create or replace view labels as {_sql('labels')}")


def _values(con: Any, name: str, columns: str, rows: list[tuple[Any, ...]]) -> None:
    con.execute(f"create or replace table {name} ({columns})")
    if rows:
        con.executemany(f"insert into {name} values ({', '.join('?' * len(rows[0]))})", rows)


@cache
def _sql(name: str) -> str:
    return (files(__package__) / "sql" / f"{name}.sql").read_text(encoding="utf-8")


def _us(span: timedelta) -> int:
    return span // timedelta(microseconds=1)


def _span(where: str, key: str, value: Any) -> timedelta:
    found = _SPAN.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ProjectError(f'{where} {key}: expected a span of time such as "10m", "24h" or "7d"')
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def _shares(where: str, given: Any, most: float | None) -> dict[str, float]:
    if not isinstance(given, dict):
        raise ProjectError(f"{where}: expected names and numbers, as in good = 1.0")
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= (most or 1e9):
            top = "to 1" if most else "up"
            raise ProjectError(f"{where} {name}: expected a number from 0 {top}")
    return {name: float(value) for name, value in given.items()}


def _known(where: str, given: dict[str, Any], known: Any) -> None:
    for name in given:
        if name not in known:
            raise ProjectError(f"{where}: unknown key {name!r}; known are {', '.join(sorted(known))}")
