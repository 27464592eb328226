"""A vector that the caller has made of the request, as columns `embedding_0`, `embedding_1`, ... of the predictors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np

__all__ = ["NAME", "PREFIX", "held", "value_at", "width_of"]

Array = np.ndarray[Any, Any]
NAME: Final = "embedding"
PREFIX: Final = "embedding_"


def width_of(names: Iterable[str]) -> int:
    """Say how many numbers the embedding has that columns of these names come from.

    >>> width_of(["route", "embedding_0", "embedding_1"])
    2
    """
    return sum(name.startswith(PREFIX) and name[len(PREFIX) :].isdigit() for name in names)


def held(vectors: Iterable[Any]) -> Array:
    """Give vectors of any lengths, None among them, as one object array (n,), which numpy would not by itself."""
    listed = list(vectors)
    array = np.empty(len(listed), dtype=object)
    for index, vector in enumerate(listed):
        array[index] = vector
    return array


def value_at(vectors: Array, name: str, width: int) -> Array:
    """Give one column (n,) of embeddings: NaN where there is none, or one of another length than `width`."""
    place = int(name[len(PREFIX) :])
    return np.array([_number(vector, place, width) for vector in vectors], dtype=np.float64)


def _number(vector: Sequence[Any] | None, place: int, width: int) -> float:
    if vector is None or len(vector) != width:
        return float("nan")
    try:
        return float(vector[place])
    except (TypeError, ValueError, OverflowError, IndexError):
        return float("nan")
