"""The optional parts of a snapshot: the projection of texts and the dense quality heads, as arrays and back.

`PARTS` is what a snapshot without them has; `quality.DenseQuality` evaluates them.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from msgspec import Struct

from fairlead.errors import SnapshotRefusedError
from fairlead.scoring.dense import Dense, DenseHead, Layer
from fairlead.scoring.projection import Projection

__all__ = ["PARTS", "Parts", "from_arrays", "to_arrays"]

Array = np.ndarray[Any, Any]


class Parts(Struct, frozen=True, kw_only=True):
    """What a snapshot may hold beside its forests."""

    projection: Projection | None = None
    dense: Dense | None = None


PARTS: Final = Parts()


def to_arrays(parts: Parts) -> dict[str, Array]:
    """Give the parts as named arrays: `projection.rows`, `dense.inputs`, `dense.NAME.LAYER.weights`, ..."""
    arrays: dict[str, Array] = {}
    if parts.projection is not None:
        arrays |= {"projection.rows": parts.projection.rows, "projection.idf": parts.projection.idf}
    if parts.dense is not None:
        arrays["dense.inputs"] = parts.dense.inputs
        arrays["dense.mean"] = parts.dense.mean
        arrays["dense.share"] = np.array([parts.dense.share], np.float32)
        if parts.dense.routes is not None:
            arrays["dense.routes"] = parts.dense.routes
        for name, head in parts.dense.heads.items():
            key = f"dense.{name}"
            arrays |= {f"{key}.center": head.center, f"{key}.scale": head.scale, f"{key}.platt": head.platt}
            arrays[f"{key}.relu"] = np.array([layer.relu for layer in head.layers], np.uint8)
            for number, layer in enumerate(head.layers):
                arrays |= {f"{key}.{number}.weights": layer.weights, f"{key}.{number}.bias": layer.bias}
    return arrays


def from_arrays(arrays: dict[str, Array], endpoints: int, columns: int, name: str, routes: int = 0) -> Parts:
    """Read and check the parts; SnapshotRefusedError names what is missing or off."""
    projection = None
    try:
        if "projection.rows" in arrays:
            projection = Projection(rows=arrays["projection.rows"], idf=arrays["projection.idf"])
            projection.check(name)
        if "dense.inputs" not in arrays:
            return Parts(projection=projection)
        names = sorted({key.split(".")[1] for key in arrays if key.startswith("dense.") and key.count(".") > 1})
        dense = Dense(
            inputs=arrays["dense.inputs"],
            heads={head: _head(arrays, f"dense.{head}") for head in names},
            mean=arrays["dense.mean"],
            share=float(arrays["dense.share"].item()),
            routes=arrays.get("dense.routes"),
        )
    except (KeyError, ValueError, IndexError) as fault:
        raise SnapshotRefusedError(f"{name}: dense heads that cannot be read ({fault}); publish it again") from fault
    dense.check(endpoints, columns, 0 if projection is None else projection.rows.shape[1], name, routes)
    return Parts(projection=projection, dense=dense)


def _head(arrays: dict[str, Array], key: str) -> DenseHead:
    layers = tuple(
        Layer(weights=arrays[f"{key}.{number}.weights"], bias=arrays[f"{key}.{number}.bias"], relu=bool(relu))
        for number, relu in enumerate(arrays[f"{key}.relu"])
    )
    return DenseHead(
        center=arrays[f"{key}.center"], scale=arrays[f"{key}.scale"], layers=layers, platt=arrays[f"{key}.platt"]
    )
