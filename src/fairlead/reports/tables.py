"""Tables by great-tables: names left, numbers right and aligned, every cell escaped."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import polars
from great_tables import GT
from markupsafe import Markup, escape

from fairlead.evaluation.judgement import Reading
from fairlead.reports import formats
from fairlead.reports.palette import OTHER

__all__ = [
    "NOTHING",
    "Column",
    "bars",
    "estimates",
    "legend",
    "money",
    "names",
    "numbers",
    "other_label",
    "stacks",
    "table",
    "texts",
]

NOTHING: Final = Markup('<p class="none">no data</p>')
# The tables share the page's style sheet, instead of ten kilobytes of their own each.
_OWN_STYLE: Final = re.compile(r"<style>.*?</style>", re.DOTALL)
_OWN_BOX: Final = re.compile(r'(<div id="[^"]*") style="[^"]*"')


@dataclass(frozen=True, slots=True)
class Column:
    """A column's label, its cells as safe markup, and the side it is aligned to."""

    label: str
    cells: list[Markup]
    side: str = "right"
    total: str = ""


def table(name: str, columns: Sequence[Column]) -> Markup:
    """Lay out columns as an HTML table, their totals as its last row; "no data" when they are empty."""
    if not columns[0].cells:
        return NOTHING
    total = any(column.total for column in columns)
    rows = [[*column.cells, *([column.total] if total else [])] for column in columns]
    frame = polars.DataFrame({f"c{at}": [str(cell) for cell in cells] for at, cells in enumerate(rows)})
    made = GT(frame, id=name).fmt_passthrough(escape=False)
    made = made.cols_label({f"c{at}": str(escape(column.label)) for at, column in enumerate(columns)})
    for side in ("left", "right"):
        made = made.cols_align(side, [f"c{at}" for at, column in enumerate(columns) if column.side == side])
    html = _OWN_BOX.sub(r"\1", _OWN_STYLE.sub("", made.as_raw_html(), count=1), count=1)
    return Markup('<div class="table{}">{}</div>').format(" total" if total else "", Markup(html))  # noqa: S704 - escaped


def other_label(members: int) -> str:
    """Name the row that sums up what did not make the top.

    >>> other_label(12345)
    'other (12,345 more)'
    """
    return f"other ({members:,} more)"


def names(
    label: str,
    values: Sequence[str | None],
    colours: Sequence[str] | None = None,
    missing: str = "not given",
    total: str = "",
) -> Column:
    """Make a column of names from the logs, each isolated and shown whole, with its colour before it."""
    cells = []
    for at, value in enumerate(values):
        swatch = (
            Markup('<i class="swatch" style="background:{}"></i>').format(colours[at])
            if colours and colours[at]
            else ""
        )
        text = Markup("<em>{}</em>").format(missing) if value is None else formats.visible(value)
        cells.append(Markup("{}<bdi>{}</bdi>").format(swatch, text))
    return Column(label, cells, "left", escape(total))


def texts(label: str, values: Sequence[object], limit: int = 200, side: str = "left") -> Column:
    """Make a column of words."""
    return Column(label, [_number(formats.visible(value, limit)) for value in values], side)


def numbers(
    label: str,
    values: Sequence[float | None],
    write: Callable[[float | None], str] = formats.count,
    total: float | None = None,
) -> Column:
    """Make a column of numbers, written by `write`."""
    return Column(label, [_number(write(value)) for value in values], total=_total(total, write))


def money(label: str, values: Sequence[float | None], total: float | None = None) -> Column:
    """Make a column of dollars, all with the decimals that the largest deserves."""
    places = formats.decimals([*values, total])

    def write(value: float | None) -> str:
        return formats.money(value, places)

    return Column(label, [_number(write(value)) for value in values], total=_total(total, write))


def estimates(label: str, values: Sequence[Reading], write: Callable[[float | None], str], places: int = 1) -> Column:
    """Make a column of estimates, each with its 95 % interval beside it in the same unit."""
    cells = []
    for made in values:
        if made.value is None:
            cells.append(Markup('<span class="none">–</span>'))
            continue
        span = formats.bracket(made.low, made.high, 1, places)
        cells.append(Markup('{} <span class="quiet">{}</span>').format(write(made.value), span))
    return Column(label, cells)


def stacks(label: str, rows: Sequence[Sequence[tuple[str, float, str]]]) -> Column:
    """Make a column of stacked bars; a row is name, share and colour of each of its parts."""
    part = Markup('<i style="width:{:.2f}%;background:{}" title="{}"></i>')
    cells = []
    for row in rows:
        parts = (
            part.format(100 * size, colour, f"{formats.visible(name)}: {formats.share(size, 1)}")
            for name, size, colour in row
        )
        cells.append(Markup('<span class="stack">{}</span>').format(Markup("").join(parts)))
    return Column(label, cells, "left")


def legend(entries: Sequence[tuple[str, str]]) -> Markup:
    """Name the colours of stacked bars."""
    entry = Markup('<span><i class="swatch" style="background:{}"></i><bdi>{}</bdi></span>')
    return Markup('<p class="legend">{}</p>').format(
        Markup("").join(entry.format(colour, formats.visible(name)) for name, colour in entries)
    )


def bars(label: str, shares: Sequence[float | None], colours: Sequence[str] | None = None) -> Column:
    """Make a column of shares, each with a bar as long as its share of the largest."""
    longest = max((value for value in shares if value is not None), default=0.0) or 1.0
    cells = []
    for at, value in enumerate(shares):
        if value is None:
            cells.append(Markup('<span class="none">–</span>'))
            continue
        colour = (colours[at] if colours else "") or OTHER
        width = 100 * max(0.0, value) / longest
        cells.append(
            Markup('<span class="bar"><span><i style="width:{:.1f}%;background:{}"></i></span>{}</span>').format(
                width, colour, formats.share(value, 1)
            )
        )
    return Column(label, cells, "left")


def _total(value: float | None, write: Callable[[float | None], str]) -> str:
    return "" if value is None else escape(write(value))


def _number(text: str, style: str = "") -> Markup:
    kind = "none" if text == formats.NO_DATA else style
    return Markup('<span class="{}">{}</span>').format(kind, text) if kind else escape(text)
