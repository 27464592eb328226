"""A small OTLP/HTTP endpoint that keeps spans in a folder for `ingest`, for gateways that export traces."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

from fairlead.errors import UsageError
from fairlead.ingest.receive.limits import Limits

__all__ = ["Limits", "serve"]

_CONNECTIONS: Final = 256
_STOP_S: Final = 10


def serve(
    folder: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 4318,
    token: str | None = None,
    limits: Limits | None = None,
    started: Callable[[str], None] | None = None,
) -> None:
    """Serve POST /v1/traces until SIGINT or SIGTERM; what was acknowledged is in `folder`.

    Only this machine is served without a token. `started` is called with the address.
    """
    if token is None and not _loopback(host):
        raise UsageError(
            f"--host {host} can be reached by others; set FAIRLEAD_RECEIVE_TOKEN to a secret that senders give as "
            "Authorization: Bearer, or bind to 127.0.0.1"
        )
    import uvicorn

    from fairlead.ingest.receive.app import Receiver

    config = uvicorn.Config(
        Receiver(folder, limits or Limits(), token),
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=_CONNECTIONS,
        timeout_graceful_shutdown=_STOP_S,
    )
    with _bound(host, port) as bound:
        if started is not None:
            name, number = bound.getsockname()[:2]
            started(f"http://{f'[{name}]' if ':' in name else name}:{number}/v1/traces")
        uvicorn.Server(config).run(sockets=[bound])


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except (OSError, OverflowError) as fault:
        why = getattr(fault, "strerror", None) or "no such port"
        raise UsageError(f"{host}:{port} cannot be bound ({why}); choose another --port or --host") from fault
