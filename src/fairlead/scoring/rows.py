"""Which rows of a half's tables one request has, all columns at once."""

from __future__ import annotations

from math import isnan
from typing import Any

import numpy as np

from fairlead.scoring.forest import NEARLY_ZERO
from fairlead.scoring.tables import Half

__all__ = ["Rows"]

Array = np.ndarray[Any, Any]


class Rows:
    """Finds rows in numpy as `tables.row_of` does, of tables that lie one behind the other.

    A search for each column would cost more than to compare with every threshold there is.
    """

    def __init__(self, half: Half) -> None:
        sizes = [len(slot.masks) for slot in half.slots]
        firsts = np.cumsum([0, *sizes[:-1]]) if sizes else np.zeros(0, np.int64)
        pairs = list(zip(half.slots, firsts.tolist(), strict=True))
        numbers = [(slot, first) for slot, first in pairs if len(slot.cuts)]
        self._columns = np.array([slot.column for slot, _ in numbers], dtype=np.int64)
        self._first = np.array([first for _, first in numbers], dtype=np.int64)
        self._missing = self._first + np.array([slot.missing for slot, _ in numbers], dtype=np.int64)
        self._zero = self._first + np.array([slot.zero for slot, _ in numbers], dtype=np.int64)
        counts = np.array([len(slot.cuts) for slot, _ in numbers], dtype=np.int64)
        self._cuts = np.concatenate([np.zeros(0), *(slot.cuts for slot, _ in numbers)])
        self._column_of_cut = np.repeat(self._columns, counts)
        self._starts = np.cumsum(counts) - counts
        self._kind: Any = np.int8 if counts.max(initial=0) < 128 else np.int64
        self._codes = [
            (slot.column, first + slot.missing, (first + slot.rows).tolist())
            for slot, first in pairs
            if not len(slot.cuts)
        ]

    def __call__(self, row: Array) -> Array:
        """Give rows for one request (columns,), less those of numbers at or below all thresholds.

        They rule nothing out, and most features of most texts are 0, so that is half of them.
        """
        found = self._numbers(row) if len(self._columns) else self._first
        if self._codes:
            codes = []
            for column, missing, rows in self._codes:
                value = float(row[column])
                codes.append(missing if isnan(value) or not -1 < value < len(rows) else rows[int(value)])
            found = np.concatenate((found, codes))
        return found

    def _numbers(self, row: Array) -> Array:
        value = row.take(self._columns)
        below = np.less(self._cuts, row.take(self._column_of_cut)).view(np.int8)
        found: Array = self._first + np.add.reduceat(below, self._starts, dtype=self._kind)
        zero = np.abs(value) <= NEARLY_ZERO  # as LightGBM does before it looks at a row
        np.copyto(found, self._zero, where=zero)
        np.copyto(found, self._missing, where=np.isnan(value))
        some: Array = found[found != self._first]
        return some
