"""How a server runs: what `fairlead serve` was given, as one value that its workers are handed as JSON."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

from fairlead.errors import UsageError

__all__ = ["Limits", "Settings"]


class Limits(Struct, frozen=True, kw_only=True):
    """What is taken at most, and how long anything may take."""

    body_bytes: int = 1 << 20
    forward_bytes: int = 16 << 20  # of a chat completion to forward
    body_s: float = 10.0  # until a request has to be there
    idle_s: float = 75.0  # that a connection may be idle
    wait_s: float = 0.1  # that a request may wait for its decision before it is refused
    connections: int = 10_000
    together: int = 64  # requests that are decided in one go
    watchers: int = 64  # of the live stream
    drain_s: float = 10.0  # for what is under way when the server ends
    upstream_s: float = 120.0
    attempts: int = 3  # upstreams that are tried for one request

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            if not getattr(self, name) > 0:
                raise UsageError(f"limit {name} is {getattr(self, name)}; give a number above 0")


class Settings(Struct, frozen=True, kw_only=True):
    """Everything a worker needs to know."""

    snapshot: str  # the folder that snapshots are published in
    host: str = "127.0.0.1"
    port: int = 8080
    uds: str | None = None
    workers: int = 1
    shadow: bool = False
    policy: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    budget_usd: float | None = None  # a month, over all workers of this machine
    default: tuple[str, ...] = ()
    last_resort: str | None = None
    redis: str | None = None
    group: str = "default"
    keys: str | None = None  # the folder of keys
    fronts: tuple[str, ...] = ()  # networks of fronts whose word of a caller's address counts
    spool: str | None = None
    spool_bytes: int = 1 << 30
    upstreams: str | None = None
    watch_s: float = 1.0
    limits: Limits = field(default_factory=Limits)
