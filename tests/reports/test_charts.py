import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fairlead.reports import charts, gapchart

MEAN = {"value": 80.0, "low": 70.0, "high": 90.0, "colour": "#123456"}
SAVED = {"value": 10.0, "low": 5.0, "high": 15.0, "q_value": 0.0, "q_low": -1.0, "q_high": 1.0, "is_candidate": True}


def drawings(html: str) -> list[ET.Element]:
    return [ET.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", html, re.DOTALL)]


def labels(drawing: ET.Element) -> list[str]:
    return [element.text or "" for element in drawing.iter("{http://www.w3.org/2000/svg}text")]


def test_every_chart_is_drawn_for_a_wide_and_a_narrow_page() -> None:
    daily = [{"day": "2026-11-01", "name": "a", "usd": 0.5, "place": 1}]
    made = [
        charts.daily(daily, ["a"], ["#123456"]),
        charts.savings([SAVED | {"name": "a"}, SAVED | {"name": "b", "q_value": None, "q_low": None, "q_high": None}]),
        charts.quality([MEAN | {"name": "a"}], []),
        charts.quality([MEAN | {"name": "a"}], [MEAN | {"name": "chat"}]),
        charts.ranges([{"name": "a", "p50": 0.4, "p90": 2.0, "p99": 31.0, "colour": "#123456"}]),
        charts.failures([{"day": "2026-11-01", "share": 0.02}]),
        gapchart.draw("g", [{"name": "cache reads " * 9, "usd": -1.5, "label": "-$1.50", "colour": "#123456"},
                          {"name": "b", "usd": 0.5, "label": "+$0.50", "colour": "#123456"}], "what"),
    ]  # fmt: skip

    for html in made:
        wide, narrow = drawings(html)
        assert 50 < float(narrow.get("width", 0)) < 420
        assert float(wide.get("width", 0)) >= float(narrow.get("width", 0)) * 0.5
        assert 'role="img" aria-label="' in html


def test_days_are_shown_in_utc_whatever_the_clock_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/Los_Angeles")
    rows = [{"day": f"2026-11-0{day}", "name": "a", "usd": 1.0, "place": 1} for day in (1, 2)]

    wide, _ = drawings(charts.daily(rows, ["a"], ["#123456"]))

    assert [text for text in labels(wide) if "Nov" in text or "Oct" in text] == ["1 Nov", "2 Nov"]


@settings(max_examples=15, deadline=None)
@example("0\x1f\U00012544\U00010000 0\x1f\x1f")
@example("\U0001f680" * 40)
@given(st.text(min_size=1, max_size=40) | st.text(st.characters(categories=["Cc", "Cs", "Cn"]), min_size=1, max_size=5))
def test_no_name_can_break_a_drawing(name: str) -> None:
    wide, _ = drawings(charts.quality([MEAN | {"name": name}], []))

    assert wide.tag.endswith("svg")


def test_drawings_on_one_page_do_not_share_identifiers() -> None:
    page = charts.quality([MEAN | {"name": "a"}], []) + charts.savings([SAVED | {"name": "a"}])

    identifiers = re.findall(r'\bid="([^"]+)"', page)
    assert len(identifiers) == len(set(identifiers))
