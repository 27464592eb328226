"""The view that readers hold: swapped whole, never changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from fairlead.scoring.live.endpoint import COLUMN
from fairlead.scoring.view import View

__all__ = ["ADMITTED", "AVAILABLE", "IN_FLIGHT", "TURNS", "Arrays", "aligned", "arrays", "as_view", "changed"]

Array = np.ndarray[Any, Any]
Arrays = tuple[Array, ...]  # one (K,) for each field of COLUMN, none of them writeable

IN_FLIGHT: Final = COLUMN.index("in_flight")
AVAILABLE: Final = COLUMN.index("available")
ADMITTED: Final = COLUMN.index("admitted")
TURNS: Final = COLUMN.index("turns")


def arrays(columns: Sequence[tuple[float, ...]]) -> Arrays:
    """Give the arrays that the columns of all endpoints make."""
    table = np.array(columns, dtype=np.float64).reshape(len(columns), len(COLUMN)).T.copy()
    table.flags.writeable = False
    available = table[AVAILABLE] != 0
    available.flags.writeable = False
    return (*table[:AVAILABLE], available, *table[AVAILABLE + 1 :])


def changed(before: Arrays, place: int, old: tuple[float, ...], new: tuple[float, ...]) -> Arrays:
    """Give the arrays with another column at one place; what stays the same is not copied."""
    after = list(before)
    for field, value in enumerate(new):
        was = old[field]
        if value != was and (value == value or was == was):  # noqa: PLR0124  an unknown that stays so is no change
            values = before[field].copy()
            values[place] = value
            values.setflags(write=False)  # a third of the time that `flags.writeable` takes
            after[field] = values
    return tuple(after)


def as_view(held: Arrays) -> View:
    """Give the arrays as a view."""
    in_flight, latency_s, error_share, headroom, turns, available, admitted, returns_in_s = held
    return View(
        in_flight=in_flight,
        latency_s=latency_s,
        error_share=error_share,
        headroom=headroom,
        turns=turns,
        available=available,
        admitted=admitted,
        returns_in_s=returns_in_s,
    )


def aligned(view: View, known: Sequence[str], wanted: Sequence[str]) -> View:
    """Give a view of other endpoints than those it was made for: what it does not know is as good as new."""
    places = {name: place for place, name in enumerate(known)}
    found = np.array([places.get(name, -1) for name in wanted], dtype=np.int64)
    fresh = View.unknown(len(wanted))
    known_of = {}
    for field in COLUMN:
        values = getattr(fresh, field).copy()
        values[found >= 0] = getattr(view, field)[found[found >= 0]]
        known_of[field] = values
    return View(**known_of, pace=view.pace)
