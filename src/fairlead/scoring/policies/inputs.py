"""Candidates as the flat arrays that the compiled kernel reads."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from fairlead.scoring.predict import Candidates

__all__ = ["arrays", "as_compiled"]

Array = np.ndarray[Any, Any]
_NO_MATRIX: Final = np.empty((0, 0))
_NO_PLACES: Final = np.empty(0, dtype=np.int64)


def arrays(candidates: Candidates, endpoints: int | None = None) -> tuple[Array, ...]:
    """Give the kernel's inputs; of one request's (K,) arrays with `endpoints` = K."""
    given = (
        candidates.quality,
        candidates.quality_low,
        candidates.cost_usd,
        candidates.latency_s,
        candidates.latency_p90_s,
        candidates.eligible,
        _NO_MATRIX if candidates.failure is None else candidates.failure,
        _NO_PLACES if candidates.incumbent is None else candidates.incumbent,
    )
    if endpoints is None:
        return given
    rows = tuple(one.reshape(-1, endpoints) if one.size else one for one in given[:7])
    return (*rows, np.asarray(given[7]).reshape(-1))


def as_compiled(given: tuple[Array, ...]) -> list[Array]:
    """Give the same arrays in the number types that the kernel was compiled for."""
    kinds: tuple[Any, ...] = (np.float64,) * 5 + (np.bool_, np.float64, np.int64) + (np.float64,) * 3
    return [np.asarray(one, dtype=kind) for one, kind in zip(given, kinds, strict=True)]
