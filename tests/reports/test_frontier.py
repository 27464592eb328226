import re
import xml.etree.ElementTree as ET
from datetime import UTC, datetime

import pytest

from fairlead.evaluation import settings
from fairlead.evaluation.bounds import Tail
from fairlead.evaluation.intervals import Estimate
from fairlead.evaluation.settings import Frontier, Setting
from fairlead.reports import render
from fairlead.reports.sections import frontier

DAY = datetime(2026, 11, 5, tzinfo=UTC)


def estimate(value: float, half: float) -> Estimate:
    return Estimate(name="x", value=value, low=value - half, high=value + half, n=9, standard_error=half / 2,
                    level=0.95, method="normal")  # fmt: skip


def setting(price: float, cost: float, quality: float, *, optimal: bool = True, told: bool = True) -> Setting:
    return Setting(
        parameters={"usd_price": price},
        optimal=optimal,
        chosen_quality=quality,
        chosen_cost_usd=cost,
        chosen_p95_s=3.0,
        quality=estimate(quality, 0.02) if told else None,
        cost_usd=estimate(cost, cost / 10) if told else None,
        p95_s=Tail(3.0, 2.5, 3.5) if told else None,
    )


def found(*points: Setting) -> Frontier:
    return Frontier(
        made_at=DAY,
        chosen_requests=700,
        confirmed_requests=300,
        confirmed_from=DAY,
        confirmed_until=datetime(2026, 11, 9, tzinfo=UTC),
        logged_quality=estimate(0.8, 0.01),
        logged_cost_usd=estimate(0.002, 0.0001),
        settings=list(points),
    )


POINTS = (
    setting(0, 0.003, 0.9),
    setting(9, 0.001, 0.8),
    setting(5, 0.0025, 0.7, optimal=False),
    setting(7, 0.002, 0.6, told=False),
)


def test_what_was_never_compared_says_what_to_run() -> None:
    shown = frontier.section(None)

    assert "fairlead publish --frontier" in shown.lead
    assert shown.blocks == []


def test_the_section_says_on_which_days_settings_were_compared_and_valued() -> None:
    shown = frontier.section(found(*POINTS))

    assert shown.lead == (
        "4 settings compared on 700 requests, valued on the 300 later ones, 5 November 2026 to 9 November 2026. "
        "Of 1 of them the logs cannot tell."
    )
    rows = re.findall(r"usd_price = \S+?(?=<)", str(shown.blocks[1].body))
    assert rows == ["usd_price = 9", "usd_price = 0"]  # nothing cheaper is as good, from the cheapest up


@pytest.mark.parametrize("points", [POINTS, POINTS[:1], (*POINTS, setting(90, 0.00001, 0.2))])
def test_the_picture_is_drawn_wide_and_narrow_whatever_it_holds(points: tuple[Setting, ...]) -> None:
    html = str(frontier.section(found(*points)).blocks[0].body)

    drawings = [ET.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", html, re.DOTALL)]
    words = ["".join(drawing.itertext()) for drawing in drawings]
    assert len(drawings) == 2
    assert all("what you ran" in said and "95th percentile" in said for said in words)


def test_a_log_that_cannot_tell_shows_no_figure() -> None:
    shown = frontier.section(found(POINTS[-1]))

    assert shown.blocks == []
    assert "cannot tell" in shown.lead


def test_the_report_shows_the_frontier_that_lies_in_the_project(filled, now) -> None:
    settings.write(filled.var, found(*POINTS))

    page = render(filled, now=now).read_text()

    assert "What other settings would give" in page
    assert "4 settings compared" in page
