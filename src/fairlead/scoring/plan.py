"""Which trees need what: the layout that a decision's arithmetic follows, made once from a snapshot's forests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec import Struct

from fairlead.scoring.forest import WIDE, Forests
from fairlead.scoring.manifest import Column
from fairlead.scoring.tables import Half, build_half, masks_of, ruled_out

__all__ = ["Plan", "plan"]

Array = np.ndarray[Any, Any]


class Plan(Struct, frozen=True, kw_only=True):
    """Forests of H heads laid out for K endpoints.

    Trees are sorted by what they look at, and by head within that: first those that look at the request alone, then
    those that look at both, then those that look at the endpoint alone. `request` holds the tables of the first two,
    `state` those of the last two for live columns; `still` (trees, K) is what the endpoints' own columns rule out of
    the last two. `bounds` (3, H + 1) are the places at which each head begins in the three parts.
    `leaves` (trees, width) say how far leaves lie from their tree's middle, `narrow` the same as whole multiples of
    `scale[head]` for heads whose `is_wide` is not set; `constant` (H,) is the sum of all middles and of trees that are
    a single leaf. `full` says that a tree has as many leaves as a mask has bits.
    """

    request: Half
    state: Half
    still: Array
    bounds: Array
    leaves: Array
    narrow: Array
    scale: Array
    is_wide: Array
    constant: Array
    full: bool

    @property
    def one_sided(self) -> int:
        """How many trees look at the request alone."""
        return int(self.bounds[0, -1])

    @property
    def both(self) -> int:
        """How many trees look at request and endpoint."""
        return int(self.bounds[1, -1] - self.bounds[1, 0])


def plan(forests: Forests, columns: Sequence[Column], endpoint_rows: Array) -> Plan:
    """Lay forests out: `endpoint_rows` (K, columns) holds the endpoints' own columns."""
    heads = len(forests.trees)
    owner = np.array([column.owner for column in columns], dtype=str)
    nodes = forests.nodes()
    side = _sides(forests, (owner == "request")[nodes.column])
    head = forests.head_of_tree
    order = np.lexsort((head, side))  # trees of a single leaf have side 3: they come last and are left out
    count = [int((side == part).sum()) for part in range(3)]
    order = order[: sum(count)]
    place = np.full(len(side), -1)
    place[order] = np.arange(len(order))
    width = 64 if forests.leaves.size and int(forests.leaves.max()) > 32 else 32
    masks = masks_of(forests, np.uint64 if width == 64 else np.uint32)
    right = np.where(place >= count[0], place - count[0], -1)
    left = np.where(place < count[0] + count[1], place, -1)
    values, constant = _leaves(forests, order, width)
    own = build_half(forests, nodes, masks, owner == "endpoint", right, count[1] + count[2])
    bounds = np.array(
        [
            np.searchsorted(head[order[start : start + size]], np.arange(heads + 1)) + start
            for start, size in zip((0, count[0], count[0] + count[1]), count, strict=True)
        ]
    )
    scale = np.ldexp(1.0, np.where(forests.exponent == WIDE, 0, forests.exponent).astype(np.int64))
    is_wide = forests.exponent == WIDE
    whole = np.where(is_wide[head[order]][:, None], 0.0, values / scale[head[order]][:, None])
    return Plan(
        request=build_half(forests, nodes, masks, owner == "request", left, count[0] + count[1]),
        state=build_half(forests, nodes, masks, owner == "state", right, count[1] + count[2]),
        still=ruled_out(own, endpoint_rows),
        bounds=bounds,
        leaves=values,
        narrow=whole.astype(np.int32),
        scale=scale,
        is_wide=is_wide,
        constant=constant,
        full=bool((forests.leaves == width).any()),
    )


def _sides(forests: Forests, mine: Array) -> Array:
    """Say what each tree looks at: 0 the request, 1 both, 2 the endpoint, 3 nothing; `mine` (nodes,) are requests'."""
    tree, trees = forests.tree_of_node, len(forests.leaves)
    nodes = forests.leaves.astype(np.int64) - 1
    of_request = np.bincount(tree[mine], minlength=trees)
    return np.select([nodes == 0, of_request == nodes, of_request > 0], [3, 0, 1], default=2)


def _leaves(forests: Forests, order: Array, width: int) -> tuple[Array, Array]:
    """Give leaves (trees, width) off their tree's middle, in the new order, and each head's sum of what is fixed."""
    leaves = forests.leaves.astype(np.int64)
    laid = np.zeros((len(leaves), width))
    laid[np.arange(width) < leaves[:, None]] = forests.offsets()
    fixed = forests.middle + np.where(leaves == 1, laid[:, 0], 0.0)
    constant = np.bincount(forests.head_of_tree, weights=fixed, minlength=len(forests.trees))
    return laid[order], constant
