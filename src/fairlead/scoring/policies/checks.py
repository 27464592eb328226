"""Parameters are checked where a policy is built: UsageError names the policy, the parameter and what it may be."""

from __future__ import annotations

import math
from typing import Any

from fairlead.errors import UsageError

__all__ = ["number", "share", "whole"]


def number(policy: str, what: str, value: Any, low: float = 0.0) -> float:
    """Give the value as a finite float from `low` up.

    >>> number("intelligent", "usd_price", 3)
    3.0
    """
    found = _float(value)
    if not (math.isfinite(found) and found >= low):
        allowed = "a number" if low == -math.inf else f"a number from {low:g} up"
        raise UsageError(f"policy {policy}: {what} must be {allowed}, not {value}")
    return found


def share(policy: str, what: str, value: Any) -> float:
    """Give the value as a float from 0 to 1."""
    found = _float(value)
    if not 0 <= found <= 1:
        raise UsageError(f"policy {policy}: {what} must be a share from 0 to 1, not {value}")
    return found


def whole(policy: str, what: str, value: Any, low: int = 1, high: int | None = None) -> int:
    """Give the value as an int from `low` to `high`."""
    found = _float(value)
    if not (math.isfinite(found) and found == int(found) and found >= low and (high is None or found <= high)):
        allowed = f"from {low} up" if high is None else f"from {low} to {high}"
        raise UsageError(f"policy {policy}: {what} must be a whole number {allowed}, not {value}")
    return int(found)


def _float(value: Any) -> float:
    """NaN for what is no number, so that the caller's own message says what was expected."""
    try:
        return float("nan") if isinstance(value, (str, bytes)) else float(value)
    except (TypeError, ValueError, OverflowError):
        return float("nan")
