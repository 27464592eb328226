"""What is coming, and whether the budget lasts."""

from __future__ import annotations

from typing import Any, Final

import polars as pl

from fairlead.reports import charts_outlook, formats, tables
from fairlead.reports.page import Block, Section
from fairlead.training.demand.budget import Outlook

__all__ = ["section"]

_MEASURES: Final = (("requests", "requests"), ("tokens", "tokens"), ("usd", "spend"))
_NOTE: Final = (
    "Expected, with the interval that held nine times out of ten of late, beside what the same span before had. Days "
    "and hours are those after the newest traffic in the store."
)
_MOST: Final = 12


def section(forecast: pl.DataFrame, money: Outlook | None) -> Section:
    """Show the forecast, and the month's spend against its budget."""
    if forecast.is_empty():
        why = "No demand predictor is in force yet; “fairlead train” fits one once there is traffic."
        return Section("outlook", "What is coming", why)
    blocks = []
    if money is not None:
        blocks.append(Block(charts_outlook.month(money), f"Spend in {money.month}", _month_note(money), wide=True))
    blocks.append(Block(_totals(forecast), "All traffic", _NOTE, wide=True))
    parts = forecast.filter(pl.col("kind") != "total", pl.col("measure") == "usd", pl.col("horizon") == _day(forecast))
    if not parts.is_empty():
        blocks.append(Block(_parts(parts), f"Spend of the next {_day(forecast)}, by route and team", wide=True))
    return Section("outlook", "What is coming", _lead(forecast, money), blocks)


def _lead(forecast: pl.DataFrame, money: Outlook | None) -> str:
    if money is None:
        return f"Forecast from {formats.moment(forecast['start'][0])} on."
    end = f"{formats.money(money.expected_usd)} [{formats.money(money.low_usd)}, {formats.money(money.high_usd)}]"
    said = f"{money.month} is heading for {end}"
    if money.budget_usd is None:
        return f"{said}. No budget is set; “usd” under [tool.fairlead.budget] sets one."
    budget = formats.money(money.budget_usd)
    if money.runs_out is not None:
        return f"{said}: the budget of {budget} runs out on {formats.moment(money.runs_out)}."
    if money.soonest is not None:
        when = formats.moment(money.soonest)
        return f"{said}: the budget of {budget} lasts, unless every day is dear: then until {when}."
    return f"{said}: the budget of {budget} lasts."


def _month_note(money: Outlook) -> str:
    return (
        f"{formats.money(money.spent_usd)} spent until {formats.moment(money.as_of)}. The band holds if every coming "
        "day stays within the interval of the next 24 hours, so it is a wide one."
    )


def _totals(forecast: pl.DataFrame) -> Any:
    rows = forecast.filter(pl.col("kind") == "total").to_dicts()
    label = dict(_MEASURES)
    writes = [formats.money if row["measure"] == "usd" else formats.short for row in rows]
    return tables.table(
        "outlook-totals",
        [
            tables.texts("next", [row["horizon"] for row in rows]),
            tables.texts("of", [label[row["measure"]] for row in rows]),
            tables.texts(
                "expected", [write(row["expected"]) for row, write in zip(rows, writes, strict=True)], side="right"
            ),
            tables.texts("from", [write(row["low"]) for row, write in zip(rows, writes, strict=True)], side="right"),
            tables.texts("to", [write(row["high"]) for row, write in zip(rows, writes, strict=True)], side="right"),
            tables.texts(
                "before", [write(row["before"]) for row, write in zip(rows, writes, strict=True)], side="right"
            ),
        ],
    )


def _parts(rows: pl.DataFrame) -> Any:
    shown = rows.sort("expected", descending=True).head(_MOST)
    return tables.table(
        "outlook-parts",
        [
            tables.texts("", shown["kind"].to_list()),
            tables.names("name", shown["name"].to_list()),
            tables.money("expected", shown["expected"].to_list()),
            tables.money("from", shown["low"].to_list()),
            tables.money("to", shown["high"].to_list()),
            tables.money("before", shown["before"].to_list()),
        ],
    )


def _day(forecast: pl.DataFrame) -> str:
    """The longest horizon there is."""
    return str(forecast.sort("until")["horizon"][-1])
