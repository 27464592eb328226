"""Which of the eligible endpoints may be used now: never none of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from fairlead.scoring.view import View

__all__ = ["available"]

Array = np.ndarray[Any, Any]


def available(eligible: Array, view: View) -> tuple[Array, Array]:
    """Give the eligible endpoints that are not out, and whether that rule had to be broken.

    `eligible` is (..., K). The first answer is (..., K): eligible and available. Where every eligible endpoint is out,
    those that come back first are kept, and the second answer (...) is True there. Where nothing is eligible, nothing
    is kept.

    >>> from msgspec.structs import replace
    >>> here, waits = np.array([False, False, True]), np.array([20.0, 9.0, 0.0])
    >>> out = replace(View.unknown(3), available=here, returns_in_s=waits)
    >>> usable, forced = available(np.array([[True, True, True], [True, True, False]]), out)
    >>> usable.tolist(), forced.tolist()
    ([[False, False, True], [False, True, False]], [False, True])
    """
    usable: Array = eligible & view.available
    forced: Array = np.asarray(eligible.any(axis=-1) & ~usable.any(axis=-1))
    if forced.any():
        waits = np.zeros(eligible.shape[-1]) if view.returns_in_s is None else view.returns_in_s
        waits = np.where(eligible, waits, np.inf)
        first = eligible & (waits == waits.min(axis=-1, keepdims=True))
        usable = np.where(forced[..., None], first, usable)
    return usable, forced
