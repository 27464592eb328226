"""What forests must be before a kernel without bounds checks reads them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from fairlead.errors import SnapshotRefusedError
from fairlead.scoring.forest import FIELDS, MISSING, MOST_CODES, MOST_LEAVES, NARROW_LIMIT, WIDE, Forests

__all__ = ["check"]

Array = np.ndarray[Any, Any]


def check(forests: Forests, heads: int, columns: int) -> None:
    """Refuse arrays that are no forests of so many heads over so many columns: SnapshotRefusedError says why.

    >>> check(Forests.empty(2), 0, 2)
    """
    for fault in _faults(forests, heads, columns):
        raise SnapshotRefusedError(f"forests: {fault}; publish the snapshot again")


def _faults(forests: Forests, heads: int, columns: int) -> Iterator[str]:
    """Give what is wrong; each question is asked only when those before it were answered well."""
    for name, kind in FIELDS.items():
        array = getattr(forests, name)
        if array.ndim != 1 or array.dtype not in (kind, np.uint32 if name == "cut" else kind):
            yield f"{name} is not a list of {kind.__name__}"
    if len(forests.trees) != heads or len(forests.exponent) != heads:
        yield "another number of heads than the manifest names"
    if int(forests.trees.sum(dtype=np.uint64)) != len(forests.leaves):
        yield "another number of trees than its heads have"
    leaves = forests.leaves.astype(np.int64)
    if leaves.size and (leaves.min() < 1 or leaves.max() > MOST_LEAVES):
        yield "a tree without leaves, or with more than 64"
    if len(forests.middle) != len(leaves):
        yield "another number of middles than trees"
    nodes = int((leaves - 1).sum())
    if len(forests.cut) != nodes or len(forests.shape) != nodes:
        yield "another number of nodes than its trees have"
    yield from _leaf_faults(forests, leaves)
    yield from _cut_faults(forests, columns)
    if not _nested(forests):
        yield "nodes that form no tree"


def _leaf_faults(forests: Forests, leaves: Array) -> Iterator[str]:
    wide = forests.exponent == WIDE
    in_wide = int(leaves[wide[forests.head_of_tree]].sum())
    if len(forests.wide) != in_wide or len(forests.narrow) != int(leaves.sum()) - in_wide:
        yield "another number of leaves than its trees have"
    if not (np.isfinite(forests.wide).all() and np.isfinite(forests.middle).all()):
        yield "a leaf that is not finite"
    small = forests.narrow
    if small.size and (small.min() <= -NARROW_LIMIT or small.max() >= NARROW_LIMIT):
        yield "a leaf out of range"
    if (~wide & (np.abs(forests.exponent.astype(np.int64)) > 900)).any():
        yield "a leaf out of range"


def _cut_faults(forests: Forests, columns: int) -> Iterator[str]:
    if len(forests.set_width) != columns:
        yield "another number of columns than the manifest names"
    for name in ("threshold_start", "sets"):
        starts = getattr(forests, name).astype(np.int64)
        if len(starts) != columns + 1 or starts[0] != 0 or (np.diff(starts) < 0).any():
            yield f"{name} out of order"
    counts, width = np.diff(forests.sets.astype(np.int64)), forests.set_width.astype(np.int64)
    if int(forests.threshold_start[-1]) != len(forests.thresholds):
        yield "another number of thresholds than its columns have"
    # A set is never without a word, and all words of all sets are there.
    if ((counts > 0) & (width == 0)).any() or float((counts.astype(float) * width).sum()) != len(forests.set_words):
        yield "another number of category sets than its columns have"
    if width.size and int(width.max()) * 32 > MOST_CODES:
        yield "a category out of range"
    if np.isnan(forests.thresholds).any():
        yield "a threshold that is no number"
    first = np.zeros(len(forests.thresholds) + 1, dtype=bool)
    first[forests.threshold_start] = True
    if (~(forests.thresholds[1:] > forests.thresholds[:-1]) & ~first[1:-1]).any():
        yield "thresholds out of order"
    if forests.cut.size and int(forests.cut.max()) >= len(forests.thresholds) + int(forests.sets[-1]):
        yield "a cut out of range"
    if forests.shape.size and int((forests.shape >> MISSING).max()) > 2:
        yield "a missing type that is not known"


def _nested(forests: Forests) -> bool:
    """Say whether each node's left subtree is one that ends right before it.

    `open_at` holds, as bits, the places at which a subtree ending before the next node may begin; a node closes those
    that begin inside its own left subtree and opens the one behind itself.
    """
    nodes = forests.leaves.astype(np.int64) - 1
    first = np.cumsum(nodes) - nodes
    order = np.argsort(-nodes, kind="stable")
    nodes, first = nodes[order], first[order]
    left = (forests.shape & 63).astype(np.int64)
    open_at = np.ones(len(nodes), dtype=np.uint64)
    one = np.uint64(1)
    for place in range(int(nodes.max(initial=0))):
        trees = int(np.searchsorted(-nodes, -place, side="left"))  # those that have so many nodes
        begin = place - left[first[:trees] + place]
        if (begin < 0).any():
            return False
        bit = one << begin.astype(np.uint64)
        now = open_at[:trees]
        if not (now & bit).all():
            return False
        open_at[:trees] = (now & ((bit << one) - one)) | (one << np.uint64(place + 1))
    return True
