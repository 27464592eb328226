"""How much of a policy the logs have seen: effective sample sizes, weights, and what it would call beside what was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import altair as alt
from markupsafe import Markup

from fairlead.evaluation.overlap import Limits
from fairlead.evaluation.seen import Overlap, Weights
from fairlead.reports import formats
from fairlead.reports.charts import PANELS, Row, draw, inline
from fairlead.reports.palette import ACCENT, INK, MUTED

__all__ = ["effective", "overlap"]

_REQUESTS: Final = "of requests"
_WEIGHT: Final = "of the answer"
_GREY: Final = "#b4bbc4"


def effective(rows: Sequence[Row]) -> Markup:
    """Draw the effective sample size of each policy on a log scale, with the size from which on intervals are shown.

    A row is name, ess, told (whether the logs can tell of it) and is_candidate.
    """
    least = Limits().least_ess
    shown = [{**row, "at": max(float(row["ess"]), 1.0), "text": formats.count(row["ess"])} for row in rows]
    top = max(1.6 * max(row["at"] for row in shown), 10 * least)

    def make(width: int) -> Any:
        order = [formats.visible(row["name"]) for row in shown]
        scale = alt.Scale(type="log", domain=[1, top])
        axis = alt.Axis(values=[10**power for power in range(8) if 10**power <= top], format=",d", grid=False)
        x = alt.X("at:Q", scale=scale, axis=axis, title="requests of the policy's own that the log is worth")
        base = inline(shown).encode(y=alt.Y("name:N", sort=order, title=None, axis=alt.Axis(labelLimit=200)), x=x)
        colour = alt.condition("datum.is_candidate", alt.value(ACCENT), alt.value("#7d8894"))
        fill = alt.condition("datum.told", alt.value(1.0), alt.value(0.0))
        dots = base.mark_point(filled=True, size=90, strokeWidth=2).encode(
            color=colour, stroke=colour, fillOpacity=fill, opacity=alt.value(1.0)
        )
        rule = inline([{"at": least}]).mark_rule(strokeDash=[4, 3], color=INK, strokeWidth=1.5).encode(x=x)
        worth = base.mark_text(align="left", dx=9, color=MUTED).encode(text="text:N")
        return (rule + dots + worth).properties(width=width - (280 if width > PANELS else 195), height=alt.Step(26))

    return draw("effective", make, "Effective sample size of each policy, and the least that intervals are shown from")


def overlap(weights: Sequence[Weights], endpoints: Sequence[Overlap]) -> Markup:
    """Draw the weights as pairs of bars, and for each endpoint a ring at its logged share, a dot at the wanted one."""

    def make(width: int) -> Any:
        side = width > PANELS
        left = _histogram(weights, (width - 160) // 2 if side else width - 165)
        right = _endpoints(endpoints, (width - 420) // 2 if side else width - 165)
        return alt.hconcat(left, right, spacing=36) if side else alt.vconcat(left, right, spacing=18)

    return draw("overlap", make, "Weights of the logged requests, and the share of each endpoint in the log and wanted")


def _histogram(weights: Sequence[Weights], width: int) -> Any:
    rows = [
        {"bin": _name(one), "of": of, "percent": 100 * share}
        for one in weights
        for of, share in ((_REQUESTS, one.requests_share), (_WEIGHT, one.weight_share))
    ]
    order = [_name(one) for one in weights]
    scale = alt.Scale(domain=[_REQUESTS, _WEIGHT], range=[_GREY, ACCENT])
    return (
        inline(rows)
        .mark_bar()
        .encode(
            x=alt.X("bin:N", sort=order, title="weight of a request", axis=alt.Axis(labelAngle=-40)),
            xOffset=alt.XOffset("of:N", sort=[_REQUESTS, _WEIGHT]),
            y=alt.Y("percent:Q", title="%", axis=alt.Axis(tickCount=4)),
            color=alt.Color("of:N", scale=scale, legend=alt.Legend(orient="top")),
        )
        .properties(width=width, height=170)
    )


def _endpoints(endpoints: Sequence[Overlap], width: int) -> Any:
    rows = [
        {
            "name": one.endpoint,
            "logged": 100 * one.logged_share,
            "wanted": 100 * one.wanted_share,
            "ess": f"{formats.count(one.ess)}",
            "most": 100 * max(one.logged_share, one.wanted_share),
        }
        for one in sorted(endpoints, key=lambda one: -max(one.logged_share, one.wanted_share))
    ]
    order = [formats.visible(row["name"]) for row in rows]
    base = inline(rows).encode(y=alt.Y("name:N", sort=order, title=None, axis=alt.Axis(labelLimit=200)))
    across = alt.X("logged:Q", title="% of requests: ring logged, dot wanted", axis=alt.Axis(tickCount=5))
    link = base.mark_rule(strokeWidth=1.5, color=_GREY).encode(x=across, x2="wanted:Q")
    ring = base.mark_point(filled=True, fill="white", stroke=MUTED, size=75, opacity=1, strokeWidth=2).encode(x=across)
    dot = base.mark_point(filled=True, size=90, opacity=1, color=ACCENT).encode(x="wanted:Q")
    worth = base.mark_text(align="left", dx=9, color=MUTED).encode(x="most:Q", text="ess:N")
    return (link + ring + dot + worth).properties(width=width, height=alt.Step(30))


def _name(one: Weights) -> str:
    """Name a bin by its ends.

    >>> _name(Weights(low=0.0, high=0.0, requests_share=1, weight_share=0))
    'none'
    >>> _name(Weights(low=0.3, high=1.0, requests_share=1, weight_share=0))
    '0.3 to 1'
    """
    return "none" if one.high == 0 else f"{one.low:g} to {one.high:.4g}"
