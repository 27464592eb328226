"""Commands about money: reconcile."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Annotated, Final

import typer

from fairlead import project
from fairlead.cli import show
from fairlead.cli.show import AsJson

__all__ = ["COMMANDS"]


def reconcile(
    since: Annotated[datetime.datetime | None, typer.Option(help="The first day (UTC); default: all there is.")] = None,
    until: Annotated[datetime.datetime | None, typer.Option(help="The day after the last (UTC).")] = None,
    by: Annotated[str, typer.Option(help="What to split by: provider, model, day, or several by commas.")] = (
        "provider,model"
    ),
    as_json: AsJson = False,
) -> None:
    """Compare the cost recomputed from tokens with what the gateways reported and the providers billed."""
    from fairlead.reports import reconcile as stage

    names = tuple(name.strip() for name in by.split(",") if name.strip())
    found = stage.reconcile(project.find(), since=_utc(since), until=_utc(until), by=names)
    show.result(found, stage.render(found), as_json)


def _utc(moment: datetime.datetime | None) -> datetime.datetime | None:
    return moment.replace(tzinfo=datetime.UTC) if moment and moment.tzinfo is None else moment


COMMANDS: Final[tuple[Callable[..., None], ...]] = (reconcile,)
