"""What is registered, and what a decision rests on."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Annotated, Any, Final

import typer

from fairlead import project
from fairlead.cli import show
from fairlead.cli.show import AsJson

__all__ = ["COMMANDS"]


def registry(
    decision: Annotated[str | None, typer.Option(help="A logged decision: name the fits and rows behind it.")] = None,
    as_json: AsJson = False,
) -> None:
    """List every predictor's versions, or walk from a decision back to the rows that were learned from."""
    here = project.find()
    if decision is not None:
        from fairlead.publish import lineage

        traced = lineage.trace(here, decision)
        lines = [
            f"{one.predictor:<9} version {one.version}, run {one.run_id}: {one.rows:,} rows"
            f"{f' before {one.until}' if one.until else ''}, ids {one.digest[:16]}; "
            + ("the lake still gives them to the last number" if one.same else f"the lake now gives {one.found:,}")
            for one in traced
        ]
        show.result(traced, "\n".join(lines), as_json)
        return
    from fairlead.training import spec
    from fairlead.training.registry import Registry

    kept = Registry.of(here)
    found: dict[str, Any] = {one.name: kept.versions(one.name) for one in spec.read_all(here.models)}
    words = "\n".join(_line(name, one) for name, versions in found.items() for one in versions)
    show.result(found, words or "nothing is registered yet; run `fairlead train`", as_json)


def _line(name: str, version: dict[str, Any]) -> str:
    when = datetime.datetime.fromtimestamp(version["created_ms"] / 1000, datetime.UTC)
    aliases = ", ".join(version["aliases"])
    return f"{name:<9} {version['version']:>4}  {when:%Y-%m-%d %H:%M}  {aliases:<10}  {version['gate']}"


COMMANDS: Final[tuple[Callable[..., None], ...]] = (registry,)
