"""The command that decides over HTTP: serve."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import typer

from fairlead import project
from fairlead.errors import ProjectError, UsageError

__all__ = ["COMMANDS"]


def serve(
    host: Annotated[
        str, typer.Option(help="The address to listen on; beyond this machine it needs --keys.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port; 0 takes a free one.")] = 8080,
    uds: Annotated[Path | None, typer.Option(help="A unix socket to listen on, instead of a port.")] = None,
    workers: Annotated[int, typer.Option(help="Processes that share the port.")] = 1,
    snapshot: Annotated[Path | None, typer.Option(help="The folder of snapshots; default var/published.")] = None,
    policy: Annotated[str | None, typer.Option(help="Another policy than the one that was published.")] = None,
    default: Annotated[
        list[str] | None, typer.Option(help="Endpoints in order, where nothing is published yet.")
    ] = None,
    last_resort: Annotated[
        str | None, typer.Option(help="The endpoint where none is eligible or deciding fails.")
    ] = None,
    budget: Annotated[
        float | None, typer.Option(help="Dollars a month to pace by: money gets dearer while spending runs ahead.")
    ] = None,
    shadow: Annotated[
        bool, typer.Option("--shadow", help="Decide and log, but answer what the gateway chose.")
    ] = False,
    spool: Annotated[Path | None, typer.Option(help="The folder for decisions and feedback, for `ingest`.")] = None,
    spool_mb: Annotated[int, typer.Option(help="Megabytes kept there.")] = 1024,
    keys: Annotated[
        Path | None, typer.Option(help="The folder of `fairlead keys`; callers send Authorization: Bearer.")
    ] = None,
    front: Annotated[
        list[str] | None, typer.Option(help="A network of fronts whose X-Forwarded-For counts, as 10.0.0.0/8.")
    ] = None,
    upstreams: Annotated[
        Path | None, typer.Option(help="A TOML file of upstreams, to forward chat completions.")
    ] = None,
    redis: Annotated[str | None, typer.Option(help="Share live state with other machines through this Redis.")] = None,
    group: Annotated[str, typer.Option(help="Who shares it: the name of a fleet.")] = "default",
    max_body_kb: Annotated[int, typer.Option(help="Kilobytes of a request's body.")] = 1024,
    max_wait_ms: Annotated[
        float, typer.Option(help="Milliseconds a request may wait before it is refused (503).")
    ] = 100,
    drain: Annotated[float, typer.Option(help="Seconds for what is under way when it ends.")] = 10,
) -> None:
    """Decide over HTTP until SIGTERM or Ctrl-C; see /openapi.json for what can be asked."""
    from fairlead.serve.settings import Limits, Settings
    from fairlead.serve.workers import serve as run

    if keys is not None:  # refused here, in one line, and not by each worker
        from fairlead.serve.security import Folder

        Folder(keys).guard(fronts=front or ())
    if keys is None and uds is None and not _loopback(host):
        raise UsageError(
            f"--host {host} can be reached by others; give --keys FOLDER (`fairlead keys`), or listen on 127.0.0.1"
        )
    if not 1 <= workers <= 64:
        raise UsageError(f"--workers {workers}; give 1 to 64")
    settings = Settings(
        snapshot=str(snapshot or _published()),
        host=host,
        port=port,
        uds=None if uds is None else str(uds),
        workers=workers,
        shadow=shadow,
        policy=policy,
        default=tuple(default or ()),
        last_resort=last_resort,
        budget_usd=budget,
        redis=redis,
        group=group,
        keys=None if keys is None else str(keys),
        fronts=tuple(front or ()),
        spool=None if spool is None else str(spool),
        spool_bytes=spool_mb << 20,
        upstreams=None if upstreams is None else str(upstreams),
        limits=Limits(body_bytes=max_body_kb << 10, wait_s=max_wait_ms / 1000, drain_s=drain),
    )
    raise typer.Exit(run(settings, started=lambda address: typer.echo(f"deciding at {address}")))


def _published() -> Path:
    try:
        return project.find().published
    except ProjectError as fault:
        raise UsageError(f"{fault}; or name the folder of snapshots: --snapshot FOLDER") from fault


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


COMMANDS: Final[tuple[Callable[..., None], ...]] = (serve,)
