"""What one check says: its value, a verdict with the thresholds behind it, what it means and what to do."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from fairlead.reports import formats

__all__ = ["Check", "Rows", "graded", "listed", "nothing"]

Verdict = Literal["fine", "look", "bad", "none"]
Rows = list[dict[str, Any]]


class Check(Struct, frozen=True, kw_only=True):
    """One check; its verdict is none where there is nothing to check."""

    name: str
    group: str
    value: str
    verdict: Verdict
    meaning: str
    action: str = ""
    threshold: str = ""


def graded(value: float, look: float, bad: float) -> Verdict:
    """Give the verdict on a value that should be small: beyond `look`, beyond `bad`.

    >>> graded(0.0, 0.0, 0.1), graded(0.05, 0.0, 0.1), graded(0.2, 0.0, 0.1)
    ('fine', 'look', 'bad')
    """
    return "bad" if value > bad else "look" if value > look else "fine"


def nothing(name: str, group: str, why: str) -> Check:
    """Make the check that had nothing to look at."""
    return Check(name=name, group=group, value=formats.NO_DATA, verdict="none", meaning=why)


def listed(names: list[str], most: int = 4) -> str:
    """Write the first few of some names from the logs, and how many more there are.

    >>> listed(["a", "b", "c"], 2)
    'a, b and 1 more'
    """
    shown = ", ".join(formats.visible(name) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most:,} more"
