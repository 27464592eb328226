"""Packs trees into the arrays of the published file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from fairlead.errors import ModelError
from fairlead.scoring.checks import check
from fairlead.scoring.forest import (
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
    numbers = sorted({(node.column, node.threshold) for node in nodes if node.categories is None})
    sets = sorted({(node.column, tuple(sorted(node.categories))) for node in nodes if node.categories is not None})
    if max((codes[-1] for _, codes in sets if codes), default=0) >= MOST_CODES:
        raise ModelError(f"a category code from {MOST_CODES:,} up cannot be published; number the categories from 0")
    place: dict[Any, int] = {cut: at for at, cut in enumerate((*numbers, *sets))}
    width = [
        max((codes[-1] // 32 + 1 for of, codes in sets if of == column and codes), default=1)
        for column in range(columns)
    ]
    rounded = [_leaves(head) for head in heads]
    parts: dict[str, Any] = {
        "trees": [len(head) for head in heads],
        "exponent": [exponent for exponent, _, _ in rounded],
        "leaves": [len(tree.values) for tree in trees],
        "middle": [middle for _, middles, _ in rounded for middle in middles],
        "cut": [place[node.column, _cut(node)] for node in nodes],
        "shape": [shape for tree in trees for shape in _shapes(tree)],
        "thresholds": [value for _, value in numbers],
        "threshold_start": np.searchsorted([of for of, _ in numbers], range(columns + 1)),
        "sets": np.searchsorted([of for of, _ in sets], range(columns + 1)),
        "set_width": width,
        "set_words": [word for of, codes in sets for word in _words(codes, width[of])],
        "narrow": _joined([leaves for exponent, _, leaves in rounded if exponent != WIDE]),
        "wide": _joined([leaves for exponent, _, leaves in rounded if exponent == WIDE]),
    }
    kinds = FIELDS if len(place) <= 1 << 16 else {**FIELDS, "cut": np.uint32}
    forests = Forests(**{name: np.array(parts[name], dtype=kind) for name, kind in kinds.items()})
    check(forests, len(heads), columns)
    return forests


def _cut(node: Node) -> float | tuple[int, ...]:
    return node.threshold if node.categories is None else tuple(sorted(node.categories))


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
    return (DEFAULT_LEFT if node.default_left else 0) | node.missing << MISSING


def _words(codes: tuple[int, ...], width: int) -> list[int]:
    words = [0] * width
    for code in codes:
        words[code >> 5] |= 1 << (code & 31)
    return words


def _joined(arrays: list[Array]) -> Array:
    return np.concatenate(arrays) if arrays else np.zeros(0)
