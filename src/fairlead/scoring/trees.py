"""The trees inside forests, one at a time: what an explanation walks, and what publish packs."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from msgspec import Struct

from fairlead.scoring.forest import DEFAULT_LEFT, MISSING, Forests, Nodes

__all__ = ["Node", "Tree", "trees_of"]

Array = np.ndarray[Any, Any]


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
    """One tree: its nodes and leaf values from left to right, and the place of its first node (-1: a single leaf)."""

    root: int
    nodes: list[Node]
    values: list[float]


def trees_of(forests: Forests, head: int) -> list[Tree]:
    """Give a head's trees, in the order they were grown.

    >>> trees_of(Forests.empty(1), 0)
    []
    """
    if not len(forests.trees):
        return []
    leaves = forests.leaves.astype(np.int64)
    first_tree = int(forests.trees[:head].sum())
    node = int((leaves[:first_tree] - 1).sum())
    leaf, found, offsets, looks = int(leaves[:first_tree].sum()), [], forests.offsets(), forests.nodes()
    for tree in range(first_tree, first_tree + int(forests.trees[head])):
        count = int(leaves[tree])
        span = slice(node, node + count - 1)
        root, children = _children((forests.shape[span] & 63).tolist())
        nodes = [_node(forests, looks, node + place, *both) for place, both in enumerate(children)]
        values = (offsets[leaf : leaf + count] + forests.middle[tree]).tolist()
        found.append(Tree(root=root, nodes=nodes, values=values))
        node, leaf = node + count - 1, leaf + count
    return found


def _children(left: list[int]) -> tuple[int, list[tuple[int, int]]]:
    """Find the first node and each node's children from how many nodes its left subtree has."""
    children = [(-1 - place, -2 - place) for place in range(len(left))]
    open_roots: list[tuple[int, int]] = []  # of subtrees that no node holds yet: where each begins, its first node

    def close(begin: int) -> int | None:
        """Hang each open subtree from `begin` on to the right of the one before it; give the first."""
        inside = [root for start, root in open_roots if start >= begin]
        for parent, child in pairwise(inside):
            children[parent] = (children[parent][0], child)
        del open_roots[len(open_roots) - len(inside) :]
        return inside[0] if inside else None

    for place, count in enumerate(left):
        below = close(place - count) if count else None
        if below is not None:
            children[place] = (below, children[place][1])
        open_roots.append((place - count, place))
    root = close(0)
    return (-1 if root is None else root), children


def _node(forests: Forests, looks: Nodes, at: int, left: int, right: int) -> Node:
    column, place, shape = int(looks.column[at]), int(looks.place[at]), int(forests.shape[at])
    threshold, categories = 0.0, None
    if looks.in_set[at]:
        categories = frozenset(np.flatnonzero(forests.members(column)[place]).tolist())
    else:
        threshold = float(forests.thresholds[int(forests.threshold_start[column]) + place])
    return Node(column, threshold, categories, bool(shape & DEFAULT_LEFT), shape >> MISSING, left, right)
