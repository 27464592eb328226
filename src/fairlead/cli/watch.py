"""Commands that look after a running project: watch, forecast."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final

import typer

from fairlead import project
from fairlead.cli import show
from fairlead.cli.show import AsJson

__all__ = ["COMMANDS"]

_MARKS: Final = {"ok": "ok     ", "retrain": "RETRAIN", "alarm": "ALARM  ", "unknown": "   –   "}


def watch(as_json: AsJson = False) -> None:
    """Look once for anomalies, drift and a budget that runs out; exit with 1 when there is an alarm."""
    from fairlead.training import watch as stage

    found = stage.watch(project.find())
    lines = [f"ALARM    {show.plain(anomaly.words)}" for anomaly in found.anomalies] or ["ok       no anomaly"]
    lines += [
        f"{_MARKS[check.verdict]}  {check.group}, {show.plain(check.name)}: {show.plain(check.reason)}"
        for check in found.drift
    ]
    if found.budget is not None:
        over = found.budget.runs_out is not None
        lines.append(f"{_MARKS['alarm' if over else 'ok']}  budget: {found.budget.words}")
    if not found.drift:
        lines += [f"{_MARKS['unknown']}  {show.plain(why)}" for why in found.unknown]
    show.result(found, "\n".join([*lines, f"verdict: {found.verdict}"]), as_json)
    if found.verdict == "alarm":
        raise typer.Exit(1)


def forecast(
    horizon: Annotated[str | None, typer.Option(help="One horizon of models/demand.toml, such as 1h.")] = None,
    as_json: AsJson = False,
) -> None:
    """Forecast requests, tokens and dollars, in total, by route and by team."""
    from fairlead.training.demand.forecast import forecast as stage

    rows = stage(project.find())
    rows = rows.filter(horizon=horizon) if horizon else rows
    names = [
        (kind if kind == "total" else f"{kind} {show.plain(name)}") for kind, name in rows.select("kind", "name").rows()
    ]
    words = "\n".join(
        f"{who:<28} {row['horizon']:>4} {row['measure']:<9} {row['expected']:>14,.2f} "
        f"[{row['low']:,.2f}, {row['high']:,.2f}], before {row['before']:,.2f}"
        for who, row in zip(names, rows.iter_rows(named=True), strict=True)
    )
    show.result(rows.to_dicts(), words or "no demand predictor yet; run `fairlead train`", as_json)


COMMANDS: Final[tuple[Callable[..., None], ...]] = (watch, forecast)
