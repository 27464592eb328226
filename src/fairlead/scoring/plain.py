"""The engine's arithmetic in numpy: always there, and what the compiled kernels are compared with."""

from __future__ import annotations

import threading
from bisect import bisect_left
from itertools import pairwise
from math import isnan
from typing import Any, Final

import numpy as np

from fairlead.scoring.forest import NEARLY_ZERO
from fairlead.scoring.heads import Heads
from fairlead.scoring.plan import Plan
from fairlead.scoring.tables import ruled_out

__all__ = ["Plain", "first_leaf", "sums"]

Array = np.ndarray[Any, Any]
# By the bytes of a mask: the number and the real number as long, and where its exponent lies, is 0, and ends.
_REALS: Final[dict[int, Any]] = {4: (np.int32, np.float32, 23, 127, 0xFF), 8: (np.int64, np.float64, 52, 1023, 0x7FF)}
_BLOCK: Final = 1 << 21  # (row, tree, endpoint) triples held at a time, so that a replay's memory stays bounded


def first_leaf(masks: Array) -> Array:
    """Give the place of the lowest bit of each mask, as an index; a mask is never empty.

    >>> first_leaf(np.array([1, 6, 1 << 31], dtype=np.uint32)).tolist()
    [0, 1, 31]
    """
    signed, real, places, bias, most = _REALS[masks.itemsize]
    bit = masks & -masks
    # A power of two as a real number says in its exponent which one it is; the highest bit also sets the sign.
    found = bit.view(signed).astype(real).view(signed)
    place: Array = ((found >> places) & most) - bias
    return place


def sums(values: Array, bounds: Array, out: Array) -> None:
    """Add the sum of each head's trees to `out` (H, ...): values (trees, ...), bounds (H + 1,)."""
    edges = (bounds - bounds[0]).tolist()
    for head, (start, stop) in enumerate(pairwise(edges)):
        if stop > start:
            out[head] += np.add.reduce(values[start:stop], axis=0)


class Plain:
    """Evaluates a plan in numpy; what a call needs to scribble on is its thread's own."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._own = threading.local()
        width = plan.leaves.shape[1]
        self._flat = plan.leaves.ravel()
        self._begin = np.arange(len(plan.leaves))[:, None] * width
        self._biased = self._begin[plan.one_sided : plan.one_sided + plan.both] - _REALS[plan.request.table.itemsize][3]
        self._full = plan.full  # then the highest bit may be the lowest that is set
        # As lists: for one value at a time Python's own are several times as fast as arrays.
        self._slots = [
            (slot.column, slot.first, slot.missing, slot.zero, slot.cuts.tolist(), slot.rows.tolist())
            for slot in plan.request.slots
        ]

    def raw(self, row: Array, masks: Array, base: Array) -> Array:
        """Sum every head's leaves for one request at every endpoint: row (columns,) -> (H, K)."""
        plan = self._plan
        table = plan.request.table
        left = np.bitwise_and.reduce(table[self._rows_of(row)], axis=0) if len(table) else table[:0].sum(axis=0)
        out = np.zeros(base.shape)
        one = plan.one_sided
        if one:
            leaf = first_leaf(left[:one])
            leaf = leaf + self._begin[:one, 0]
            sums(self._flat[leaf][:, None], plan.bounds[0], out)
        if plan.both:
            # What `first_leaf` does, in as few passes as it takes.
            signed, _, places, _, most = _REALS[masks.itemsize]
            both, low, real, index, values = self._scratch(masks)
            np.bitwise_and(masks, left[one:, None], out=both)
            np.bitwise_and(both, np.negative(both, out=low), out=both)
            np.copyto(real, both.view(signed), casting="unsafe")
            found = np.right_shift(real.view(signed), places, out=real.view(signed))
            if self._full:
                np.bitwise_and(found, most, out=found)
            np.add(found, self._biased, out=index)
            np.take(self._flat, index, out=values, mode="clip")
            sums(values, plan.bounds[1], out)
        out += base  # last, as the kernels do: what comes before adds up exactly
        return out

    def raw_batch(self, rows: Array, masks: Array, base: Array, out: Array) -> None:
        """Do the same for many requests: rows (n, columns), out (n, H, K)."""
        plan = self._plan
        step = max(1, _BLOCK // max(masks.size, 1))
        for start in range(0, len(rows), step):
            left = ruled_out(plan.request, rows[start : start + step])
            part = out[start : start + step]
            part[:] = 0.0
            by_head = np.moveaxis(part, 1, 0)
            one = plan.one_sided
            if one:
                leaf = first_leaf(np.ascontiguousarray(left[:, :one].T)) + self._begin[:one]
                sums(self._flat[leaf][:, :, None], plan.bounds[0], by_head)
            if plan.both:
                both = masks[:, None, :] & np.ascontiguousarray(left[:, one:].T)[:, :, None]
                leaf = first_leaf(both) + self._begin[one : one + plan.both][:, :, None]
                sums(self._flat[leaf], plan.bounds[1], by_head)
            part += base

    def predict(
        self,
        heads: Heads,
        row: Array,
        table_row: int,
        tokens: tuple[float, float],
        added: Array | None,
        masks: Array,
        base: Array,
    ) -> Array:
        """Predict for one request at every endpoint: (7, K)."""
        raw = self.raw(row, masks, base)
        if added is not None:
            raw += added
        counted, guessed = np.array(tokens[:1]), np.array(tokens[1:])
        predicted: Array = heads.predict(raw[None], np.array([table_row]), counted, guessed)[:, 0]
        return predicted

    def _rows_of(self, row: Array) -> list[int]:
        """Give the table's rows for one request, as `tables.rows_of` does, less those that rule nothing out.

        Those are a number's at or below all thresholds, and most features of most texts are 0. One row is always given.
        """
        values = row.tolist()
        found = []
        for column, first, missing, zero, cuts, rows in self._slots:
            value = values[column]
            if isnan(value):
                found.append(missing)
            elif not cuts:
                found.append(rows[int(value)] if -1 < value < len(rows) else missing)
            else:
                place = zero if -NEARLY_ZERO <= value <= NEARLY_ZERO else first + bisect_left(cuts, value)
                if place != first:
                    found.append(place)
        return found or [self._slots[0][1]]  # nothing was found, so all slots are numbers

    def _scratch(self, masks: Array) -> tuple[Array, ...]:
        held: tuple[Array, ...] | None = getattr(self._own, "held", None)
        if held is None:
            shape = masks.shape
            real = _REALS[masks.itemsize][1]
            held = (
                np.empty(shape, masks.dtype),
                np.empty(shape, masks.dtype),
                np.empty(shape, real),
                np.empty(shape, np.int64),
                np.empty(shape),
            )
            self._own.held = held
        return held
