"""The command that looks for unsafe settings: doctor."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from fairlead import project
from fairlead.cli import show
from fairlead.cli.confirm import folder_of
from fairlead.cli.show import AsJson
from fairlead.errors import ProjectError, SecurityError

if TYPE_CHECKING:
    from fairlead.project import Project
    from fairlead.serve.security.doctor import Finding

__all__ = ["COMMANDS"]


def doctor(
    folder: Annotated[
        Path | None, typer.Option("--folder", help="The folder of keys; default var/security of the project.")
    ] = None,
    front: Annotated[
        list[str] | None, typer.Option(help="A front to shake hands with, as HOST:PORT; may be given several times.")
    ] = None,
    checkpoints: Annotated[
        Path | None, typer.Option(help="The audit log's checkpoints as another machine keeps them.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Look for unsafe settings of keys, files, MLflow, Prefect and servers; exit with 1 where one must not stay."""
    found = list(_look(folder, front or [], checkpoints))
    words = "\n".join(_line(one) for one in found)
    refusals = sum(one.verdict == "refused" for one in found)
    show.result(found, words or "nothing to look at here", as_json)
    if refusals:
        raise SecurityError(f"{refusals} of {len(found)} things must not stay as they are")


def _look(folder: Path | None, fronts: list[str], checkpoints: Path | None) -> Iterator[Finding]:
    from fairlead.serve.security.doctor import asking, house, places, processes, servers

    where = folder_of(folder)
    inside = sorted(path for path in where.root.glob("*") if path.is_file() and path.suffix != ".pub")
    secrets, here = [path for path in inside if not path.name.endswith(".lock")], _project()
    if here is not None:
        secrets += [here.var / "hash.key", here.root / ".env"]
    yield from places.secret_files(secrets)
    yield from house.keys(where, datetime.datetime.now(datetime.UTC))
    yield from house.audit(where, checkpoints)
    if here is not None:
        yield from _of_project(here)
    yield from servers.look(processes.running(), dict(os.environ))
    yield from asking.prefect(os.environ.get("PREFECT_API_URL", ""))
    for address in fronts:
        yield from asking.front(address)


def _of_project(here: Project) -> Iterator[Finding]:
    from fairlead.serve.security.doctor import asking, places, texts

    registry: dict[str, Any] = here.settings.get("registry", {})
    yield from texts.written([here.root / "pyproject.toml", here.root / "prefect.yaml"])
    yield from places.data([here.lake, here.database, here.registry, here.registry / "mlflow.db"])
    yield from places.decides(here.published)
    yield from asking.mlflow(str(registry.get("uri", os.environ.get("MLFLOW_TRACKING_URI", ""))))


def _project() -> Project | None:
    try:
        return project.find()
    except ProjectError:
        return None


def _line(one: Finding) -> str:
    way_out = f"\n         -> {show.plain(one.way_out)}" if one.way_out else ""
    return f"{one.verdict:<8} {show.plain(one.what)}{way_out}"


COMMANDS: Final[tuple[Callable[..., None], ...]] = (doctor,)
