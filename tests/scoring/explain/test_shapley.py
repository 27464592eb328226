"""Exact shares against their definition: brute force over all coalitions, and the axioms."""

import math
from functools import cache
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.publish.pack import pack
from fairlead.scoring.engine import Engine
from fairlead.scoring.explain.shapley import shapley
from fairlead.scoring.explain.trees import goes_left, total
from fairlead.scoring.manifest import Column
from fairlead.scoring.trees import Node, Tree

COLUMNS = 5
VALUES = st.sampled_from([0.0, 1.0, 2.0, -1.0, 0.5, math.nan])


def brute_force(trees, row, reference):
    """Shapley's formula as it is written: every order of columns, by coalitions."""
    n = len(row)

    @cache
    def worth(coalition):
        return total(trees, [row[i] if i in coalition else reference[i] for i in range(n)])

    shares = np.zeros(n)
    for i in range(n):
        rest = [j for j in range(n) if j != i]
        for size in range(n):
            weight = math.factorial(size) * math.factorial(n - size - 1) / math.factorial(n)
            for some in combinations(rest, size):
                shares[i] += weight * (worth(frozenset({*some, i})) - worth(frozenset(some)))
    return shares


@st.composite
def forests(draw, columns=COLUMNS):
    trees = []
    for _ in range(draw(st.integers(1, 3))):
        nodes, values = [], []

        def grow(depth, nodes=nodes, values=values):
            if depth == 0 or draw(st.integers(0, 4)) == 0:
                values.append(draw(st.integers(-8, 8)) / 4)
                return -len(values)
            at = len(nodes)
            nodes.append(None)
            categories = draw(st.none() | st.frozensets(st.integers(0, 3), max_size=3))
            column, cut = draw(st.integers(0, columns - 1)), draw(st.sampled_from([-0.5, 0.0, 0.5, 1.5]))
            left, right = grow(depth - 1), grow(depth - 1)
            nodes[at] = Node(column, cut, categories, draw(st.booleans()), draw(st.integers(0, 2)), left, right)
            return at

        root = grow(4)
        trees.append(Tree(root=root, nodes=nodes, values=values))
    return trees


rows = st.lists(VALUES, min_size=COLUMNS, max_size=COLUMNS).map(np.array)


@settings(max_examples=80, deadline=None)
@given(forests(), rows, rows)
def test_shares_are_those_of_the_definition(trees, row, reference):
    np.testing.assert_allclose(shapley(trees, row, reference), brute_force(trees, row, reference), atol=1e-12)


@settings(max_examples=50, deadline=None)
@given(forests(), rows, rows)
def test_shares_sum_to_the_difference_and_turn_round_with_it(trees, row, reference):
    shares = shapley(trees, row, reference)

    assert shares.sum() == pytest.approx(total(trees, row) - total(trees, reference), abs=1e-12)
    np.testing.assert_allclose(shapley(trees, reference, row), -shares, atol=1e-12)


@settings(max_examples=50, deadline=None)
@given(forests(columns=COLUMNS - 1), rows, rows)
def test_a_column_that_is_not_asked_for_or_does_not_differ_has_no_share(trees, row, reference):
    row[0] = reference[0]

    shares = shapley(trees, row, reference)

    assert (shares[0], shares[-1]) == (0.0, 0.0)


@settings(max_examples=50, deadline=None)
@given(forests(), rows, rows)
def test_columns_that_change_places_change_shares(trees, row, reference):
    order = np.array([1, 0, *range(2, COLUMNS)])
    swapped = [
        Tree(
            root=tree.root,
            nodes=[node._replace(column=int(order[node.column])) for node in tree.nodes],
            values=tree.values,
        )
        for tree in trees
    ]

    np.testing.assert_allclose(
        shapley(swapped, row[order], reference[order]), shapley(trees, row, reference)[order], atol=1e-12
    )


def test_columns_that_play_the_same_part_share_evenly():
    nodes = [Node(column, 0.5, None, True, 0, -1, column + 1) for column in range(3)]
    nodes[-1] = nodes[-1]._replace(right=-2)
    all_of_them = Tree(root=0, nodes=nodes, values=[0.0, 6.0])

    assert shapley([all_of_them], np.ones(3), np.zeros(3)).tolist() == [2.0, 2.0, 2.0]


def test_a_forest_of_single_leaves_has_nothing_to_share():
    leaf = Tree(root=-1, nodes=[], values=[3.0])

    assert shapley([leaf], np.ones(2), np.zeros(2)).tolist() == [0.0, 0.0]


@settings(max_examples=50, deadline=None)
@given(
    st.integers(0, 3),
    st.booleans(),
    st.sampled_from([-0.5, 0.0, 0.5]),
    VALUES | st.sampled_from([1e-36, -3.0, 2.0**40]),
)
def test_nodes_decide_as_the_forest_does(missing, default_left, threshold, value):
    categories = frozenset([0, 2]) if missing == 3 else None
    node = Node(0, threshold, categories, default_left, missing % 3, -1, -2)
    forests = pack([[Tree(root=0, nodes=[node], values=[1.0, 0.0])]], 1)
    engine = Engine(forests, [Column("x", "request")], np.zeros((1, 1)), kind="numpy")

    assert goes_left(node, value) == bool(engine.raw(np.array([value]))[0, 0])
