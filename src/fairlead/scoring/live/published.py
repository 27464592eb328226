"""The view that readers hold: swapped whole, never changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from fairlead.scoring.live.endpoint import COLUMN
from fairlead.scoring.view import View

__all__ = ["AVAILABLE", "TURNS", "aligned", "as_view", "table"]

Array = np.ndarray[Any, Any]

AVAILABLE: Final = COLUMN.index("available")
TURNS: Final = COLUMN.index("turns")


def table(columns: Sequence[tuple[float, ...]]) -> Array:
    """Give the columns of all endpoints as one array (fields, K)."""
    return np.array(columns, dtype=np.float64).reshape(len(columns), len(COLUMN)).T.copy()


def as_view(values: Array) -> View:
    """Give the rows of a table as a view; from here on the table cannot be written."""
    values.flags.writeable = False
    in_flight, latency_s, error_share, headroom, turns, available, admitted, returns_in_s = values
    return View(
        in_flight=in_flight,
        latency_s=latency_s,
        error_share=error_share,
        headroom=headroom,
        turns=turns,
        available=available != 0,
        admitted=admitted,
        returns_in_s=returns_in_s,
    )


def aligned(view: View, known: Sequence[str], wanted: Sequence[str]) -> View:
    """Give a view of other endpoints than those it was made for: what it does not know is as good as new."""
    places = {name: place for place, name in enumerate(known)}
    found = np.array([places.get(name, -1) for name in wanted], dtype=np.int64)
    fresh = View.unknown(len(wanted))
    arrays = {}
    for field in COLUMN:
        values = getattr(fresh, field).copy()
        values[found >= 0] = getattr(view, field)[found[found >= 0]]
        arrays[field] = values
    return View(**arrays, pace=view.pace)
