"""The command that listens: receive."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import typer

from fairlead import project
from fairlead.errors import UsageError

__all__ = ["COMMANDS"]

_TOKEN: Final = "FAIRLEAD_RECEIVE_TOKEN"  # noqa: S105  the variable's name


def receive(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port; 0 takes a free one.")] = 4318,
    inbox: Annotated[Path | None, typer.Option(help="The folder to keep spans in; default var/inbox.")] = None,
    most_mb: Annotated[int, typer.Option("--max-mb", help="Megabytes kept until senders have to wait.")] = 2048,
    every: Annotated[int, typer.Option(help="Seconds until what came in can be ingested.")] = 60,
) -> None:
    """Take OpenTelemetry traces over HTTP (OTLP) and keep them for `ingest`; needs a token beyond this machine."""
    from fairlead.ingest.receive import Limits, serve

    if most_mb < 1 or every < 1:
        raise UsageError("--max-mb and --every have to be 1 or more")
    folder = inbox or project.find().var / "inbox"
    token = os.environ.get(_TOKEN)
    if token is not None and not token.strip():
        raise UsageError(f"{_TOKEN} is set but empty; set it to a secret, or unset it")
    serve(
        folder,
        host=host,
        port=port,
        token=token,
        limits=Limits(total_bytes=most_mb << 20, file_age_s=float(every)),
        started=lambda address: typer.echo(f"listening on {address}, keeping spans in {folder}"),
    )


COMMANDS: Final[tuple[Callable[..., None], ...]] = (receive,)
