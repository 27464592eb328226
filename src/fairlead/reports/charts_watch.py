"""An anomaly in the days around it, and how far each check of drift is from its limit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import altair as alt
from markupsafe import Markup

from fairlead.reports.charts import PANELS, draw, inline
from fairlead.reports.palette import ACCENT, MUTED
from fairlead.training.anomaly.detect import Anomaly
from fairlead.training.anomaly.trace import Point

__all__ = ["anomaly"]

_BAD: Final = "#b8574d"
_HALF: Final = 450
_LABELS: Final = {
    "spend": "'$' + format(datum.value, '.2~f')",
    "latency": "datum.label + ' s'",
    "output tokens": "format(datum.value, '~s')",
}


def anomaly(place: int, found: Anomaly, points: Sequence[Point]) -> Markup:
    """Draw what was as dots and a line, what is usual as a grey step, and the anomaly's span as a band."""
    rows = [{"at": one.at.isoformat(), "value": one.value, "usual": one.usual} for one in points]
    span = [{"since": found.since.isoformat(), "until": found.until.isoformat()}]

    def make(width: int) -> Any:
        axis = alt.Axis(format="%-d %b", tickCount="day" if width > PANELS else 4, title=None)
        across = alt.X("at:T", axis=axis, scale=alt.Scale(type="utc"))
        label = _LABELS.get(found.measure, "format(datum.value, '.0%')")
        up = alt.Y("value:Q", axis=alt.Axis(labelExpr=label, tickCount=4, title=None))
        band = inline(span).mark_rect(color=_BAD, opacity=0.14).encode(x=alt.X("since:T", axis=axis), x2="until:T")
        usual = inline(rows).mark_line(color=MUTED, strokeWidth=1.5, strokeDash=[4, 3]).encode(x=across, y="usual:Q")
        known = inline([row for row in rows if row["value"] is not None])
        line = known.mark_line(color=ACCENT, strokeWidth=1.8, point=alt.OverlayMarkDef(size=18, color=ACCENT))
        return (band + usual + line.encode(x=across, y=up)).properties(width=width - 60, height=150)

    return draw(
        f"anomaly-{place}", make, f"{found.measure} in the days around the anomaly, and what is usual", wide=_HALF
    )
