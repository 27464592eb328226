"""Gradient-boosted forests as arrays, evaluated in numpy exactly as LightGBM evaluates them.

A forest is data: no code, no pickle. An internal node goes left when `x <= threshold` (numerical) or when the
category is in the node's bit set (categorical); children below zero are leaves, numbered from -1 downwards.
The rules for missing values are those of LightGBM's `Tree::NumericalDecision` and `Tree::CategoricalDecision`.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from msgspec import Struct

from fairlead.errors import SnapshotRefusedError

__all__ = ["FIELDS", "Forest"]

_CATEGORICAL: Final = 1
_DEFAULT_LEFT: Final = 2
_MISSING_ZERO: Final = 1
_MISSING_NAN: Final = 2
_NEARLY_ZERO: Final = float(np.float32(1e-35))  # LightGBM's kZeroThreshold, which it writes as a float32
_BLOCK: Final = 1 << 21  # (row, tree) pairs held at a time, so that a replay's memory stays bounded

FIELDS: Final[dict[str, type[np.generic]]] = {
    "roots": np.int32,
    "feature": np.int32,
    "threshold": np.float64,
    "decision": np.uint8,
    "left": np.int32,
    "right": np.int32,
    "leaf": np.float64,
    "set_start": np.int32,
    "set_words": np.uint32,
}


class Forest(Struct, frozen=True, kw_only=True):
    """Trees in one set of arrays.

    `roots` (trees,) holds each tree's first node, or `-1 - leaf` for a tree that is a single leaf. `feature`,
    `threshold`, `decision` (bit 0 categorical, bit 1 default left, bits 2-3 missing type), `left`, `right` are
    (nodes,). For a categorical node `threshold` is the index of its bit set: words
    `set_start[i]:set_start[i + 1]` of `set_words`.
    """

    roots: np.ndarray[Any, Any]
    feature: np.ndarray[Any, Any]
    threshold: np.ndarray[Any, Any]
    decision: np.ndarray[Any, Any]
    left: np.ndarray[Any, Any]
    right: np.ndarray[Any, Any]
    leaf: np.ndarray[Any, Any]
    set_start: np.ndarray[Any, Any]
    set_words: np.ndarray[Any, Any]

    def raw(self, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Sum the leaves that each row falls into: rows (n, features) float64 -> (n,) float64.

        >>> one = np.zeros(1, np.int32)
        >>> tree = Forest(roots=one, feature=one, threshold=np.array([0.5]), decision=np.array([2], np.uint8),
        ...               left=one - 1, right=one - 2, leaf=np.array([10.0, 20.0]), set_start=one, set_words=one[:0])
        >>> tree.raw(np.array([[0.0], [1.0]])).tolist()
        [10.0, 20.0]
        """
        rows = np.ascontiguousarray(rows, dtype=np.float64)
        rows = np.where(np.abs(rows) <= _NEARLY_ZERO, 0.0, rows)  # as LightGBM does before it looks at a row
        step = max(1, _BLOCK // max(len(self.roots), 1))
        parts = [self._block(rows[start : start + step]) for start in range(0, len(rows), step)]
        return np.concatenate(parts) if parts else np.zeros(0)

    def _block(self, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        trees, features = len(self.roots), rows.shape[1]
        node = np.tile(self.roots, len(rows)).astype(np.int64)
        base = np.repeat(np.arange(len(rows)) * features, trees)
        flat = rows.ravel()
        active = np.flatnonzero(node >= 0)
        while active.size:
            at = node[active]
            value = flat[base[active] + self.feature[at]]
            below = np.where(self._goes_left(at, value), self.left[at], self.right[at])
            node[active] = below
            active = active[below >= 0]
        # A plain sum over trees in their order, as LightGBM adds them.
        total: np.ndarray[Any, Any] = self.leaf[-1 - node].reshape(len(rows), trees).sum(axis=1)
        return total

    def _goes_left(self, at: np.ndarray[Any, Any], value: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        decision = self.decision[at]
        missing = decision >> 2
        absent = np.isnan(value)
        number = np.where(absent & (missing != _MISSING_NAN), 0.0, value)
        left: np.ndarray[Any, Any] = number <= self.threshold[at]
        default = ((missing == _MISSING_ZERO) & (np.abs(number) <= _NEARLY_ZERO)) | ((missing == _MISSING_NAN) & absent)
        left = np.where(default, (decision & _DEFAULT_LEFT) != 0, left)
        categorical = np.flatnonzero(decision & _CATEGORICAL)
        if categorical.size:
            left[categorical] = self._in_set(at[categorical], value[categorical])
        return left

    def _in_set(self, at: np.ndarray[Any, Any], value: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        which = self.threshold[at].astype(np.int64)
        start, stop = self.set_start[which], self.set_start[which + 1]
        # Missing, negative and absurdly large categories are in no set; the cast must not see them.
        known = (value > -1) & (value < 2**31)
        code = np.where(known, value, 0).astype(np.int64)
        word = start + (code >> 5)
        inside = known & (word < stop)
        bits = self.set_words[np.where(inside, word, 0)] if self.set_words.size else np.zeros(len(at), np.uint32)
        found: np.ndarray[Any, Any] = inside & ((bits >> (code & 31).astype(np.uint32)) & 1).astype(bool)
        return found

    def check(self, features: int, name: str) -> None:
        """Refuse arrays that could index outside themselves or loop: SnapshotRefusedError names the forest."""
        if any(getattr(self, part).ndim != 1 for part in FIELDS):
            raise SnapshotRefusedError(f"forest {name}: an array that is not a list; publish the snapshot again")
        nodes, leaves, sets = len(self.feature), len(self.leaf), len(self.set_start) - 1
        if any(len(part) != nodes for part in (self.threshold, self.decision, self.left, self.right)):
            raise SnapshotRefusedError(f"forest {name}: nodes of unequal length; publish the snapshot again")
        own = np.arange(nodes)
        children = np.concatenate((self.left, self.right))
        categorical = (self.decision & _CATEGORICAL) != 0
        faults = {
            "a feature out of range": bool(nodes) and not (self.feature.min() >= 0 and self.feature.max() < features),
            "a child that is not below its parent": bool(
                (((self.left <= own) & (self.left >= 0)) | ((self.right <= own) & (self.right >= 0))).any()
            ),
            "a child out of range": bool(((children >= nodes) | (children < -leaves)).any()),
            "a root out of range": bool(((self.roots >= nodes) | (self.roots < -leaves)).any()),
            "a leaf or threshold that is not finite": not (
                np.isfinite(self.leaf).all() and np.isfinite(self.threshold).all()
            ),
            "category sets out of order": sets < 0
            or bool((np.diff(self.set_start) < 0).any())
            or int(self.set_start[0]) != 0
            or int(self.set_start[-1]) != len(self.set_words),
        }
        faults["a category set out of range"] = bool(
            categorical.any()
            and not (self.threshold[categorical].min() >= 0 and self.threshold[categorical].max() < max(sets, 0))
        )
        for fault, found in faults.items():
            if found:
                raise SnapshotRefusedError(f"forest {name}: {fault}; publish the snapshot again")
