"""Forests as split bit-vector tables: the QuickScorer method (Lucchese et al., SIGIR 2015), split by owner.

Every node that a value answers with "no" rules out the leaves of its left subtree; the leaf a tree ends in is the
first that no node ruled out. What a node rules out is a mask of bits, masks simply AND together, and so all nodes that
look at one column fold into one row of masks, a mask for each tree, for each interval of that column's values.
What a request rules out is then the AND of one row a column, and what an endpoint rules out the same: neither needs
the other.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

import numpy as np
from msgspec import Struct

from fairlead.errors import SnapshotRefusedError
from fairlead.scoring.forest import DEFAULT_LEFT, MISSING, MISSING_ZERO, NEARLY_ZERO, Forests, Nodes

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


def build_half(forests: Forests, nodes: Nodes, masks: Array, columns: Array, tree: Array, trees: int) -> Half:
    """Build the table of the columns marked in `columns`; `tree` (trees,) is the new place of each tree, -1 for none.

    SnapshotRefusedError where the table would not fit in memory.
    """
    at = tree[forests.tree_of_node]
    chosen = np.flatnonzero(columns[nodes.column] & (at >= 0))
    key = nodes.column[chosen] * 2 + nodes.in_set[chosen]
    order = np.argsort(key, kind="stable")
    chosen, key = chosen[order], key[order]
    bounds = np.flatnonzero(np.diff(key, prepend=-1, append=-1)).tolist()
    slots: list[Slot] = []
    end = 0
    for start, stop in pairwise(bounds):
        slot, end = _slot(forests, nodes, chosen[start:stop], end)
        slots.append(slot)
    if end * trees * masks.itemsize > MOST_BYTES:
        raise SnapshotRefusedError(
            f"forests: tables of {end:,} rows and {trees:,} trees need more than {MOST_BYTES:,} bytes; "
            "train fewer rounds, or leave out columns"
        )
    table = np.full((end, trees), ~masks.dtype.type(0))
    for slot, (start, stop) in zip(slots, pairwise(bounds), strict=True):
        own = chosen[start:stop]
        fill = _fill_number if len(slot.cuts) else _fill_category
        fill(forests, slot, table, own, nodes.place[own], at[own], masks[own])
    return Half(slots=tuple(slots), table=table)


def _slot(forests: Forests, nodes: Nodes, own: Array, first: int) -> tuple[Slot, int]:
    column = int(nodes.column[own[0]])
    none = np.zeros(0, dtype=np.int64)
    if not nodes.in_set[own[0]]:
        cuts = forests.thresholds[int(forests.threshold_start[column]) : int(forests.threshold_start[column + 1])]
        last = first + len(cuts)
        is_default = (forests.shape[own] >> MISSING == MISSING_ZERO).any()
        zero = last + 2 if is_default else first + int(np.searchsorted(cuts, 0.0))
        return Slot(column, first, last + 1, zero, cuts, none), last + 3
    held = np.flatnonzero(forests.members(column).any(axis=0))
    rows = np.full(int(held.max(initial=0)) + 1, first, dtype=np.int64)  # never empty: -0.5 is code 0 as well
    rows[held] = first + 1 + np.arange(len(held))
    return Slot(column, first, first, int(rows[0]), np.zeros(0), rows), first + 1 + len(held)


def _fill_number(
    forests: Forests, slot: Slot, table: Array, own: Array, place: Array, tree: Array, masks: Array
) -> None:
    shape = forests.shape[own]
    missing, default_left = shape >> MISSING, (shape & DEFAULT_LEFT) != 0
    # A node says no from the row behind its own threshold on; what is ruled out there stays ruled out further up.
    np.bitwise_and.at(table.reshape(-1), (slot.first + 1 + place) * table.shape[1] + tree, masks)  # flat is fastest
    for row in range(slot.first + 1, slot.first + len(slot.cuts) + 1):
        table[row] &= table[row - 1]
    no_at_zero = ~(slot.cuts[place] >= 0.0)
    no_at_nan = np.where(missing == 0, no_at_zero, ~default_left)
    np.bitwise_and.at(table[slot.missing], tree[no_at_nan], masks[no_at_nan])
    if slot.zero > slot.missing:
        no_at_zero = np.where(missing == MISSING_ZERO, ~default_left, no_at_zero)
        np.bitwise_and.at(table[slot.zero], tree[no_at_zero], masks[no_at_zero])


def _fill_category(
    forests: Forests, slot: Slot, table: Array, own: Array, place: Array, tree: Array, masks: Array
) -> None:
    held = np.flatnonzero(slot.rows != slot.first)
    outside = forests.members(slot.column)[:, held].T[:, place] == 0
    np.bitwise_and.at(table[slot.first], tree, masks)  # a category that no set holds is answered with no
    row, which = np.nonzero(outside)
    np.bitwise_and.at(table.reshape(-1), slot.rows[held[row]] * table.shape[1] + tree[which], masks[which])


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
