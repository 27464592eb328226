"""What the registry keeps of a fit, whatever was fitted: files, numbers, the rows behind it, a card for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import Struct

__all__ = ["Entry", "Registered", "Rows", "Signature"]


class Rows(Struct, frozen=True, kw_only=True):
    """Which rows a fit learned from, so that they can be found again.

    `as_of` is the moment as of which the lake was read, `ingested_until` the newest load that it held, `until` the
    moment before which the rows started (None: all), all ISO 8601 in UTC. `digest` is of their ids, `values_digest` of
    what was learned from them.
    """

    count: int
    as_of: str
    ingested_until: str
    until: str | None
    digest: str
    values_digest: str
    source: str


class Signature(Struct, frozen=True, kw_only=True):
    """What goes in and what comes out: (name, "number" or "category") each."""

    inputs: tuple[tuple[str, str], ...]
    outputs: tuple[tuple[str, str], ...]


class Entry(Struct, frozen=True, kw_only=True):
    """One fit to register. `write` puts its files into a folder; `card` is Markdown."""

    name: str
    write: Callable[[Path], None]
    params: Mapping[str, str | int | float] = {}
    metrics: Mapping[str, float] = {}
    card: str = ""
    rows: Rows | None = None
    signature: Signature | None = None


class Registered(Struct, frozen=True, kw_only=True):
    """One registered version; its files lie in `folder`, checked against their SHA-256."""

    name: str
    version: int
    run_id: str
    folder: Path
    rows: Rows | None = None
