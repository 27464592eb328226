"""The month's spend so far and to come, against its budget."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import altair as alt
from markupsafe import Markup

from fairlead.reports.charts import PANELS, draw, inline
from fairlead.reports.palette import ACCENT, INK, MUTED
from fairlead.training.demand.budget import Outlook

__all__ = ["month"]


def month(money: Outlook) -> Markup:
    """Draw spend from the month's first day to its last: a line so far, a dashed one with a band from now on."""
    begin = money.as_of.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    end = datetime(begin.year + begin.month // 12, begin.month % 12 + 1, 1, tzinfo=UTC)
    path = [{"at": at.isoformat(), "usd": usd} for at, usd in money.course]
    now, last = money.as_of.isoformat(), end.isoformat()
    band = [
        {"at": now, "low": money.spent_usd, "high": money.spent_usd, "usd": money.spent_usd},
        {"at": last, "low": money.low_usd, "high": money.high_usd, "usd": money.expected_usd},
    ]

    def make(width: int) -> Any:
        time = alt.Axis(format="%-d %b", tickCount=8 if width > PANELS else 4, title=None)
        across = alt.X("at:T", axis=time, scale=alt.Scale(type="utc"))
        money_axis = alt.Axis(labelExpr="'$' + format(datum.value, '~s')", tickCount=5, title=None)
        up = alt.Y("usd:Q", axis=money_axis, scale=alt.Scale(zero=True))
        spread = inline(band).mark_area(opacity=0.16, color=ACCENT).encode(x=across, y=alt.Y("low:Q"), y2="high:Q")
        so_far = inline(path).mark_line(color=ACCENT, strokeWidth=2.5).encode(x=across, y=up)
        coming = inline(band).mark_line(color=ACCENT, strokeWidth=2, strokeDash=[5, 4]).encode(x=across, y=up)
        layers = spread + so_far + coming
        if money.budget_usd is not None:
            row = [{"usd": money.budget_usd, "at": begin.isoformat(), "said": "budget"}]
            layers += inline(row).mark_rule(color=INK, strokeWidth=1.2).encode(y="usd:Q")
            layers += (
                inline(row)
                .mark_text(align="left", dx=4, dy=-7, color=MUTED, fontSize=12)
                .encode(x=across, y="usd:Q", text="said:N")
            )
        return layers.properties(width=width - 60, height=220)

    return draw("month", make, "Dollars spent in the month so far, and expected until its end")
