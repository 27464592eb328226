"""The page in a real browser, cut off from the network."""

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from fairlead.evaluation.judgement import Judgement
from fairlead.project import Project
from fairlead.reports import render

CHROMIUM = Path("/usr/bin/chromium")


@pytest.fixture
def browser() -> Iterator[Any]:
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is absent")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


@pytest.mark.slow
@pytest.mark.parametrize(("width", "kind"), [(1200, "wide"), (390, "narrow")])
def test_the_page_opens_offline_with_its_charts_and_no_complaint(
    browser: Any,
    filled: Project,
    judged: Callable[..., Project],
    judgement: Callable[..., Judgement],
    now: datetime,
    width: int,
    kind: str,
) -> None:
    judged(judgement())
    path = render(filled, now=now)
    page = browser.new_context(offline=True, viewport={"width": width, "height": 900}).new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))

    page.goto(path.as_uri())

    boxes = [chart.bounding_box() for chart in page.query_selector_all(f".chart .{kind} svg")]
    assert said == []
    assert asked == [path.as_uri()]
    assert len(boxes) == 9
    assert all(box and box["width"] > 150 and box["height"] > 40 for box in boxes)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
