"""The pictures of data health: how late rows come in, and which days lack them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import altair as alt
from markupsafe import Markup

from fairlead.reports import formats
from fairlead.reports.charts import Row, day_axis, draw, inline
from fairlead.reports.palette import MUTED

__all__ = ["days", "lags"]

_GAP: Final = "#b8574d"
_PLAIN: Final = "#8fa3b5"
_HOURS: Final = {
    0.1: "0.1 s", 1: "1 s", 10: "10 s", 60: "1 min", 600: "10 min", 3600: "1 h", 21_600: "6 h", 86_400: "1 day",
    604_800: "7 days", 2_592_000: "30 days", 31_536_000: "a year", 315_360_000: "10 years",
}  # fmt: skip


def lags(rows: Sequence[Row]) -> Markup:
    """Draw how long after their end a source's rows came in; a row is name, p50, p90 and p99 in seconds."""
    floor = [{**row, **{key: max(row[key], 0.1) for key in ("p50", "p90", "p99")}} for row in rows]
    ticks = _ticks(min(row["p50"] for row in floor), max(row["p99"] for row in floor))
    words = " : ".join(f"datum.value == {tick} ? '{_HOURS[tick]}'" for tick in ticks)

    def make(width: int) -> Any:
        base = inline(floor).encode(y=alt.Y("name:N", sort=None, title=None, axis=alt.Axis(labelLimit=140)))
        scale = alt.Scale(type="log", domain=[ticks[0], ticks[-1]])
        axis = alt.X(
            "p50:Q",
            title=None,
            scale=scale,
            axis=alt.Axis(values=ticks, labelExpr=f"{words} : ''", labelOverlap="greedy"),
        )
        rule = base.mark_rule(strokeWidth=3, opacity=0.45, color=_PLAIN).encode(x=axis, x2="p99:Q")
        dot = base.mark_point(filled=True, size=90, opacity=1, color=MUTED).encode(x="p50:Q")
        ring = base.mark_point(filled=True, fill="white", size=60, opacity=1, stroke=MUTED, strokeWidth=2)
        return (rule + dot + ring.encode(x="p90:Q")).properties(width=width - 150, height=alt.Step(26))

    return draw("lags", make, "How long after their end the rows of each source came in: median, 90th, 99th percentile")


def days(rows: Sequence[Row]) -> Markup:
    """Draw the attempts of each source on each day, the days that lack some in red; a row is name, day, n, missing."""
    names = list(dict.fromkeys(row["name"] for row in rows))

    def make(width: int) -> Any:
        all_days = sorted({row["day"] for row in rows})
        panels = []
        for name in names:
            mine = [{**row, "mark": 0} for row in rows if row["name"] == name]
            gaps = [row for row in mine if row["missing"]]
            x = alt.X("day:O", scale=alt.Scale(domain=all_days), axis=day_axis(all_days, width))
            colour = alt.condition("datum.missing", alt.value(_GAP), alt.value(_PLAIN))
            y = alt.Y("n:Q", title=None, axis=alt.Axis(tickCount=2, format="~s"))
            panel = inline(mine).mark_bar().encode(x=x, y=y, color=colour)
            if gaps:
                mark = inline(gaps).mark_point(shape="triangle-up", filled=True, size=70, opacity=1, color=_GAP)
                panel = panel + mark.encode(x=x, y=alt.Y("mark:Q"))
            wide = min(width - 60, 60 * len(all_days))
            panels.append(panel.properties(width=wide, height=64, title=formats.visible(name)))
        return alt.vconcat(*panels, spacing=12)

    return draw("days", make, "Attempts of each source on each day; days that lack some are red")


def _ticks(low: float, high: float) -> list[float]:
    known = sorted(_HOURS)
    first = max((at for at, tick in enumerate(known) if tick <= low), default=0)
    last = min((at for at, tick in enumerate(known) if tick >= high), default=len(known) - 1)
    return known[first : max(last, first + 1) + 1]
