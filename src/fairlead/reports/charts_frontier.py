"""The picture of the frontier: what each setting of the policy costs, how good it is and how long it takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
from markupsafe import Markup

from fairlead.reports.charts import PANELS, Row, draw, inline, log_ticks
from fairlead.reports.palette import ACCENT, INK, MUTED, OTHER

__all__ = ["frontier"]


def frontier(rows: Sequence[Row], logged: Row) -> Markup:
    """Draw quality over cost: a dot for each setting, intervals and a line for those that are Pareto-optimal.

    A row is usd (per 1,000 requests), usd_low, usd_high, quality, q_low, q_high (points), seconds (None where not
    known), optimal, and `edge` where none is both cheaper and better; `logged` is a row of the same of what was run.
    """
    paid = [max(row["usd"], 1e-9) for row in [*rows, logged]]
    ticks = log_ticks(min(paid), max(paid)) if max(paid) > 15 * min(paid) else None
    side = "right" if logged["usd"] > (min(paid) * max(paid)) ** 0.5 else "left"
    timed = any(row["seconds"] is not None for row in rows)

    def make(width: int) -> Any:
        label, count = "'$' + format(datum.value, '~r')", 6 if width > PANELS else 4
        money = (
            alt.Axis(labelExpr=label, values=ticks, labelOverlap="greedy")
            if ticks
            else alt.Axis(labelExpr=label, tickCount=count)
        )
        scale = alt.Scale(type="log", domain=[ticks[0], ticks[-1]]) if ticks else alt.Scale(zero=False)
        across = alt.X("usd:Q", title="cost of 1,000 requests", axis=money, scale=scale)
        up = alt.Y("quality:Q", title="quality, points of 100", scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=6))
        others = inline([row for row in rows if not row["optimal"]]).mark_point(filled=True, size=26, color=OTHER)
        edge = sorted((row for row in rows if row["edge"]), key=lambda row: row["usd"])
        line = inline(edge).mark_line(color=MUTED, strokeWidth=1.2, strokeDash=[4, 3]).encode(x=across, y=up)
        best = inline([row for row in rows if row["optimal"]])
        shown = inline(edge)
        whisker = shown.mark_rule(strokeWidth=1, opacity=0.5, color=ACCENT)
        paint = (
            alt.Color(
                "seconds:Q",
                title="95th percentile of latency, s",
                scale=alt.Scale(scheme="viridis", reverse=True),
                legend=alt.Legend(orient="top", gradientLength=160, title="95th percentile of latency, s"),
            )
            if timed
            else alt.value(ACCENT)
        )
        dots = best.mark_point(filled=True, size=70, opacity=1).encode(x=across, y=up, color=paint)
        now = inline([{**logged, "said": "what you ran"}])
        layers = (
            others.encode(x=across, y=up)
            + line
            + whisker.encode(x=across, y=alt.Y("q_low:Q"), y2="q_high:Q")
            + whisker.encode(x=alt.X("usd_low:Q"), x2="usd_high:Q", y=up)
            + dots
            + now.mark_rule(color=INK).encode(x=across, y=alt.Y("q_low:Q"), y2="q_high:Q")
            + now.mark_rule(color=INK).encode(x=alt.X("usd_low:Q"), x2="usd_high:Q", y=up)
            + now.mark_point(shape="diamond", filled=True, size=110, color=INK, opacity=1).encode(x=across, y=up)
            + now.mark_text(align=side, dx=9 if side == "left" else -9, dy=12, color=INK).encode(
                x=across, y=up, text="said:N"
            )
        )
        return layers.properties(width=width - 70, height=300)

    return draw("frontier", make, "Quality over cost of each setting of the policy, beside what was run")
