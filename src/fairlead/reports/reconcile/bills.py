"""What the providers billed, brought to the spans, models and token classes of the log."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final

from fairlead import store
from fairlead.ingest.plan import CLASSES
from fairlead.reports.reconcile.charges import moment
from fairlead.reports.reconcile.mistakes import MISTAKES, change, total
from fairlead.reports.reconcile.sheets import AS_LISTED

__all__ = ["Bill", "Logged", "bills", "classes", "left_out", "logged", "over"]

# The columns of a bill, and which class each is a part of. What a bill does not count is not compared.
_COUNTS: Final = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens",
                  "reasoning_output_tokens")  # fmt: skip
_DETAILS: Final = ("cache_creation_1h_input_tokens", "input_audio_tokens", "input_image_tokens", "output_audio_tokens",
                   "output_image_tokens", "web_search_requests")  # fmt: skip

# Buckets of hours add up to their days.
_WHOLE_DAYS: Final = (
    "(bucket_end - bucket_start < INTERVAL 1 day"
    " OR (bucket_start = date_trunc('day', bucket_start) AND bucket_end = date_trunc('day', bucket_end)))"
)


@dataclass(slots=True)
class Bill:
    """What a bill says of a provider's model, or of all of them where `model` is None, in a span of whole days."""

    provider: str
    model: str | None
    start: datetime
    end: datetime
    units: int | None = None  # 1e-15 USD
    requests: int | None = None
    counts: dict[str, int] = field(default_factory=dict)  # by the names of the usage table; what is absent is unknown


@dataclass(slots=True)
class Logged:
    """What the log says of the same."""

    attempts: int = 0  # that a provider would count
    units: int = 0
    reported: int | None = None
    tokens: dict[str, int] = field(default_factory=dict)  # by class
    priced: dict[str, int] = field(default_factory=dict)  # the same, of the attempts that have a list price
    cost: dict[str, int] = field(default_factory=dict)  # by class, 1e-15 USD
    thinkable: dict[str, int] = field(default_factory=dict)  # what every mistake would have made of the total
    unpriced: int = 0


def bills(con: store.Connection, since: datetime, until: datetime) -> list[Bill]:
    """Give the bills that lie inside the span, one for each provider, model and span of its own."""
    details = ", ".join(f"sum(usage_details['{name}']) AS {name}" for name in _DETAILS)
    rows = store.query(
        con,
        f"""
        SELECT usage.source, named.provider, named.model, date_trunc('day', bucket_start) AS start_day,
            date_trunc('day', bucket_end - INTERVAL 1 microsecond) + INTERVAL 1 day AS end_day,
            CAST(sum(CAST(cost_usd * 1000000000000 AS HUGEINT)) AS DECIMAL(38, 0)) AS pico, sum(requests) AS requests,
            {", ".join(f"sum({name}) AS {name}" for name in _COUNTS)}, {details}
        FROM usage
        JOIN named ON named.provider_name = usage.provider_name AND named.raw IS NOT DISTINCT FROM usage.model
        WHERE bucket_start >= {moment(since)} AND bucket_end <= {moment(until)} AND {_WHOLE_DAYS}
        GROUP BY ALL ORDER BY ALL
    """,
    ).to_dicts()
    found: dict[tuple[str, str | None, datetime, datetime], Bill] = {}
    for row in rows:
        key = (row["provider"], row["model"], row["start_day"], row["end_day"])
        bill = found.setdefault(key, Bill(*key))
        # Of several exports of one bill, the first that has a figure says it.
        if bill.units is None and row["pico"] is not None:
            bill.units = int(row["pico"]) * 1000
        if bill.requests is None and row["requests"] is not None:
            bill.requests = int(row["requests"])
        if not bill.counts:
            bill.counts = {name: int(row[name]) for name in (*_COUNTS, *_DETAILS) if row[name] is not None}
    return _with_counts(list(found.values()))


def left_out(con: store.Connection, since: datetime, until: datetime) -> int:
    """Count the buckets of bills that reach over an end of the span, or are not cut at midnight UTC."""
    [(count,)] = con.execute(f"""
        SELECT count(*) FROM usage WHERE bucket_start < {moment(until)} AND bucket_end > {moment(since)}
            AND NOT (bucket_start >= {moment(since)} AND bucket_end <= {moment(until)} AND {_WHOLE_DAYS})
    """).fetchall()
    return int(count)


def logged(con: store.Connection) -> dict[tuple[str, str | None, date], Logged]:
    """Give what the log says of each provider, model and day."""
    changes = ", ".join(f"sum({change(formula, 'own')}) AS m{place}" for place, formula in enumerate(MISTAKES.values()))
    rows = con.execute(f"""
        SELECT provider, model, day, count(*) FILTER (billable), sum(listed), sum(reported),
            count(*) FILTER (listed IS NULL),
            {", ".join(f"sum(t_{name})" for name in CLASSES)},
            {", ".join(f"sum(t_{name}) FILTER (listed IS NOT NULL)" for name in CLASSES)},
            {", ".join(f"sum(CAST(t_{name} AS HUGEINT) * own.{name})" for name in CLASSES)}, {changes}
        FROM charges LEFT JOIN sheet AS own ON own.cell = charges.cell AND own.sheet = '{AS_LISTED}'
        GROUP BY ALL
    """).fetchall()
    found: dict[tuple[str, str | None, date], Logged] = {}
    size = len(CLASSES)
    for provider, model, day, attempts, units, reported, unpriced, *rest in rows:
        numbers = [int(number or 0) for number in rest]
        found[provider, model, day] = Logged(
            attempts=attempts,
            units=int(units or 0),
            reported=None if reported is None else int(reported),
            tokens=dict(zip(CLASSES, numbers[:size], strict=True)),
            priced=dict(zip(CLASSES, numbers[size : 2 * size], strict=True)),
            cost=dict(zip(CLASSES, numbers[2 * size : 3 * size], strict=True)),
            thinkable=dict(zip(MISTAKES, numbers[3 * size :], strict=True)),
            unpriced=unpriced,
        )
    for provider, model, day, name, change_ in con.execute(_SHEETS).fetchall():
        found[provider, model, day].thinkable[name] = int(change_)
    return found


# What each other set of prices would change, over the attempts that have it.
_SHEETS: Final = f"""
SELECT provider, model, day, sheet.sheet, sum({total("sheet")} - listed) AS change
FROM charges JOIN sheet USING (cell) WHERE sheet.sheet <> '{AS_LISTED}' AND listed IS NOT NULL GROUP BY ALL
"""


def over(days: dict[tuple[str, str | None, date], Logged], bill: Bill) -> Logged:
    """Give what the log says of the span and the models of a bill."""
    made = Logged()
    for (provider, model, day), one in days.items():
        if provider == bill.provider and bill.start.date() <= day < bill.end.date() and bill.model in (None, model):
            _add(made, one)
    return made


def _add(made: Logged, one: Logged) -> None:
    made.attempts += one.attempts
    made.units += one.units
    made.unpriced += one.unpriced
    if one.reported is not None:
        made.reported = (made.reported or 0) + one.reported
    pairs = ("tokens", "priced", "cost", "thinkable")
    for mine, other in ((getattr(made, name), getattr(one, name)) for name in pairs):
        for name, number in other.items():
            mine[name] = mine.get(name, 0) + number


def _with_counts(found: list[Bill]) -> list[Bill]:
    """Give a bill of dollars for all models the tokens that another says of the same span model by model."""
    counted: dict[tuple[str, datetime, datetime], list[Bill]] = defaultdict(list)
    for bill in found:
        if bill.model is not None and bill.counts:
            counted[bill.provider, bill.start, bill.end].append(bill)
    for bill in found:
        parts = counted[bill.provider, bill.start, bill.end]
        if bill.model is None and not bill.counts and parts:
            names = set.intersection(*(set(part.counts) for part in parts))
            bill.counts = {name: sum(part.counts[name] for part in parts) for name in sorted(names)}
            if all(part.requests is not None for part in parts):
                bill.requests = sum(part.requests or 0 for part in parts)
    return found


def classes(counts: dict[str, Any]) -> dict[str, Any]:
    """Give a bill's counts by the names that `costs` reads."""
    return {name: counts.get(name) for name in _COUNTS} | {
        "usage_details": {n: counts[n] for n in _DETAILS if n in counts}
    }
