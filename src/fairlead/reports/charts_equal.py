"""Raw and adjusted means of each endpoint, as a ring and a dot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
from markupsafe import Markup

from fairlead.reports import formats
from fairlead.reports.charts import PANELS, Row, draw, inline

__all__ = ["raw_and_adjusted"]


def raw_and_adjusted(rows: Sequence[Row]) -> Markup:
    """Draw a ring at `raw` and a dot with a whisker at `value`; a row is name, colour, raw, value, low and high."""
    order = [formats.visible(row["name"]) for row in rows]
    low, high = min(min(row["low"], row["raw"]) for row in rows), max(max(row["high"], row["raw"]) for row in rows)

    def make(width: int) -> Any:
        base = inline(rows).encode(
            y=alt.Y("name:N", sort=order, title=None, axis=alt.Axis(labelLimit=220 if width > PANELS else 140))
        )
        paint = alt.Color("colour:N", scale=None)
        across = alt.X("raw:Q", title=None, scale=alt.Scale(domain=[low, high], nice=True), axis=alt.Axis(tickCount=6))
        link = base.mark_rule(strokeWidth=1, strokeDash=[2, 3], opacity=0.7).encode(x=across, x2="value:Q", color=paint)
        whisker = base.mark_rule(strokeWidth=2.2).encode(x="low:Q", x2="high:Q", color=paint)
        ring = base.mark_point(filled=True, fill="white", size=75, opacity=1, strokeWidth=2).encode(
            x="raw:Q", stroke=paint
        )
        dot = base.mark_point(filled=True, size=90, opacity=1).encode(x="value:Q", color=paint)
        return (link + whisker + ring + dot).properties(
            width=width - (170 if width > PANELS else 150), height=alt.Step(28)
        )

    return draw("equal", make, "Mean quality of each endpoint as it came and on equal terms, with 95 % intervals")
