"""Forests as split bit-vector tables: the QuickScorer method (Lucchese et al., SIGIR 2015), split by owner.

Every node that a value answers with "no" rules out the leaves of its left subtree; the leaf a tree ends in is the
first that no node ruled out. What a node rules out is a mask of bits, masks simply AND together, and so all nodes that
look at one column fold into one row of masks, a mask for each tree that looks at it, for each interval of that column's
values. What a request rules out is then the AND of one row a column, and what an endpoint rules out the same: neither
needs the other.
"""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import Any, Final, NamedTuple

import numpy as np
from msgspec import Struct

from fairlead.errors import SnapshotRefusedError
from fairlead.scoring.forest import DEFAULT_LEFT, MISSING, MISSING_ZERO, NEARLY_ZERO, Forests, Nodes

__all__ = ["Half", "Slot", "build_half", "masks_of", "row_of", "ruled_out"]

Array = np.ndarray[Any, Any]
MOST_BYTES: Final = 256 * 1024 * 1024
_WIDE: Final = 4  # a column that one tree in so many looks at has masks of all trees: they are read in one go


class Slot(Struct, frozen=True):
    """The masks that one column has, as a number or as a category: `masks` (rows, n) for the n trees in `trees`.

    A number has the row `how many thresholds lie below it`, of which row 0 rules nothing out, NaN has row `missing`,
    and zero has row `zero`. A category code has row `rows[code]`, and `missing` where no set holds it. `start` is where
    the masks begin in the half's.
    """

    column: int
    missing: int
    zero: int
    cuts: Array  # thresholds (float64) of a number; empty for a category
    rows: Array  # row of each category code (int64); empty for a number
    trees: Array  # places of trees (uint32), rising
    masks: Array
    start: int


class Half(Struct, frozen=True):
    """What one owner's columns rule out of so many trees: each column's slot; `masks` holds all of theirs in a line."""

    slots: tuple[Slot, ...]
    trees: int
    masks: Array


def masks_of(forests: Forests, kind: Any) -> Array:
    """Give what each node leaves when its answer is no: (nodes,) masks with the left subtree's bits cleared."""
    one = kind(1)
    place = forests.place
    begin = (place - (forests.shape & 63)).astype(kind)
    behind = (one << place.astype(kind)) << one  # the first bit to the right of the node; 0 past the last
    cleared: Array = ~(behind - (one << begin))
    return cleared


def build_half(forests: Forests, nodes: Nodes, masks: Array, columns: Array, tree: Array, trees: int) -> Half:
    """Build the tables of the columns marked in `columns`; `tree` (trees,) is the new place of each tree, -1 for none.

    SnapshotRefusedError where the tables would not fit in memory.
    """
    at = tree[forests.tree_of_node]
    chosen = np.flatnonzero(columns[nodes.column] & (at >= 0))
    key = nodes.column[chosen] * 2 + nodes.in_set[chosen]
    order = np.argsort(key.astype(np.uint16) if 2 * len(columns) <= 1 << 16 else key, kind="stable")  # radix: a sixth
    chosen, key = chosen[order], key[order]
    bounds = np.flatnonzero(np.diff(key, prepend=-1, append=-1)).tolist()
    spans = [slice(*pair) for pair in pairwise(bounds)]
    slot = np.repeat(np.arange(len(spans)), np.diff(bounds)) if spans else np.zeros(0, np.int64)
    looks = np.zeros((len(spans), trees), dtype=bool)
    looks[slot, at[chosen]] = True
    looks[looks.sum(axis=1) * _WIDE >= trees] = True
    width = looks.sum(axis=1)
    described = _described(forests, nodes, chosen, bounds[:-1])
    sizes = [(len(rows.cuts) + 3 if len(rows.cuts) else int(rows.codes.max()) + 1) for rows in described]
    starts = list(accumulate((rows * size for rows, size in zip(sizes, width.tolist(), strict=True)), initial=0))
    if starts[-1] * masks.itemsize > MOST_BYTES:
        raise SnapshotRefusedError(
            f"forests: tables of {starts[-1]:,} masks need more than {MOST_BYTES:,} bytes; "
            "train fewer rounds, or leave out columns"
        )
    held = np.full(starts[-1], ~masks.dtype.type(0))
    slots = []
    trees_of = np.split((np.flatnonzero(looks) % max(trees, 1)).astype(np.uint32), np.cumsum(width)[:-1])
    for place, (one, span) in enumerate(zip(described, spans, strict=True)):
        own = held[starts[place] : starts[place + 1]].reshape(sizes[place], -1)
        among = trees_of[place]
        slots.append(Slot(one.column, one.missing, one.zero, one.cuts, one.codes, among, own, starts[place]))
        if not len(one.cuts):
            of = chosen[span]
            _fill_category(forests, slots[-1], nodes.place[of], np.searchsorted(among, at[of]), masks[of])
    number = ~nodes.in_set[chosen]
    inside = np.cumsum(looks, axis=1, dtype=np.int32)[slot, at[chosen]] - 1
    _fill_numbers(forests, nodes, slots, held, slot[number], chosen[number], inside[number], masks)
    return Half(slots=tuple(slots), trees=trees, masks=held)


class _Described(NamedTuple):
    column: int
    missing: int
    zero: int
    cuts: Array
    codes: Array


def _described(forests: Forests, nodes: Nodes, own: Array, firsts: list[int]) -> list[_Described]:
    """Say which rows each slot has: its nodes are those of `own` from one of `firsts` to the next."""
    if not firsts:
        return []
    below = np.concatenate(([0], np.cumsum(forests.thresholds < 0.0))).tolist()
    start = forests.threshold_start.tolist()
    apart = np.logical_or.reduceat(forests.shape[own] >> MISSING == MISSING_ZERO, firsts).tolist()
    found, none = [], np.zeros(0, dtype=np.int64)
    for first, is_default in zip(own[firsts].tolist(), apart, strict=True):
        column = int(nodes.column[first])
        if nodes.in_set[first]:
            held = np.flatnonzero(forests.members(column).any(axis=0))
            rows = np.zeros(int(held.max(initial=0)) + 1, dtype=np.int64)  # never empty: -0.5 is code 0 as well
            rows[held] = 1 + np.arange(len(held))
            found.append(_Described(column, 0, int(rows[0]), np.zeros(0), rows))
            continue
        begin, end = start[column], start[column + 1]
        cuts = forests.thresholds[begin:end]
        zero = len(cuts) + 2 if is_default else below[end] - below[begin]
        found.append(_Described(column, len(cuts) + 1, zero, cuts, none))
    return found


def _fill_numbers(
    forests: Forests, nodes: Nodes, slots: list[Slot], held: Array, slot: Array, own: Array, inside: Array, masks: Array
) -> None:
    """Fill the masks of all numbers at once: of the nodes `own`, by their slot and by their tree's place inside it."""
    shape, place = forests.shape[own], nodes.place[own]
    missing, default_left = shape >> MISSING, (shape & DEFAULT_LEFT) != 0
    width = np.array([len(one.trees) for one in slots], dtype=np.int64)[slot]
    first = np.array([one.start for one in slots], dtype=np.int64)[slot] + inside

    left = masks[own]

    def rule_out(row: Array, said_no: Any = slice(None)) -> None:
        at: Array = first + row * width
        np.bitwise_and.at(held, at[said_no], left[said_no])

    # A node says no from the row behind its own threshold on; what is ruled out there stays ruled out further up.
    rule_out(1 + place)
    for one in slots:
        if len(one.cuts):
            upwards = one.masks[: len(one.cuts) + 1]
            np.bitwise_and.accumulate(upwards, axis=0, out=upwards)
    threshold = forests.thresholds[forests.threshold_start.astype(np.int64)[nodes.column[own]] + place]
    no_at_zero = ~(threshold >= 0.0)
    at_nan, at_zero = (np.array([getattr(one, name) for one in slots], dtype=np.int64) for name in ("missing", "zero"))
    rule_out(at_nan[slot], np.where(missing == 0, no_at_zero, ~default_left))
    apart = (at_zero > at_nan)[slot]
    rule_out(at_zero[slot], apart & np.where(missing == MISSING_ZERO, ~default_left, no_at_zero))


def _fill_category(forests: Forests, slot: Slot, place: Array, inside: Array, masks: Array) -> None:
    held = np.flatnonzero(slot.rows)
    holds = forests.members(slot.column)[:, held].T[:, place]
    # Nodes of a tree lie side by side, so that what they leave folds into one mask.
    first = np.flatnonzero(np.diff(inside, prepend=-1))
    left = np.where(holds, ~masks.dtype.type(0), masks)
    slot.masks[:, inside[first]] = np.concatenate(
        # A category that no set holds is answered with no.
        [np.bitwise_and.reduceat(one, first, axis=1) for one in (masks[None], left)]
    )


def row_of(slot: Slot, value: Array) -> Array:
    """Give the slot's row for each value of its column: (n,) -> (n,)."""
    if len(slot.cuts):
        row = np.searchsorted(slot.cuts, value, side="left")
        row = np.where(np.abs(value) <= NEARLY_ZERO, slot.zero, row)  # as LightGBM does before it looks at a row
        return np.where(np.isnan(value), slot.missing, row)
    known = (value > -1) & (value < len(slot.rows))
    found = np.full(len(value), slot.missing, dtype=np.int64)
    found[known] = slot.rows[value[known].astype(np.int64)]
    return found


def ruled_out(half: Half, values: Array) -> Array:
    """Give what is left of each tree's leaves: values (n, columns) -> (trees, n) masks."""
    left = np.full((half.trees, len(values)), ~half.masks.dtype.type(0))
    for slot in half.slots:
        found = slot.masks.T.take(row_of(slot, values[:, slot.column]), axis=1)
        if len(found) == half.trees:
            left &= found
        else:
            left[slot.trees] &= found
    return left
