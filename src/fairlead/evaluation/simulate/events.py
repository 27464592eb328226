"""What changes in a simulation, and when: outages, prices, drift, new endpoints, another mix of requests.

An event is written in words, a kind and then `name=value`: `outage provider=openai from=3d for=2h`. Spans are numbers
with `s`, `m`, `h` or `d`, counted from the start of the traffic.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct

from fairlead.errors import UsageError
from fairlead.evaluation.simulate.world import Endpoint

__all__ = ["KINDS", "Event", "check", "columns", "parse"]

# kind: what it needs beside `from`, what it may have beside `for`, and what it does
KINDS: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...], str]]] = {
    "outage": (("for",), ("provider", "model", "share"), "this share of calls fails (default: all)"),
    "slow": (("factor",), ("provider", "model"), "answers take so many times as long"),
    "price": (("factor",), ("provider", "model"), "prices are so many times what they were"),
    "drift": (("quality",), ("provider", "model", "route"), "mean quality moves by so much, from -1 to 1"),
    "longer": (("factor",), ("provider", "model", "route"), "answers have so many times the tokens"),
    "arrives": ((), ("provider", "model"), "cannot be called before"),
    "retires": ((), ("provider", "model"), "cannot be called from then on"),
    "mix": (("route", "factor"), (), "the odds that a request is of this route are so many times what they were"),
}
_SPAN: Final = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_NUMBERS: Final = {"share": (0.0, 1.0), "factor": (0.01, 100.0), "quality": (-1.0, 1.0)}
_EXAMPLE: Final = '"outage provider=openai from=3d for=2h"'
_DAY_S: Final = 86400


class Event(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One change: its kind, whom it befalls, from when (seconds after the start) and for how long.

    Without `for_s` it stays to the end; without provider and model it befalls every endpoint.
    """

    kind: str
    from_s: float
    for_s: float | None = None
    provider: str | None = None
    model: str | None = None
    route: str | None = None
    factor: float = 1.0
    quality: float = 0.0
    share: float = 1.0

    @property
    def to_s(self) -> float:
        """When it is over, in seconds after the start; infinity when it stays."""
        return math.inf if self.for_s is None else self.from_s + self.for_s


def parse(text: str) -> Event:
    """Read an event as it is written on the command line. Raises UsageError for what cannot be one.

    >>> event = parse("outage provider=openai from=3d for=2h")
    >>> event.kind, event.provider, event.from_s, event.for_s
    ('outage', 'openai', 259200.0, 7200.0)
    """
    kind, *told = text.split() or [""]
    if kind not in KINDS:
        raise UsageError(f"event {text!r}: no kind {kind!r}; one of {', '.join(KINDS)}, as in {_EXAMPLE}")
    needed, may, _ = KINDS[kind]
    allowed = ("from", *needed, *(name for name in (*may, "for") if name not in needed))
    if kind in ("arrives", "retires"):
        allowed = tuple(name for name in allowed if name != "for")
    given: dict[str, str] = {}
    for word in told:
        name, is_said, value = word.partition("=")
        if not is_said or not value or name not in allowed or name in given:
            raise UsageError(f"event {text!r}: cannot read {word!r}; {kind} takes {', '.join(allowed)}, each once")
        given[name] = value
    for name in ("from", *needed):
        if name not in given:
            raise UsageError(f"event {text!r}: {name} is missing; {kind} takes {', '.join(allowed)}")
    if kind in ("arrives", "retires") and not {"provider", "model"} & given.keys():
        raise UsageError(f"event {text!r}: say which provider or model {kind}")
    names = {"from": "from_s", "for": "for_s"}
    return Event(kind=kind, **{names.get(name, name): _value(text, name, value) for name, value in given.items()})


def check(events: Sequence[Event], endpoints: Sequence[Endpoint], routes: set[str], days: float) -> None:
    """Refuse an event that befalls nothing: an unknown provider, model or route, or a time after the traffic."""
    for one in events:
        if one.from_s >= days * _DAY_S:
            raise UsageError(f"{one.kind}: begins after {one.from_s / _DAY_S:g} days, the traffic lasts {days:g}")
        if one.route is not None and one.route not in routes:
            raise UsageError(f"{one.kind}: no route {one.route!r}; there are {', '.join(sorted(routes))}")
        if not columns(one, endpoints):
            who = " ".join(f"{name} {value!r}" for name in ("provider", "model") if (value := getattr(one, name)))
            raise UsageError(f"{one.kind}: no {who}; the endpoints are {', '.join(each.name for each in endpoints)}")


def columns(event: Event, endpoints: Sequence[Endpoint]) -> list[int]:
    """Give the places of the endpoints that an event befalls."""
    return [
        place
        for place, one in enumerate(endpoints)
        if event.provider in (None, one.provider) and event.model in (None, one.model, one.name, one.matrix_model)
    ]


def _value(text: str, name: str, value: str) -> Any:
    if name in ("from", "for"):
        found = _SPAN.fullmatch(value)
        if not found:
            raise UsageError(f"event {text!r}: {name} is {value!r}; write a span such as 90s, 30m, 2h or 3d")
        return float(found[1]) * _SECONDS[found[2]]
    if name not in _NUMBERS:
        return value
    low, high = _NUMBERS[name]
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not low <= number <= high:
        raise UsageError(f"event {text!r}: {name} is {value!r}; it is a number from {low:g} to {high:g}")
    return number
