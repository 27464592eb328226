"""The trees inside a forest, one at a time, and which way each node sends a row."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from msgspec import Struct

from fairlead.scoring.forest import Forest

__all__ = ["Node", "Tree", "goes_left", "total", "trees_of"]

_CATEGORICAL: Final = 1
_DEFAULT_LEFT: Final = 2
_MISSING_ZERO: Final = 1
_MISSING_NAN: Final = 2
_NEARLY_ZERO: Final = float(np.float32(1e-35))  # LightGBM's kZeroThreshold


class Node(NamedTuple):
    """One question: `x <= threshold`, or is x in `categories`; children below zero are leaves, `-1 - leaf`."""

    column: int
    threshold: float
    categories: frozenset[int] | None
    default_left: bool
    missing: int  # LightGBM's missing type: 0 none, 1 zero, 2 NaN
    left: int
    right: int


class Tree(Struct, frozen=True, kw_only=True):
    """One tree: its nodes and leaf values, and the place of its first node (-1: a single leaf)."""

    root: int
    nodes: Sequence[Node]
    values: Sequence[float]


def trees_of(forest: Forest) -> list[Tree]:
    """Give a forest's trees. The one place that knows how a forest keeps its nodes; they share one numbering."""
    nodes = [_node(forest, at) for at in range(len(forest.feature))]
    values = forest.leaf.tolist()
    return [Tree(root=root, nodes=nodes, values=values) for root in forest.roots.tolist()]


def goes_left(node: Node, value: float) -> bool:
    """Decide as LightGBM does, for a value that may be missing.

    >>> goes_left(Node(0, 0.5, None, True, 2, -1, -2), math.nan)
    True
    """
    if node.categories is not None:
        return -1 < value < 2**31 and int(value) in node.categories
    absent = math.isnan(value)
    if abs(value) <= _NEARLY_ZERO or (absent and node.missing != _MISSING_NAN):
        value = 0.0
    if (node.missing == _MISSING_ZERO and value == 0.0) or (node.missing == _MISSING_NAN and absent):
        return node.default_left
    return value <= node.threshold


def total(trees: Sequence[Tree], row: Sequence[float]) -> float:
    """Sum the leaves that a row falls into."""
    found = 0.0
    for tree in trees:
        at = tree.root
        while at >= 0:
            node = tree.nodes[at]
            at = node.left if goes_left(node, row[node.column]) else node.right
        found += tree.values[-1 - at]
    return found


def _node(forest: Forest, at: int) -> Node:
    decision, threshold = int(forest.decision[at]), float(forest.threshold[at])
    categories = None
    if decision & _CATEGORICAL:
        which = int(threshold)
        words: Any = forest.set_words[forest.set_start[which] : forest.set_start[which + 1]]
        bits = np.unpackbits(words.astype("<u4").view(np.uint8), bitorder="little")
        categories = frozenset(np.flatnonzero(bits).tolist())
    return Node(
        int(forest.feature[at]),
        threshold,
        categories,
        bool(decision & _DEFAULT_LEFT),
        decision >> 2,
        int(forest.left[at]),
        int(forest.right[at]),
    )
