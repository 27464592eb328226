"""Whether the compiled kernel answers or numpy does.

numba is not imported before `warm()`: a gateway that only wants a decision starts without it, and the first decision
never waits for a compiler. Where numba is not installed, or FAIRLEAD_ENGINE is "numpy", numpy answers, and equally.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["Kernel", "ready", "warm"]

Array = np.ndarray[Any, Any]
Kernel = Callable[..., tuple[Array, Array]]

_lock = threading.Lock()
_found: list[Kernel | None] = []  # empty until asked for


def ready() -> Kernel | None:
    """Give the compiled kernel if `warm` was called and numba is there, else None."""
    return _found[0] if _found else None


def warm() -> bool:
    """Compile, once a process (seconds the first time, then from numba's cache); False where numpy has to do."""
    if os.environ.get("FAIRLEAD_ENGINE") == "numpy":
        return False
    with _lock:
        if not _found:
            _found.append(_kernel())
    return _found[0] is not None


def _kernel() -> Kernel | None:
    try:
        from fairlead.scoring.policies import kernels
    except ImportError:
        return None
    return kernels.choose
