"""What other settings of the policy would cost, and how good and quick they would be."""

from __future__ import annotations

from typing import Final

import numpy as np
from markupsafe import Markup

from fairlead.evaluation.judgement import Reading
from fairlead.evaluation.settings import Frontier, Setting, optimal
from fairlead.reports import charts_frontier, formats, tables
from fairlead.reports.judgement import NOTHING
from fairlead.reports.page import Block, Section

__all__ = ["section"]

_TITLE: Final = "What other settings would give"
_NOTE: Final = (
    "Each dot is a setting of the policy: a price of a dollar, a price of a second and a quality floor. Settings were "
    "compared on the first days, and those that no other beats in cost, time and quality together are coloured; all "
    "figures are of later days, on which nothing was picked. Lines: 95 % intervals. Dashed: nothing is both cheaper "
    "and better. Diamond: what you ran on the same days."
)
_MOST: Final = 12


def section(found: Frontier | None) -> Section:
    """Show the frontier that `fairlead publish --frontier` last wrote."""
    if found is None:
        return Section(
            "frontier", _TITLE, "Settings have not been compared yet; “fairlead publish --frontier” does it."
        )
    valued = [one for one in found.settings if one.quality is not None and one.cost_usd is not None]
    if not valued:
        return Section("frontier", _TITLE, "The logs of the later days cannot tell of any setting: explore more.")
    edge = _edge(valued)
    rows = [_row(one, one in edge) for one in valued]
    logged = {
        "usd": 1000 * found.logged_cost_usd.value,
        "usd_low": 1000 * found.logged_cost_usd.low,
        "usd_high": 1000 * found.logged_cost_usd.high,
        "quality": 100 * found.logged_quality.value,
        "q_low": 100 * found.logged_quality.low,
        "q_high": 100 * found.logged_quality.high,
        "seconds": None,
    }
    blocks = [
        Block(charts_frontier.frontier(rows, logged), "Quality over cost", _NOTE, wide=True),
        Block(_table(edge), "Settings that nothing cheaper equals", wide=True),
    ]
    return Section("frontier", _TITLE, _lead(found, valued), blocks)


def _edge(valued: list[Setting]) -> list[Setting]:
    """The settings that, as they were compared, none was both cheaper and better than, from the cheapest up."""
    costs = np.array([(one.chosen_cost_usd, -one.chosen_quality) for one in valued])
    kept = [one for one, good in zip(valued, optimal(costs), strict=True) if good]
    return sorted(kept, key=lambda one: one.chosen_cost_usd)


def _lead(found: Frontier, valued: list[Setting]) -> str:
    count = f"{len(found.settings)} settings compared on {found.chosen_requests:,} requests, valued on the"
    untold = len(found.settings) - len(valued)
    more = f" Of {untold} of them the logs cannot tell." if untold else ""
    days = f"{formats.day(found.confirmed_from.date())} to {formats.day(found.confirmed_until.date())}"
    return f"{count} {found.confirmed_requests:,} later ones, {days}.{more}"


def _row(one: Setting, edge: bool) -> dict[str, float | bool | None]:
    assert one.quality is not None  # noqa: S101 (the caller kept only what is valued)
    assert one.cost_usd is not None  # noqa: S101
    return {
        "usd": 1000 * one.cost_usd.value,
        "usd_low": max(1000 * one.cost_usd.low, 1e-9),
        "usd_high": 1000 * one.cost_usd.high,
        "quality": 100 * one.quality.value,
        "q_low": 100 * one.quality.low,
        "q_high": 100 * one.quality.high,
        "seconds": None if one.p95_s is None else one.p95_s.value,
        "optimal": one.optimal,
        "edge": edge,
    }


def _table(edge: list[Setting]) -> Markup:
    at = np.unique(np.linspace(0, len(edge) - 1, _MOST).astype(int))
    shown = [edge[place] for place in at]
    cost = [Reading(1000 * e.value, 1000 * e.low, 1000 * e.high) for e in (one.cost_usd for one in shown) if e]
    quality = [Reading(100 * e.value, 100 * e.low, 100 * e.high) for e in (one.quality for one in shown) if e]
    times = [Reading(t.value, t.low, t.high) if t else NOTHING for t in (one.p95_s for one in shown)]
    places = formats.decimals(one.value for one in cost)
    return tables.table(
        "frontier",
        [
            tables.texts("setting", [_words(one.parameters) for one in shown], 320),
            tables.estimates("per 1,000 requests", cost, lambda value: formats.money(value, places), places),
            tables.estimates("quality", quality, lambda value: formats.plain(value, 1)),
            tables.estimates("95th percentile, s", times, lambda value: formats.plain(value, 1)),
        ],
    )


def _words(parameters: dict[str, float]) -> str:
    parts = [f"{name} = {value:.4g}" for name, value in parameters.items()]
    return ", ".join(parts)
