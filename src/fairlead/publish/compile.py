"""Turns a LightGBM text model into the arrays that scoring reads."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from fairlead.errors import ModelError
from fairlead.scoring.forest import FIELDS, Forest

__all__ = ["compile_forest"]

Array = np.ndarray[Any, Any]
_CATEGORICAL: Final = 1


def compile_forest(text: str, name: str) -> Forest:
    """Compile a booster's text (`Booster.model_to_string`, format v4) to a Forest; ModelError when it cannot be.

    Linear trees, averaged trees and several outputs a tree have no place in a forest of sums, and are refused.
    """
    header, *blocks = text.split("\nTree=")
    lines = header.splitlines()
    if "num_tree_per_iteration=1" not in lines or lines[0] != "tree":
        raise ModelError(f"{name}: not a LightGBM text model with one tree an iteration; train it again")
    if "average_output" in lines:
        raise ModelError(f"{name}: a random forest's average cannot be published; set boosting=gbdt")
    try:
        return _compiled(blocks, name)
    except (KeyError, ValueError) as fault:
        raise ModelError(f"{name}: a damaged LightGBM text model ({fault}); train it again") from fault


def _compiled(blocks: list[str], name: str) -> Forest:
    parts: dict[str, list[Array]] = {field: [] for field in FIELDS}
    nodes = leaves = sets = words = 0
    for block in blocks:
        tree = _fields(block.split("\n\n")[0])
        if tree.get("is_linear", "0") != "0":
            raise ModelError(f"{name}: linear trees cannot be published; set linear_tree=false")
        leaf = _numbers(tree, "leaf_value", np.float64)
        if int(tree["num_leaves"]) <= 1:
            parts["roots"].append(np.array([-1 - leaves], dtype=np.int32))
            parts["leaf"].append(leaf)
            leaves += len(leaf)
            continue
        decision = _numbers(tree, "decision_type", np.uint8)
        threshold = _numbers(tree, "threshold", np.float64)
        categorical = (decision & _CATEGORICAL) != 0
        threshold[categorical] += sets
        parts["roots"].append(np.array([nodes], dtype=np.int32))
        parts["feature"].append(_numbers(tree, "split_feature", np.int32))
        parts["threshold"].append(threshold)
        parts["decision"].append(decision)
        for side in ("left", "right"):
            child = _numbers(tree, f"{side}_child", np.int32)
            parts[side].append(np.where(child >= 0, child + nodes, child - leaves).astype(np.int32))
        parts["leaf"].append(leaf)
        if int(tree.get("num_cat", "0")):
            bounds = _numbers(tree, "cat_boundaries", np.int32)
            own = _numbers(tree, "cat_threshold", np.uint32)
            parts["set_start"].append(bounds[:-1] + words)
            parts["set_words"].append(own)
            sets, words = sets + len(bounds) - 1, words + len(own)
        nodes, leaves = nodes + len(decision), leaves + len(leaf)
    parts["set_start"].append(np.array([words], dtype=np.int32))
    return Forest(**{field: _joined(parts[field], kind) for field, kind in FIELDS.items()})


def _fields(block: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in block.splitlines() if "=" in line)


def _numbers(tree: dict[str, str], key: str, kind: Any) -> Array:
    return np.array(tree[key].split(), dtype=np.float64).astype(kind)


def _joined(arrays: list[Array], kind: Any) -> Array:
    return np.concatenate(arrays).astype(kind) if arrays else np.zeros(0, dtype=kind)
