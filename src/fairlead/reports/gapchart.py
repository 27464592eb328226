"""The picture of a gap of money: a bar for each of its parts, to the left of zero or to the right."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, Final

import altair as alt
from markupsafe import Markup

from fairlead.reports import charts
from fairlead.reports.palette import INK

__all__ = ["draw"]

Row = Mapping[str, Any]
_OWN: Final = alt.Color("colour:N", scale=None)


def draw(name: str, rows: Sequence[Row], description: str) -> Markup:
    """Draw what a gap of money is made of, a bar each from zero; a row is name, usd, label and colour."""

    def make(width: int) -> Any:
        room = 330 if width > charts.PANELS else 150
        # Long names take two lines or three: the axis splits them where they were folded.
        shown = [dict(row) | {"name": "¦".join(textwrap.wrap(row["name"], room // 6))} for row in rows]
        order = [row["name"] for row in shown]
        axis = alt.Axis(labelExpr="split(datum.label, '¦')", labelLimit=room, labelBaseline="middle")
        base = charts.inline(shown).encode(y=alt.Y("name:N", sort=order, title=None, axis=axis))
        ends = [min(0.0, *(row["usd"] for row in rows)), max(0.0, *(row["usd"] for row in rows))]
        span = (ends[1] - ends[0]) * (0.3 if width > charts.PANELS else 0.7)  # the figures stand beside the bars
        scale = alt.Scale(domain=[ends[0] - (span if ends[0] else 0), ends[1] + (span if ends[1] else 0)], nice=False)
        bars = base.mark_bar(size=14).encode(x=alt.X("usd:Q", title=None, axis=None, scale=scale), color=_OWN)
        more, less = (
            base.transform_filter(f"datum.usd {sign} 0").mark_text(align=side, dx=dx).encode(x="usd:Q", text="label:N")
            for sign, side, dx in ((">", "left", 5), ("<=", "right", -5))
        )
        zero = alt.Chart(alt.InlineData(values=[{"zero": 0}])).mark_rule(color=INK, strokeWidth=1).encode(x="zero:Q")
        step = 30 if width > charts.PANELS else 46
        return (bars + more + less + zero).properties(width=width - room - 20, height=alt.Step(step))

    return charts.draw(name, make, description)
