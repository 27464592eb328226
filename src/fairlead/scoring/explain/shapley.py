"""How much each feature moved a forest's sum away from its sum for a reference row, exactly.

Interventional Shapley values with one background row: the players are the columns, and a coalition's worth is the
forest's sum for a row that takes the coalition's columns from `row` and the others from `reference`. TreeSHAP with a
background (Lundberg et al. 2020, "From local explanations to global understanding with explainable AI for trees")
computes them in one walk a tree: only splits at which the two rows part ways have a say, and a leaf that is reached
when the columns A come from the row and B from the reference gives (|A|-1)! |B|! / (|A|+|B|)! of its value to each of
A and takes |A|! (|B|-1)! / (|A|+|B|)! from each of B. No counts of training rows are needed, so no snapshot holds any.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import factorial
from typing import Any

import numpy as np

from fairlead.scoring.explain.trees import goes_left
from fairlead.scoring.trees import Tree

__all__ = ["shapley"]

Array = np.ndarray[Any, Any]


def shapley(trees: Sequence[Tree], row: Array, reference: Array) -> Array:
    """Give each column's share of the trees' sum for `row` less that for `reference`: (columns,), summing to it.

    `row` and `reference` are (columns,) as the forest takes them. A column that is equal in both has a share of 0.

    >>> from fairlead.scoring.trees import Node
    >>> nodes = [Node(0, 0.5, None, True, 0, -1, 1), Node(1, 0.5, None, True, 0, -2, -3)]
    >>> tree = Tree(root=0, nodes=nodes, values=[0.0, 0.0, 8.0])
    >>> shapley([tree], np.array([1.0, 1.0]), np.array([0.0, 0.0])).tolist()  # both are needed: they share evenly
    [4.0, 4.0]
    """
    ours, theirs, shares = row.tolist(), reference.tolist(), [0.0] * len(row)
    for tree in trees:
        _add(tree, ours, theirs, shares)
    return np.array(shares)


def _add(tree: Tree, row: list[float], reference: list[float], shares: list[float]) -> None:
    """Walk every path that some mixture of the two rows takes, and share out the leaf at its end."""
    stack: list[tuple[int, tuple[int, ...], tuple[int, ...]]] = [(tree.root, (), ())]
    while stack:
        at, given, taken = stack.pop()
        while at >= 0:
            node = tree.nodes[at]
            column = node.column
            of_row = node.left if goes_left(node, row[column]) else node.right
            of_reference = node.left if goes_left(node, reference[column]) else node.right
            if of_row == of_reference or column in given:
                at = of_row
            elif column in taken:
                at = of_reference
            else:
                stack.append((of_reference, given, (*taken, column)))
                at, given = of_row, (*given, column)
        value = tree.values[-1 - at]
        for column in given:
            shares[column] += value * _weight(len(given), len(taken))
        for column in taken:
            shares[column] -= value * _weight(len(taken), len(given))


@cache
def _weight(own: int, other: int) -> float:
    return factorial(own - 1) * factorial(other) / factorial(own + other)
