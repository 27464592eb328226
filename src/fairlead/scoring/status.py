"""What a router says of itself."""

from __future__ import annotations

from msgspec import Struct

__all__ = ["Status"]


class Status(Struct, frozen=True, kw_only=True):
    """What a router decides with, and whether something is wrong; fit for a health check."""

    version: int  # of the snapshot in use; 0 is the built-in one
    sha256: str
    policy: str
    refused: str | None  # why the newest snapshot is not the one in use
    faults: int  # decisions that failed inside and were answered by the last resort
    last_fault: str | None
