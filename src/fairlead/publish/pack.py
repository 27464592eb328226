"""Packs trees into the arrays of the published file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from fairlead.errors import ModelError
from fairlead.scoring.checks import check
from fairlead.scoring.forest import (
    CATEGORICAL,
    DEFAULT_LEFT,
    FIELDS,
    MISSING,
    MOST_CODES,
    NARROW_LIMIT,
    WIDE,
    Forests,
)
from fairlead.scoring.trees import Node, Tree

__all__ = ["pack"]

Array = np.ndarray[Any, Any]
EXACT: Final = 1e-6  # how far rounded leaves may take a sum from the booster's
_MOST_CUTS: Final = 1 << 16
_NARROW_BITS: Final = NARROW_LIMIT.bit_length() - 1
_LEAST_EXPONENT: Final = -900
_EPSILON: Final = float(np.finfo(np.float64).eps)


def pack(heads: Sequence[list[Tree]], columns: int) -> Forests:
    """Pack each head's trees; ModelError when they do not fit the published file.

    >>> leaf = Tree(root=-1, nodes=[], values=[0.75])
    >>> packed = pack([[leaf, leaf]], 1)
    >>> packed.leaves.tolist(), packed.middle.tolist(), packed.narrow.tolist()
    ([1, 1], [0.75, 0.75], [0, 0])
    """
    trees = [tree for head in heads for tree in head]
    nodes = [node for tree in trees for node in tree.nodes]
    thresholds: list[dict[float, int]] = [{} for _ in range(columns)]
    sets: list[dict[frozenset[int], int]] = [{} for _ in range(columns)]
    for column, cut in sorted({(node.column, node.threshold) for node in nodes if node.categories is None}):
        thresholds[column][cut] = len(thresholds[column])
    for node in nodes:
        if node.categories is not None:
            sets[node.column].setdefault(node.categories, len(sets[node.column]))
    _fit(thresholds, sets)
    words = [_words(one) for column in sets for one in column]
    rounded = [_leaves(head) for head in heads]
    cuts = [(thresholds[n.column][n.threshold] if n.categories is None else sets[n.column][n.categories]) for n in nodes]
    parts: dict[str, Any] = {
        "trees": [len(head) for head in heads],
        "exponent": [exponent for exponent, _, _ in rounded],
        "leaves": [len(tree.values) for tree in trees],
        "middle": [middle for _, middles, _ in rounded for middle in middles],
        "column": [node.column for node in nodes],
        "cut": cuts,
        "shape": [shape for tree in trees for shape in _shapes(tree)],
        "thresholds": [value for column in thresholds for value in column],
        "threshold_start": _starts(thresholds),
        "sets": _starts(sets),
        "set_start": _starts(words),
        "set_words": [word for one in words for word in one],
        "narrow": _joined([leaves for exponent, _, leaves in rounded if exponent != WIDE]),
        "wide": _joined([leaves for exponent, _, leaves in rounded if exponent == WIDE]),
    }
    forests = Forests(**{name: np.array(parts[name], dtype=kind) for name, kind in FIELDS.items()})
    check(forests, len(heads), columns)
    return forests


def _fit(thresholds: Sequence[dict[float, int]], sets: Sequence[dict[frozenset[int], int]]) -> None:
    if max(map(len, (*thresholds, *sets)), default=0) > _MOST_CUTS:
        raise ModelError(f"a column with more than {_MOST_CUTS:,} cuts cannot be published; set rounds lower")
    if max((max(one, default=0) for column in sets for one in column), default=0) >= MOST_CODES:
        raise ModelError(f"a category code from {MOST_CODES:,} up cannot be published; number the categories from 0")


def _leaves(trees: list[Tree]) -> tuple[int, list[float], Array]:
    """Give a head's exponent, its trees' middles, and its leaves.

    Leaves are rounded to multiples of a power of two around their tree's middle, where the sum of all trees stays as
    exact as promised; else they are kept.
    """
    middles = [(min(tree.values) + max(tree.values)) / 2 for tree in trees]
    offsets = [value - middle for tree, middle in zip(trees, middles, strict=True) for value in tree.values]
    largest = max(map(abs, offsets), default=0.0)
    # A little more than the largest, since rounding may go up.
    exponent = math.frexp(largest * (1 + 1e-7))[1] - _NARROW_BITS if largest else 0
    size = max(map(abs, middles), default=0.0)
    exact = len(trees) * (math.ldexp(0.5, exponent) + size * _EPSILON) <= EXACT if exponent > _LEAST_EXPONENT else False
    if exact or not largest:
        return exponent, middles, np.rint(np.ldexp(np.array(offsets), -exponent)).astype(np.int32)
    return WIDE, [0.0] * len(trees), np.array([value for tree in trees for value in tree.values])


def _shapes(tree: Tree) -> list[int]:
    left = [0] * len(tree.nodes)
    waiting = [(tree.root, 0)] if tree.nodes else []  # a subtree, and the place at which it begins
    while waiting:
        at, begin = waiting.pop()
        node, left[at] = tree.nodes[at], at - begin
        waiting += [(child, start) for child, start in ((node.left, begin), (node.right, at + 1)) if child >= 0]
    return [before | _flags(node) for before, node in zip(left, tree.nodes, strict=True)]


def _flags(node: Node) -> int:
    in_set = 0 if node.categories is None else CATEGORICAL
    return in_set | (DEFAULT_LEFT if node.default_left else 0) | node.missing << MISSING


def _words(codes: frozenset[int]) -> list[int]:
    words = [0] * (max(codes, default=-1) // 32 + 1)
    for code in codes:
        words[code >> 5] |= 1 << (code & 31)
    return words


def _starts(parts: Sequence[Any]) -> Array:
    return np.concatenate(([0], np.cumsum([len(part) for part in parts], dtype=np.int64)))


def _joined(arrays: list[Array]) -> Array:
    return np.concatenate(arrays) if arrays else np.zeros(0)
