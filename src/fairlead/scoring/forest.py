"""Gradient-boosted forests as the published file keeps them: every head's trees in one set of small arrays.

A tree of n leaves has n - 1 nodes. Leaves are numbered from left to right and nodes in the same order, so node i
parts leaf i from leaf i + 1; how many nodes lie in its left subtree is all that is left to say, and no child is
stored. The split bit-vector tables that decisions read (`tables`) follow from these arrays, and so do the trees
themselves (`trees`). A forest is data: no code, no pickle.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from msgspec import Struct

__all__ = ["DEFAULT_LEFT", "FIELDS", "MOST_LEAVES", "NARROW_LIMIT", "WIDE", "Forests", "Nodes"]

Array = np.ndarray[Any, Any]

# A node's `shape`: bits 0-5 the nodes in its left subtree, bit 6 as below, bits 7-8 LightGBM's missing type.
DEFAULT_LEFT: Final = 1 << 6
MISSING: Final = 7
MISSING_ZERO: Final = 1
MISSING_NAN: Final = 2
NEARLY_ZERO: Final = float(np.float32(1e-35))  # LightGBM's kZeroThreshold, which it writes as a float32

MOST_LEAVES: Final = 64  # a leaf is a bit of a mask
MOST_CODES: Final = 1 << 16  # the largest category code a set may hold
NARROW_LIMIT: Final = 1 << 27  # sixteen leaves below it add up in 32 bits
WIDE: Final = 32_767  # the exponent of a head whose leaves are float64

FIELDS: Final[dict[str, type[np.generic]]] = {
    "trees": np.uint32,
    "exponent": np.int16,
    "leaves": np.uint8,
    "middle": np.float64,
    "cut": np.uint16,
    "shape": np.uint16,
    "thresholds": np.float64,
    "threshold_start": np.uint32,
    "sets": np.uint32,
    "set_width": np.uint16,
    "set_words": np.uint32,
    "narrow": np.int32,
    "wide": np.float64,
}


class Nodes(Struct, frozen=True):
    """What each node looks at: (nodes,) columns, and places among the column's thresholds or, where `in_set`, sets."""

    column: Array
    place: Array
    in_set: Array


class Forests(Struct, frozen=True, kw_only=True):
    """The trees of H heads, one behind the other.

    `trees` (H,) counts each head's trees and `leaves` (trees,) each tree's leaves, 1 to 64. `cut` (nodes,) is what a
    node compares with and thereby the column it looks at: first all thresholds are numbered, those of column c being
    `thresholds[threshold_start[c]:threshold_start[c + 1]]`, then all category sets, those of column c being numbers
    `sets[c]` to `sets[c + 1]`, of `set_width[c]` words each in `set_words`. `shape` (nodes,) says where children lie
    and where missing values go. A leaf's value is its tree's `middle` and `narrow * 2 ** exponent`, which add up
    exactly in any order, or lies in `wide` where that would be too coarse.
    """

    trees: Array
    exponent: Array
    leaves: Array
    middle: Array
    cut: Array
    shape: Array
    thresholds: Array
    threshold_start: Array
    sets: Array
    set_width: Array
    set_words: Array
    narrow: Array
    wide: Array

    @classmethod
    def empty(cls, columns: int) -> Forests:
        """Give no forest at all.

        >>> Forests.empty(3).head_of_tree.tolist()
        []
        """
        starts = {"threshold_start": columns + 1, "sets": columns + 1, "set_width": columns}
        return cls(**{name: np.zeros(starts.get(name, 0), kind) for name, kind in FIELDS.items()})

    @property
    def head_of_tree(self) -> Array:
        """Which head each tree belongs to: (trees,)."""
        return np.repeat(np.arange(len(self.trees)), self.trees)

    @property
    def tree_of_node(self) -> Array:
        """Which tree each node belongs to: (nodes,)."""
        return np.repeat(np.arange(len(self.leaves)), self.leaves.astype(np.int64) - 1)

    @property
    def place(self) -> Array:
        """Where in its tree each node stands: (nodes,); it parts the leaf of that number from the next."""
        nodes = self.leaves.astype(np.int64) - 1
        return np.arange(len(self.shape)) - np.repeat(np.cumsum(nodes) - nodes, nodes)

    def nodes(self) -> Nodes:
        """Look every node's cut up."""
        columns = np.arange(len(self.set_width))
        starts = (self.threshold_start.astype(np.int64), self.sets.astype(np.int64))
        column = np.concatenate([np.repeat(columns, np.diff(start)) for start in starts])
        first = np.concatenate([np.repeat(start[:-1], np.diff(start)) for start in starts])
        cut, numbers = self.cut.astype(np.int64), len(self.thresholds)
        in_set = cut >= numbers
        return Nodes(column[cut], cut - np.where(in_set, numbers, 0) - first[cut], in_set)

    def members(self, column: int) -> Array:
        """Give which codes each of a column's category sets holds: (sets, codes) of 0 and 1."""
        sizes = np.diff(self.sets.astype(np.int64)) * self.set_width
        start, width = int(sizes[:column].sum()), int(self.set_width[column])
        words = self.set_words[start : start + int(sizes[column])].astype("<u4").reshape(-1, width)
        return np.unpackbits(words.view(np.uint8), axis=1, bitorder="little")

    def offsets(self) -> Array:
        """Give how far each leaf's value lies from its tree's middle: (leaves,) float64, tree after tree."""
        head_of_leaf = np.repeat(self.head_of_tree, self.leaves)
        exponent = self.exponent[head_of_leaf].astype(np.int64)
        found = np.zeros(len(head_of_leaf))
        found[exponent == WIDE] = self.wide
        found[exponent != WIDE] = np.ldexp(self.narrow.astype(np.float64), exponent[exponent != WIDE])
        return found
