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

__all__ = ["CATEGORICAL", "DEFAULT_LEFT", "FIELDS", "MOST_LEAVES", "NARROW_LIMIT", "WIDE", "Forests"]

Array = np.ndarray[Any, Any]

# A node's `shape`: bits 0-5 the nodes in its left subtree, bit 6 and 7 as below, bits 8-9 LightGBM's missing type.
CATEGORICAL: Final = 1 << 6
DEFAULT_LEFT: Final = 1 << 7
MISSING: Final = 8
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
    "column": np.uint16,
    "cut": np.uint16,
    "shape": np.uint16,
    "thresholds": np.float64,
    "threshold_start": np.uint32,
    "sets": np.uint32,
    "set_start": np.uint32,
    "set_words": np.uint32,
    "narrow": np.int32,
    "wide": np.float64,
}


class Forests(Struct, frozen=True, kw_only=True):
    """The trees of H heads, one behind the other.

    `trees` (H,) counts each head's trees and `leaves` (trees,) each tree's leaves, 1 to 64. `column`, `cut` and `shape`
    are (nodes,): the column a node looks at, its place in that column's thresholds
    `thresholds[threshold_start[c]:threshold_start[c + 1]]` or category sets `sets[c]:sets[c + 1]`, and its shape. Words
    `set_start[i]:set_start[i + 1]` of `set_words` are the bits of set i. A leaf's value is
    its tree's `middle` and `narrow * 2 ** exponent`, which add up exactly in any order, or lies in `wide` where that
    would be too coarse.
    """

    trees: Array
    exponent: Array
    leaves: Array
    middle: Array
    column: Array
    cut: Array
    shape: Array
    thresholds: Array
    threshold_start: Array
    sets: Array
    set_start: Array
    set_words: Array
    narrow: Array
    wide: Array

    @classmethod
    def empty(cls, columns: int) -> Forests:
        """Give no forest at all.

        >>> Forests.empty(3).head_of_tree.tolist()
        []
        """
        starts = {"threshold_start": columns + 1, "sets": columns + 1, "set_start": 1}
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

    def offsets(self) -> Array:
        """Give how far each leaf's value lies from its tree's middle: (leaves,) float64, tree after tree."""
        head_of_leaf = np.repeat(self.head_of_tree, self.leaves)
        exponent = self.exponent[head_of_leaf].astype(np.int64)
        found = np.zeros(len(head_of_leaf))
        found[exponent == WIDE] = self.wide
        found[exponent != WIDE] = np.ldexp(self.narrow.astype(np.float64), exponent[exponent != WIDE])
        return found
