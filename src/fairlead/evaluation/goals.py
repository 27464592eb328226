"""What a team may ask of a policy, as small declarative values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, Literal, get_args

import msgspec
from msgspec import Struct

from fairlead.errors import UsageError

__all__ = ["GOALS", "Goal", "goal_of"]

Name = Literal["status_quo", "best_single", "floor", "margin", "budget", "latency"]
GOALS: Final[tuple[str, ...]] = get_args(Name)
_TABLE: Final = "[tool.fairlead.policy]"


class Goal(Struct, frozen=True, kw_only=True):
    """A goal and what it is measured by; each name is a key of `[tool.fairlead.policy]`.

    - `status_quo`: the quality that was logged, at the least cost (an aim; see `operating_point.no_worse_than`).
    - `best_single`: the best single endpoint's quality (an aim; `operating_point.no_worse`).
    - `floor`: a `floor_share` of the best single endpoint's quality (a promise; `operating_point.at_floor`).
    - `margin`: the cheapest that is not worse than what was logged by more than `margin_points` (a promise).
    - `budget`: the best quality whose expected cost fills `usd_per_1000` requests.
    - `latency`: 95 % of requests answered within `p95_s` seconds (a promise), otherwise as `status_quo`.

    Promises are made with `confidence`, one-sided.

    >>> Goal(goal="margin").margin_points
    0.5
    """

    goal: Name = "status_quo"
    floor_share: float = 0.99
    margin_points: float = 0.5  # of quality, which goes from 0 to 100 points
    usd_per_1000: float | None = None
    p95_s: float | None = None
    confidence: float = 0.95

    def __post_init__(self) -> None:
        _within("floor_share", self.floor_share, 0.0, 1.0)
        _within("margin_points", self.margin_points, 0.0, 100.0)
        _within("confidence", self.confidence, 0.5, 0.9999)
        for name, of in (("usd_per_1000", "budget"), ("p95_s", "latency")):
            value = getattr(self, name)
            if value is not None:
                _within(name, value, 1e-9, math.inf)
            elif self.goal == of:
                raise UsageError(f"the goal {of!r} needs {name}; give it as an option, or as a key of {_TABLE}")

    @property
    def sure(self) -> str:
        """The confidence in words."""
        return f"{100 * self.confidence:g} % confidence"

    @property
    def margin(self) -> float:
        """The margin as a share of quality, 0 to 1."""
        return self.margin_points / 100


def goal_of(settings: Mapping[str, Any], **given: Any) -> Goal:
    """Put a goal together from a project's `policy` table and what was given on top; UsageError names what is wrong.

    >>> goal_of({"goal": "budget", "usd_per_1000": 2.0}, usd_per_1000=1.5).usd_per_1000
    1.5
    """
    keys = {**settings, **{name: value for name, value in given.items() if value is not None}}
    unknown = sorted(set(keys) - set(Goal.__struct_fields__))
    if unknown:
        raise UsageError(f"{_TABLE}: unknown key {unknown[0]!r}; known are {', '.join(Goal.__struct_fields__)}")
    if keys.get("goal", "status_quo") not in GOALS:
        raise UsageError(f"no goal named {keys['goal']!r}; there are {', '.join(GOALS)}")
    try:
        return msgspec.convert(keys, Goal)
    except msgspec.ValidationError as fault:
        raise UsageError(f"{_TABLE}: {fault}") from fault


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high or math.isinf(value):
        raise UsageError(f"{name} must be a number from {low:g} to {high:g}, not {value!r}")
