"""Forests as split bit-vector tables: the QuickScorer method (Lucchese et al., SIGIR 2015), split by owner.

Every node that a value answers with "no" rules out the leaves of its left subtree; the leaf a tree ends in is the
first that no node ruled out. What a node rules out is a mask of bits, masks simply AND together, and so all nodes that
look at one column fold into one row of masks, a mask for each tree, for each interval of that column's values.
What a request rules out is then the AND of one row a column, and what an endpoint rules out the same: neither needs
the other.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from msgspec import Struct

from fairlead.errors import SnapshotRefusedError
from fairlead.scoring.forest import CATEGORICAL, DEFAULT_LEFT, MISSING, MISSING_NAN, MISSING_ZERO, NEARLY_ZERO, Forests

__all__ = ["Half", "Slot", "build_half", "masks_of"]

Array = np.ndarray[Any, Any]
MOST_BYTES: Final = 256 * 1024 * 1024


class Slot(Struct, frozen=True):
    """The rows that one column has in the table, as a number or as a category.

    A number has row `first + how many thresholds lie below it`, NaN has row `missing`, and zero has row `zero`. A
    category code has row `rows[code]`, and `missing` where no set holds it.
    """

    column: int
    first: int
    missing: int
    zero: int
    cuts: Array  # thresholds (float64) of a number; empty for a category
    rows: Array  # row of each category code (int64); empty for a number


class Half(Struct, frozen=True):
    """What one owner's columns rule out: `table` (rows, trees) of masks, and where each column's rows lie."""

    slots: tuple[Slot, ...]
    table: Array


def masks_of(forests: Forests, kind: Any) -> Array:
    """Give what each node leaves when its answer is no: (nodes,) masks with the left subtree's bits cleared."""
    one = kind(1)
    place = forests.place
    begin = (place - (forests.shape & 63)).astype(kind)
    behind = (one << place.astype(kind)) << one  # the first bit to the right of the node; 0 past the last
    cleared: Array = ~(behind - (one << begin))
    return cleared


def build_half(forests: Forests, masks: Array, columns: Array, tree: Array, trees: int) -> Half:
    """Build the table of the columns marked in `columns`; `tree` (trees,) is the new place of each tree, -1 for none.

    SnapshotRefusedError where the table would not fit in memory.
    """
    at = tree[forests.tree_of_node]
    chosen = np.flatnonzero(columns[forests.column] & (at >= 0)) if len(at) else np.zeros(0, dtype=np.int64)
    key = forests.column[chosen].astype(np.int64) * 2 + ((forests.shape[chosen] & CATEGORICAL) != 0)
    order = np.argsort(key, kind="stable")
    chosen, key = chosen[order], key[order]
    bounds = np.flatnonzero(np.diff(key, prepend=-1, append=-1))
    slots: list[Slot] = []
    end = 0
    for start, stop in zip(bounds, bounds[1:], strict=False):
        slot, end = _slot(forests, chosen[start:stop], int(key[start]), end)
        slots.append(slot)
    if end * trees * masks.itemsize > MOST_BYTES:
        raise SnapshotRefusedError(
            f"forests: tables of {end:,} rows and {trees:,} trees need more than {MOST_BYTES:,} bytes; "
            "train fewer rounds, or leave out columns"
        )
    table = np.full((end, trees), ~masks.dtype.type(0))
    for slot, start, stop in zip(slots, bounds, bounds[1:], strict=False):
        nodes = chosen[start:stop]
        fill = _fill_number if len(slot.cuts) else _fill_category
        fill(forests, slot, table, nodes, at[nodes], masks[nodes])
    return Half(slots=tuple(slots), table=table)


def _slot(forests: Forests, nodes: Array, key: int, first: int) -> tuple[Slot, int]:
    column = key // 2
    none = np.zeros(0, dtype=np.int64)
    if key % 2 == 0:
        cuts = forests.thresholds[int(forests.threshold_start[column]) : int(forests.threshold_start[column + 1])]
        last = first + len(cuts)
        is_default = (forests.shape[nodes] >> MISSING == MISSING_ZERO).any()
        zero = last + 2 if is_default else first + int(np.searchsorted(cuts, 0.0))
        return Slot(column, first, last + 1, zero, cuts, none), last + 3
    held = np.flatnonzero(np.bitwise_or.reduce(_members(forests, np.unique(forests.cut[nodes]), column), axis=0))
    rows = np.full(int(held.max(initial=-1)) + 1, first, dtype=np.int64)
    rows[held] = first + 1 + np.arange(len(held))
    return Slot(column, first, first, int(rows[0]) if len(rows) else first, np.zeros(0), rows), first + 1 + len(held)


def _members(forests: Forests, sets: Array, column: int) -> Array:
    """Give which codes each of a column's sets holds: (sets, codes) of 0 and 1."""
    which = sets.astype(np.int64) + int(forests.sets[column])
    starts, stops = forests.set_start[which].astype(np.int64), forests.set_start[which + 1].astype(np.int64)
    words = np.zeros((len(which), int((stops - starts).max(initial=0))), dtype="<u4")
    for place, (start, stop) in enumerate(zip(starts.tolist(), stops.tolist(), strict=True)):
        words[place, : stop - start] = forests.set_words[start:stop]
    return np.unpackbits(words.view(np.uint8), axis=1, bitorder="little")


def _fill_number(forests: Forests, slot: Slot, table: Array, nodes: Array, tree: Array, masks: Array) -> None:
    shape = forests.shape[nodes]
    missing, default_left = shape >> MISSING, (shape & DEFAULT_LEFT) != 0
    # A node says no from the row behind its own threshold on; what is ruled out there stays ruled out further up.
    np.bitwise_and.at(table, (slot.first + 1 + forests.cut[nodes].astype(np.int64), tree), masks)
    rows = table[slot.first : slot.first + len(slot.cuts) + 1]
    np.bitwise_and.accumulate(rows, axis=0, out=rows)
    no_at_zero = ~(slot.cuts[forests.cut[nodes]] >= 0.0)
    no_at_nan = np.where(missing == MISSING_NAN, ~default_left, np.where(missing == MISSING_ZERO, ~default_left, no_at_zero))
    np.bitwise_and.at(table, (slot.missing, tree[no_at_nan]), masks[no_at_nan])
    if slot.zero > slot.missing:
        no_at_zero = np.where(missing == MISSING_ZERO, ~default_left, no_at_zero)
        np.bitwise_and.at(table, (slot.zero, tree[no_at_zero]), masks[no_at_zero])


def _fill_category(forests: Forests, slot: Slot, table: Array, nodes: Array, tree: Array, masks: Array) -> None:
    sets, which = np.unique(forests.cut[nodes], return_inverse=True)
    members = _members(forests, sets, slot.column)
    np.bitwise_and.at(table, (slot.first, tree), masks)  # a category that no set holds is answered with no
    for code, row in enumerate(slot.rows.tolist()):
        if row != slot.first:
            outside = members[which, code] == 0
            np.bitwise_and.at(table, (row, tree[outside]), masks[outside])


def rows_of(half: Half, values: Array) -> Array:
    """Give the table's row of each slot for requests or endpoints: values (n, columns) -> (n, slots)."""
    found = np.empty((len(values), len(half.slots)), dtype=np.int64)
    for place, slot in enumerate(half.slots):
        value = values[:, slot.column]
        if len(slot.cuts):
            row = slot.first + np.searchsorted(slot.cuts, value, side="left")
            row = np.where(np.abs(value) <= NEARLY_ZERO, slot.zero, row)  # as LightGBM does before it looks at a row
            found[:, place] = np.where(np.isnan(value), slot.missing, row)
        else:
            known = (value > -1) & (value < len(slot.rows))
            found[:, place] = slot.missing
            found[known, place] = slot.rows[value[known].astype(np.int64)]
    return found


def ruled_out(half: Half, values: Array) -> Array:
    """Give what is left of each tree's leaves: values (n, columns) -> (n, trees) masks."""
    rows = rows_of(half, values)
    left = np.full((len(values), half.table.shape[1]), ~half.table.dtype.type(0))
    for place in range(rows.shape[1]):
        left &= half.table[rows[:, place]]
    return left
