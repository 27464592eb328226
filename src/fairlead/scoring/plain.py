"""The engine's arithmetic in numpy: always there, and what the compiled kernels are compared with."""

from __future__ import annotations

import threading
from itertools import pairwise
from typing import Any, Final

import numpy as np

from fairlead.scoring.heads import Heads
from fairlead.scoring.plan import Plan
from fairlead.scoring.rows import Rows
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


def _all(plan: Plan) -> Any:
    """Give the mask that rules nothing out."""
    return ~plan.request.masks.dtype.type(0)


def _ones(bounds: Array) -> Array:
    """Give the matrix that adds up each head's trees: (H, trees)."""
    places = np.arange(bounds[0], bounds[-1])
    matrix: Array = ((places >= bounds[:-1, None]) & (places < bounds[1:, None])).astype(np.float64)
    return matrix


class Plain:
    """Evaluates a plan in numpy; what a call needs to scribble on is its thread's own."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._own = threading.local()
        width = plan.leaves.shape[1]
        self._flat = plan.leaves.ravel()
        self._begin = np.arange(len(plan.leaves))[:, None] * width
        one, both = plan.one_sided, plan.both
        biased = self._begin[one : one + both] - _REALS[plan.request.masks.itemsize][3]
        self._biased = biased.astype(np.int32 if plan.request.masks.itemsize == 4 else np.int64)
        self._full = plan.full  # then the highest bit may be the lowest that is set
        # Sums of whole multiples are exact in any order, so they may be a product with a matrix of ones.
        self._ones = None if plan.is_wide.any() else [_ones(plan.bounds[part]) for part in (0, 1)]
        # As one table of all trees, since many small steps would take numpy longer than one large one.
        self._table = np.full((sum(len(slot.masks) for slot in plan.request.slots), plan.request.trees), _all(plan))
        first = 0
        for slot in plan.request.slots:
            last = first + len(slot.masks)
            self._table[first:last, slot.trees] = slot.masks
            first = last
        self._rows_of = Rows(plan.request)

    def raw(self, row: Array, masks: Array, base: Array) -> Array:
        """Sum every head's leaves for one request at every endpoint: row (columns,) -> (H, K)."""
        plan = self._plan
        left = np.bitwise_and.reduce(self._table.take(self._rows_of(row), axis=0), axis=0)  # of no row: all
        one = plan.one_sided
        out = np.zeros(base.shape)
        if one:
            leaf = first_leaf(left[:one])
            leaf += self._begin[:one, 0]
            self._sums(0, self._flat.take(leaf)[:, None], out)
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
            index[:] = np.add(found, self._biased, out=found)
            np.take(self._flat, index, out=values, mode="clip")
            self._sums(1, values, out)
        out += base  # last, as the kernels do: what comes before adds up exactly
        return out

    def _sums(self, part: int, values: Array, out: Array) -> None:
        if self._ones is None:
            sums(values, self._plan.bounds[part], out)
        else:
            out += self._ones[part] @ values

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
                leaf = first_leaf(left[:one]) + self._begin[:one]
                sums(self._flat[leaf][:, :, None], plan.bounds[0], by_head)
            if plan.both:
                both = masks[:, None, :] & left[one:, :, None]
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
        return heads.predict_one(raw, table_row, *tokens)

    def predict_many(
        self, heads: Heads, rows: Array, table_rows: Array, tokens: tuple[Array, Array], masks: Array, base: Array
    ) -> Array:
        """Predict for many requests, each as `predict` does: rows (n, columns) -> (7, n, K)."""
        asked = zip(rows, table_rows.tolist(), tokens[0].tolist(), tokens[1].tolist(), strict=True)
        found = [self.predict(heads, row, at, (told, guess), None, masks, base) for row, at, told, guess in asked]
        return np.stack(found, axis=1)

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
