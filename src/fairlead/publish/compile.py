"""Turns LightGBM text models into the forests that scoring reads."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

import numpy as np

from fairlead.errors import ModelError
from fairlead.scoring.forest import MOST_LEAVES
from fairlead.scoring.trees import Node, Tree

__all__ = ["compile_trees"]

Array = np.ndarray[Any, Any]
_CATEGORICAL: Final = 1
_DEFAULT_LEFT: Final = 2


def compile_trees(text: str, name: str) -> list[Tree]:
    """Read a booster's text (`Booster.model_to_string`, format v4) as trees; ModelError when it cannot be.

    Linear trees, averaged trees and several outputs a tree have no place in a forest of sums, and are refused, as are
    trees of more leaves than a mask has bits.
    """
    header, *blocks = text.split("\nTree=")
    lines = header.splitlines()
    if "num_tree_per_iteration=1" not in lines or lines[0] != "tree":
        raise ModelError(f"{name}: not a LightGBM text model with one tree an iteration; train it again")
    if "average_output" in lines:
        raise ModelError(f"{name}: a random forest's average cannot be published; set boosting=gbdt")
    try:
        return [_tree(_fields(block.split("\n\n")[0]), name) for block in blocks]
    except (KeyError, ValueError, IndexError, RecursionError) as fault:
        raise ModelError(f"{name}: a damaged LightGBM text model ({fault}); train it again") from fault


def _tree(fields: dict[str, str], name: str) -> Tree:
    if fields.get("is_linear", "0") != "0":
        raise ModelError(f"{name}: linear trees cannot be published; set linear_tree=false")
    values, leaves = _numbers(fields, "leaf_value", float), int(fields["num_leaves"])
    if leaves > MOST_LEAVES:
        raise ModelError(f"{name}: a tree of {leaves} leaves, {MOST_LEAVES} can be published; set num_leaves lower")
    if leaves <= 1:
        return Tree(root=-1, nodes=[], values=values[:1])
    parts = {key: _numbers(fields, key, int) for key in ("split_feature", "decision_type", "left_child", "right_child")}
    thresholds = _numbers(fields, "threshold", float)
    sets = _sets(fields)
    if {len(part) for part in (*parts.values(), thresholds)} != {leaves - 1} or len(values) != leaves:
        raise ValueError("lists of unequal length")
    nodes, leaf_order = _in_order(parts["left_child"], parts["right_child"])
    place = {node: at for at, node in enumerate(nodes)}
    leaf_place = {leaf: at for at, leaf in enumerate(leaf_order)}
    if len(place) != leaves - 1 or len(leaf_place) != leaves:
        raise ValueError("children that form no tree")

    def child(at: int) -> int:
        return place[at] if at >= 0 else -1 - leaf_place[-1 - at]

    found = []
    for node in nodes:
        decision, threshold = parts["decision_type"][node], thresholds[node]
        in_set = decision & _CATEGORICAL != 0
        found.append(
            Node(
                column=parts["split_feature"][node],
                threshold=0.0 if in_set else threshold,
                categories=sets[int(threshold)] if in_set else None,
                default_left=not in_set and decision & _DEFAULT_LEFT != 0,
                missing=0 if in_set else decision >> 2,
                left=child(parts["left_child"][node]),
                right=child(parts["right_child"][node]),
            )
        )
    return Tree(root=place[0], nodes=found, values=[values[leaf] for leaf in leaf_order])


def _in_order(left: list[int], right: list[int]) -> tuple[list[int], list[int]]:
    """Give nodes and leaves from left to right."""
    nodes: list[int] = []
    leaves: list[int] = []
    waiting: list[int] = []
    at = 0
    while True:
        while at >= 0:
            if len(waiting) > len(left):
                raise ValueError("children that form a circle")
            waiting.append(at)
            at = left[at]
        leaves.append(-1 - at)
        if not waiting or len(nodes) > len(left):
            return nodes, leaves
        nodes.append(waiting.pop())
        at = right[nodes[-1]]


def _sets(fields: dict[str, str]) -> list[frozenset[int]]:
    if not int(fields.get("num_cat", "0")):
        return []
    bounds = _numbers(fields, "cat_boundaries", int)
    words = np.array(_numbers(fields, "cat_threshold", int), dtype="<u4")
    bits = [np.unpackbits(words[start:stop].view(np.uint8), bitorder="little") for start, stop in _pairs(bounds)]
    return [frozenset(np.flatnonzero(one).tolist()) for one in bits]


def _pairs(bounds: list[int]) -> list[tuple[int, int]]:
    return list(pairwise(bounds))


def _fields(block: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in block.splitlines() if "=" in line)


def _numbers(fields: dict[str, str], key: str, kind: Any) -> list[Any]:
    return [kind(word) for word in fields[key].split()]
