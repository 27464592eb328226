"""The report as one HTML file that needs nothing else: no script, no font, no request."""

from __future__ import annotations

import os
import tempfile
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from fairlead import store
from fairlead.evaluation import adjusted, settings
from fairlead.evaluation.judgement import Judgement
from fairlead.project import Project
from fairlead.reports import formats, headline, judgement, keyfigures, method
from fairlead.reports.looked import look
from fairlead.reports.page import Page
from fairlead.reports.palette import Palette
from fairlead.reports.queries import TOP, Ask, prepare, window
from fairlead.reports.sections import costs, errors, frontier, health, latency, outlook, quality, savings, spend, watch

__all__ = ["render"]


def render(project: Project, *, out: Path | None = None, title: str | None = None, now: datetime | None = None) -> Path:
    """Write the report on the project's last 30 days of traffic and its last judgement, and give the file's path.

    It goes to `out` (a file, or a folder that is there), by default to `var/reports/report-YYYY-MM-DD.html`; a report
    of the same name is replaced at once, never half.
    """
    now = (now or datetime.now(UTC)).astimezone(UTC)
    lake = store.open_lake(project.lake)
    judged = judgement.read(project.var / "judgements" / "latest.json")
    connection = lake.connect()
    try:
        prepare(connection, project)
        page = _page(connection, project, lake, judged, title or "Spend and routing report", now)
    finally:
        connection.close()
    path = out or project.reports
    if out is None or path.is_dir():
        path = path / f"report-{now:%Y-%m-%d}.html"
    _write(path, _html(page))
    return path


def _page(
    connection: store.Connection,
    project: Project,
    lake: store.Lake,
    judged: Judgement | None,
    title: str,
    now: datetime,
) -> Page:
    ask = window(connection, now)
    span = ask.one("span")
    spenders = [
        (row["name"], row["provider"]) for row in ask("spend_by_endpoint") if row["place"] <= TOP and row["name"]
    ]
    palette = Palette.of([*spenders, *_judged_endpoints(judged, {name for name, _ in spenders})])
    found = headline.verdict(judged)
    looked = look(project)
    totals = ask.one("totals")
    before = ask.one("totals", **{"from": ask.start - (ask.until - ask.start), "until": ask.start})
    earlier = (
        before if span["oldest"] and span["oldest"] <= ask.start - (ask.until - ask.start) + timedelta(days=1) else None
    )
    return Page(
        title=formats.visible(title, 200),
        headline=f"{headline.spent(totals, ask)} {found.sentence}",
        tone=found.tone,
        details=[
            *headline.trend(totals, earlier, ask),
            *watch.alerts(looked.anomalies, looked.outlook),
            *found.details,
        ],
        made=f"Made {formats.moment(now)} by fairlead. This page holds everything it shows and loads nothing.",
        window=_dates(ask, span),
        figures=keyfigures.figures(ask, totals, earlier, judged),
        sections=[
            spend.section(ask, palette),
            costs.section(ask, project),
            savings.section(judged, palette),
            frontier.section(settings.read(project.var)),
            quality.section(
                ask, palette, adjusted.adjusted(adjusted.rows_of(connection, ask.start, ask.until), project)
            ),
            latency.section(ask, palette),
            errors.section(ask, palette),
            watch.section(looked.anomalies, looked.traces, looked.checks),
            outlook.section(looked.forecast, looked.outlook),
            health.section(ask, lake, judged),
        ],
        method=method.notes(ask, judged),
    )


def _judged_endpoints(judged: Judgement | None, known: set[str]) -> list[tuple[str, str]]:
    names = {name for policy in judged.policies for name in policy.endpoint_shares} if judged else set()
    return [(name, name.partition("/")[0]) for name in sorted(names - known)]


def _dates(ask: Ask, span: dict[str, Any]) -> str:
    if span["newest"] is None:
        return formats.NO_DATA
    if ask.days == 1:
        return f"{formats.day(ask.first_day)} (UTC)"
    return f"{formats.day(ask.first_day)} to {formats.day(ask.last_day)} (UTC)"


def _html(page: Page) -> str:
    environment = Environment(
        loader=PackageLoader("fairlead.reports", ""), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    style = (files("fairlead.reports") / "style.css").read_text(encoding="utf-8")
    return environment.get_template("template.html.j2").render(page=page, style=Markup(style))  # noqa: S704 - our own file


def _write(path: Path, html: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(html)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
