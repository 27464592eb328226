"""Which way each node of a tree sends a row, as LightGBM decides it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from fairlead.scoring.trees import Node, Tree

__all__ = ["goes_left", "total"]

_MISSING_ZERO: Final = 1
_MISSING_NAN: Final = 2
_NEARLY_ZERO: Final = float(np.float32(1e-35))  # LightGBM's kZeroThreshold


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
