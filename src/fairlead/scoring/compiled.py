"""The engine's arithmetic in numba: the same sums as `plain`, in a fifth of the time."""

from __future__ import annotations

from typing import Any

import numpy as np

from fairlead.scoring import kernels
from fairlead.scoring.heads import PREDICTED, Heads
from fairlead.scoring.plan import Plan
from fairlead.scoring.vectors import ROTATED

__all__ = ["Compiled", "layout"]

Array = np.ndarray[Any, Any]


class Compiled:
    """Evaluates a plan in machine code; the masks it is given are padded to a multiple of eight endpoints.

    `arguments` are those that every kernel takes after its rows.
    """

    def __init__(self, plan: Plan, now: tuple[Array, Array]) -> None:
        whole, real, trees, masks = layout(plan)
        wide = plan.leaves.ravel() if plan.is_wide.any() else np.zeros(0)
        self.arguments = (whole, real, trees, masks, _rotated(plan.narrow), wide)
        columns = 1 + max((slot.column for slot in plan.request.slots), default=0)
        self._heads: tuple[Heads, tuple[Array, Array, Array]] | None = None
        self._nothing = np.zeros(now[1].shape)
        self.least = columns  # a shorter row would be read past its end
        self.raw(np.zeros(columns), *now)  # compiled, or read from numba's cache, before the first decision
        self.raw_batch(np.zeros((1, columns)), *now, np.empty((1, *now[1].shape)))

    def raw(self, row: Array, masks: Array, base: Array) -> Array:
        """Sum every head's leaves for one request at every endpoint: row (columns,) -> (H, K)."""
        out = np.empty(base.shape)
        kernels.raw_one(self._whole(row, 1), *self.arguments, masks, base, out)
        return out

    def raw_batch(self, rows: Array, masks: Array, base: Array, out: Array) -> None:
        """Do the same for many requests: rows (n, columns), out (n, H, K)."""
        kernels.raw_many(self._whole(rows, 2), *self.arguments, masks, base, out)

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
        out = np.empty((len(PREDICTED), base.shape[1]))
        more = self._nothing if added is None else added
        said = self._said(heads)
        kernels.predict_one(
            self._whole(row, 1), *self.arguments, masks, base, *said, more, table_row, tokens[0], tokens[1], out
        )
        return out

    def predict_many(
        self, heads: Heads, rows: Array, table_rows: Array, tokens: tuple[Array, Array], masks: Array, base: Array
    ) -> Array:
        """Predict for many requests, each as `predict` does: rows (n, columns) -> (7, n, K)."""
        out = np.empty((len(PREDICTED), len(rows), base.shape[1]))
        said = self._said(heads)
        kernels.predict_many(
            self._whole(rows, 2), *self.arguments, masks, base, *said, self._nothing, table_rows, *tokens, out
        )
        return out

    def _said(self, heads: Heads) -> tuple[Array, Array, Array]:
        held = self._heads
        if held is None or held[0] is not heads:
            held = self._heads = (heads, flat(heads))
        return held[1]

    def _whole(self, rows: Array, axes: int) -> Array:
        if rows.dtype != np.float64 or rows.ndim != axes or not rows.flags.c_contiguous:
            rows = np.ascontiguousarray(rows, dtype=np.float64)
        if rows.ndim != axes or rows.shape[-1] < self.least:
            raise ValueError(f"rows of {rows.shape}, {self.least} columns are read")
        return rows


def layout(plan: Plan) -> tuple[Array, Array, Array, Array]:
    """Lay out what kernels read of a plan: places (int64), numbers (float64), and the request's trees and masks.

    Places: nine numbers that say where what is; each head's bounds and whether it is wide; seven numbers a slot
    (column, first row, rows of NaN and of zero, is it a number, where its thresholds or codes begin and end); codes;
    where each row's masks begin. Numbers: thresholds, and the heads' scales.
    """
    heads, slots = len(plan.scale), plan.request.slots
    starts, trees, masks = _rows(plan)
    bounds = len(kernels.HEAD)
    flags = bounds + 2 * (heads + 1)
    first = flags + heads
    codes = first + kernels.SLOT_SIZE * len(slots)
    rows = codes + sum(len(slot.rows) for slot in slots)
    whole_width = plan.leaves.shape[1]
    head = [len(slots), heads, plan.one_sided, whole_width, bounds, flags, first, plan.request.trees, rows]
    described: list[int] = []
    cuts = row = 0
    for slot in slots:
        number = len(slot.cuts) > 0
        start = cuts if number else codes
        stop = start + len(slot.cuts if number else slot.rows)
        described += [slot.column, row, slot.missing, slot.zero, int(number), start, stop]
        row += len(slot.masks)
        cuts, codes = (stop, codes) if number else (cuts, stop)
    places = [head, *plan.bounds[:2], plan.is_wide, described, *(slot.rows for slot in slots), starts]
    whole = np.concatenate([np.asarray(part, dtype=np.int64).ravel() for part in places])
    return whole, np.concatenate([*(slot.cuts for slot in slots), plan.scale]), trees, masks


def _rows(plan: Plan) -> tuple[Array, Array, Array]:
    """Leave out masks that rule nothing out, half of them: where each row begins (rows + 1,), trees and masks.

    Rows of all trees are kept whole, so that a kernel need not look at which trees they are of.
    """
    half = plan.request
    size = len(half.masks)  # more than enough: what is not written takes no memory
    trees = np.empty(size, np.uint16 if half.trees <= 1 << 16 else np.uint32)
    masks = np.empty(size, half.masks.dtype)
    described = np.array([slot.masks.shape for slot in half.slots], dtype=np.int64).reshape(-1, 2)
    starts = np.zeros(int(described[:, 0].sum()) + 1, np.int64)
    among = np.concatenate([np.zeros(0, np.uint32), *(slot.trees for slot in half.slots)])
    kept = kernels.leave_out(described, among, half.masks, half.trees, starts, trees, masks)
    return starts, trees[:kept], masks[:kept]


def flat(heads: Heads) -> tuple[Array, Array, Array]:
    """Give what the kernel reads of heads: tables, places, numbers (sign, money, edges, margins) in one array each."""
    places = np.concatenate((heads.place, [int(heads.has_cost), len(heads.edges)]))
    parts = (heads.sign, heads.money, heads.edges, heads.margins)
    return heads.tables, places, np.concatenate([np.asarray(part, dtype=np.float64).ravel() for part in parts])


def _rotated(narrow: Array) -> Array:
    """Lay leaves out as `vectors` picks them: those of a tree of 32 one place to the left, round the corner."""
    return np.ascontiguousarray(np.roll(narrow, ROTATED, axis=1) if narrow.shape[1] == 32 else narrow).ravel()
