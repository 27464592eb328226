"""What the doctor says of one thing it looked at."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

__all__ = ["Finding", "fine", "refused", "warning"]


class Finding(Struct, frozen=True, kw_only=True):
    """One thing that was looked at: how it is, and where it is not well, the way out."""

    check: str
    verdict: Literal["ok", "warning", "refused"]
    what: str
    way_out: str = ""


def fine(check: str, what: str) -> Finding:
    """Say that something is as it should be."""
    return Finding(check=check, verdict="ok", what=what)


def warning(check: str, what: str, way_out: str) -> Finding:
    """Say that something should be looked at."""
    return Finding(check=check, verdict="warning", what=what, way_out=way_out)


def refused(check: str, what: str, way_out: str) -> Finding:
    """Say that something must not stay as it is."""
    return Finding(check=check, verdict="refused", what=what, way_out=way_out)
