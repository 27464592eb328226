"""Charts by Altair, drawn to SVG beforehand: the page needs no script, prints sharply and survives a mail gateway.

Each is drawn twice, for a wide page and for a telephone; the style sheet shows the one that fits.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import altair as alt
import vl_convert
from markupsafe import Markup

from fairlead.reports import formats
from fairlead.reports.palette import ACCENT, INK, MUTED, RULE

__all__ = [
    "PANELS",
    "Row",
    "daily",
    "day_axis",
    "draw",
    "failures",
    "inline",
    "log_ticks",
    "quality",
    "ranges",
    "savings",
]

_WIDE: Final = 940
_HALF: Final = 450
_NARROW: Final = 345
_NEVER_CUT: Final = 7  # characters, at most 17 px each, of labels that have 140 px or more
_FONT: Final = "Helvetica Neue, Arial, sans-serif"
PANELS: Final = 560  # narrower than this, panels stand one above the other
_IDS: Final = re.compile(r"(id=\"|url\(#)(clip|gradient)")
_CONFIG: Final = {
    "font": _FONT,
    "aria": False,
    "background": None,
    "view": {"stroke": None},
    "axis": {
        "labelColor": INK,
        "labelFontSize": 12,
        "labelLimit": 220,
        "titleColor": MUTED,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "gridColor": RULE,
        "domain": False,
        "ticks": False,
        "labelPadding": 6,
        "labelFlush": False,
    },
    "legend": {"labelFontSize": 12, "labelColor": INK, "labelLimit": 220, "title": None, "symbolType": "square"},
    "title": {"fontSize": 12, "fontWeight": "normal", "color": MUTED, "anchor": "start"},
    "text": {"fontSize": 12, "color": INK},
}
Row = Mapping[str, Any]


def daily(rows: Sequence[Row], names: Sequence[str], colours: Sequence[str]) -> Markup:
    """Draw dollars a day as stacked bars; a row is day (ISO), name, usd and place, the order of the stack."""

    shown = [formats.visible(name) for name in names]

    def make(width: int) -> Any:
        bars = inline(rows).mark_bar(stroke="white", strokeWidth=0.6)
        columns = 4 if width > PANELS else 1
        legend = alt.Legend(orient="top", columns=columns, columnPadding=18, symbolSize=90)
        days = len({row["day"] for row in rows})
        return bars.encode(
            x=alt.X("day:O", axis=day_axis(sorted({row["day"] for row in rows}), width)),
            y=alt.Y("sum(usd):Q", axis=_money_axis(rows)),
            color=alt.Color("name:N", sort=shown, scale=alt.Scale(domain=shown, range=list(colours)), legend=legend),
            order=alt.Order("place:Q"),
        ).properties(width=min(width - 32, 60 * days), height=220)

    return draw("daily", make, "Dollars spent on each day, stacked by endpoint")


def savings(rows: Sequence[Row]) -> Markup:
    """Draw savings and change of quality side by side, a dot and its interval for each policy.

    A row is name, is_candidate, value, low, high, q_value, q_low, q_high, shares as percentages and quality in points.
    """
    order = _names(rows)

    def make(width: int) -> Any:
        side = width > PANELS
        panel = (width - 200) // 2 if side else width - 150
        left = _whiskers(
            rows, order, ("low", "value", "high"), "saved, % of what you ran (left of 0: a loss)", panel, True
        )
        right = _whiskers(
            rows, order, ("q_low", "q_value", "q_high"), "change of quality, points of 100", panel, not side
        )
        return alt.hconcat(left, right, spacing=28) if side else alt.vconcat(left, right, spacing=14)

    return draw("savings", make, "Savings and change of quality of each policy, with 95 % intervals")


def quality(endpoints: Sequence[Row], routes: Sequence[Row]) -> Markup:
    """Draw the mean quality of endpoints, and of routes if there are any, with intervals.

    A row is name, value, low, high and colour, on a scale of 0 to 100.
    """

    def make(width: int) -> Any:
        side = width > PANELS
        if not routes:
            return _means(endpoints, width - (180 if side else 150))
        panel = (width - 320) // 2 if side else width - 150
        panels = _means(endpoints, panel), _means(routes, panel)
        return alt.hconcat(*panels, spacing=40) if side else alt.vconcat(*panels, spacing=14)

    return draw("quality", make, "Mean quality of each endpoint and route with its 95 % interval")


def ranges(rows: Sequence[Row]) -> Markup:
    """Draw three quantiles of a time on a log axis for each name; a row is name, p50, p90, p99 (seconds) and colour."""
    order = _names(rows)
    ticks = log_ticks(min(row["p50"] for row in rows), max(row["p99"] for row in rows))

    def make(width: int) -> Any:
        names = alt.Axis(labelLimit=220 if width > PANELS else 140)
        base = inline(rows).encode(y=alt.Y("name:N", sort=order, title=None, axis=names))
        paint = alt.Color("colour:N", scale=None)
        label = "datum.value < 1 ? datum.value * 1000 + ' ms' : datum.value + ' s'"
        scale = alt.Scale(type="log", domain=[ticks[0], ticks[-1]])
        axis = alt.X(
            "p50:Q", title=None, scale=scale, axis=alt.Axis(values=ticks, labelExpr=label, labelOverlap="greedy")
        )
        rule = base.mark_rule(strokeWidth=3, opacity=0.45).encode(x=axis, x2="p99:Q", color=paint)
        dot = base.mark_point(filled=True, size=90, opacity=1).encode(x="p50:Q", color=paint)
        ring = base.mark_point(filled=True, fill="white", size=60, opacity=1, strokeWidth=2).encode(
            x="p90:Q", stroke=paint
        )
        end = base.mark_tick(thickness=2, size=12).encode(x="p99:Q", color=paint)
        return (rule + dot + ring + end).properties(width=width - (170 if width > PANELS else 150), height=alt.Step(26))

    return draw("latency", make, "Median, 90th and 99th percentile of the time of each endpoint")


def failures(rows: Sequence[Row]) -> Markup:
    """Draw the percentage of attempts that failed on each day; a row is day (ISO) and share."""

    def make(width: int) -> Any:
        bars = inline([{"day": row["day"], "percent": 100 * row["share"]} for row in rows]).mark_bar(color="#b8574d")
        days = [row["day"] for row in rows]
        return bars.encode(
            x=alt.X("day:O", axis=day_axis(days, width)),
            y=alt.Y("percent:Q", title=None, axis=alt.Axis(tickCount=4, labelExpr="datum.label + ' %'")),
        ).properties(width=min(width - 36, 60 * len(days)), height=150)

    return draw("failures", make, "Percentage of attempts that failed on each day", wide=_HALF)


def draw(name: str, make: Callable[[int], Any], description: str, wide: int = _WIDE) -> Markup:
    """Draw what `make` builds for a wide and a narrow page, as one figure with a description for screen readers."""
    both = (_svg(make(width), f"{name}-{kind}") for width, kind in ((wide, "wide"), (_NARROW, "narrow")))
    frame = '<div class="chart" role="img" aria-label="{}"><div class="wide">{}</div><div class="narrow">{}</div></div>'
    return Markup(frame).format(description, *both)  # noqa: S704 - our own frame, and its parts are escaped


def _svg(chart: Any, prefix: str) -> Markup:
    # Every name was shown by its chart already; this net is here because one bad character would end the process.
    drawing = vl_convert.vegalite_to_svg(_printable(chart.to_dict()), config=_CONFIG, allowed_base_urls=[])
    # Several drawings share one page, and their clip paths would otherwise share one name.
    return Markup(_IDS.sub(rf"\g<1>{prefix}-\g<2>", drawing))  # noqa: S704 - Vega escapes text


def inline(rows: Sequence[Row]) -> Any:
    """Make a chart that holds its rows, every name in them shown so that nothing in it can hide."""
    shown = [
        {key: formats.visible(value) if isinstance(value, str) else value for key, value in row.items()} for row in rows
    ]
    return alt.Chart(alt.InlineData(values=shown))


def _names(rows: Sequence[Row]) -> list[str]:
    return [formats.visible(row["name"]) for row in rows]


def _printable(part: Any) -> Any:
    if isinstance(part, dict):
        return {key: _printable(value) for key, value in part.items()}
    if isinstance(part, list):
        return [_printable(value) for value in part]
    return _whole(formats.visible(part, len(part))) if isinstance(part, str) else part


def _whole(text: str) -> str:
    # Vega cuts a long label between the two halves of such a character (emoji, rare scripts) and the renderer gives up
    # on the half; a short one is never cut.
    if len(text) <= _NEVER_CUT:
        return text
    return "".join(char if char <= "\uffff" else f"U+{ord(char):X} " for char in text)


def _means(rows: Sequence[Row], width: int) -> Any:
    order = _names(rows)
    base = inline(rows).encode(y=alt.Y("name:N", sort=order, title=None, axis=alt.Axis(labelLimit=160)))
    paint = alt.Color("colour:N", scale=None)
    axis = alt.X("low:Q", title=None, scale=alt.Scale(zero=False, nice=True), axis=alt.Axis(tickCount=5))
    rule = base.mark_rule(strokeWidth=2).encode(x=axis, x2="high:Q", color=paint)
    dot = base.mark_point(filled=True, size=80, opacity=1).encode(x="value:Q", color=paint)
    return (rule + dot).properties(width=width, height=alt.Step(26))


def log_ticks(low: float, high: float) -> list[float]:
    """Give the 1-2-5 steps from just below `low` to just above `high`."""
    steps = [factor * 10.0**power for power in range(-6, 8) for factor in (1, 2, 5)]
    first = max(at for at, step in enumerate(steps) if step <= max(low, steps[0]))
    last = min(at for at, step in enumerate(steps) if step >= min(high, steps[-1]))
    every = max(1, (last - first) // 8)
    return [float(f"{step:.6g}") for step in steps[first : last + every : every]]


def _whiskers(
    rows: Sequence[Row], order: Sequence[str], fields: tuple[str, str, str], title: str, width: int, labels: bool
) -> Any:
    low, value, high = fields
    axis = alt.Axis() if labels else None
    base = inline(rows).encode(y=alt.Y("name:N", sort=list(order), title=None, axis=axis))
    paint = alt.condition("datum.is_candidate", alt.value(ACCENT), alt.value("#7d8894"))
    zero = alt.Chart(alt.InlineData(values=[{"zero": 0}])).mark_rule(color=INK, strokeWidth=1).encode(x="zero:Q")
    rule = base.mark_rule(strokeWidth=2).encode(
        x=alt.X(f"{low}:Q", title=title, axis=alt.Axis(tickCount=6)), x2=f"{high}:Q", color=paint
    )
    dot = base.mark_point(filled=True, size=90, opacity=1).encode(x=f"{value}:Q", color=paint)
    return (zero + rule + dot).properties(width=width, height=alt.Step(28))


def day_axis(days: Sequence[str], width: int) -> Any:
    """Make an axis of days (ISO) with as many labels as there is room for."""
    every = max(1, round(len(days) * (70 if width > PANELS else 75) / width))
    shown = [day for at, day in enumerate(days) if at % every == 0]
    label = "utcFormat(toDate(datum.value), '%-d %b')"
    return alt.Axis(values=shown, labelExpr=label, labelAngle=0, title=None)


def _money_axis(rows: Sequence[Row]) -> Any:
    totals: dict[str, float] = {}
    for row in rows:
        totals[row["day"]] = totals.get(row["day"], 0.0) + row["usd"]
    places = "~s" if max(totals.values(), default=0.0) >= 10 else "~g"
    return alt.Axis(labelExpr=f"'$' + format(datum.value, '{places}')", tickCount=5, title=None)
