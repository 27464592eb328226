"""Features of a text from one pass over its bytes; see `names` for what they are.

Two engines give equal vectors: `kernels` (numba, where it is installed) and `plain` (numpy), which is always there.
`FAIRLEAD_ENGINE=numpy` in the environment keeps numba out.
"""

from __future__ import annotations

import importlib.util
import os
from math import log1p
from types import ModuleType
from typing import Any, Final

import numpy as np

from fairlead.scoring.text import plain
from fairlead.scoring.text.names import FAMILIES, SYMBOLS, TEXT_FEATURES
from fairlead.scoring.text.tables import MAX_BYTES

__all__ = ["MAX_BYTES", "TEXT_FEATURES", "engine", "read"]

_BYTES: Final = TEXT_FEATURES.index("text_bytes_log")
_CHARS: Final = TEXT_FEATURES.index("text_chars_log")
_PROBE: Final = f"Solve 3.5x + 1 = 10?\n  {'; '.join(FAMILIES)}\n(A) naïve 文字 {SYMBOLS}\n".encode()
_engine: ModuleType | None = None


def engine() -> ModuleType:
    """Give the module that reads texts: the compiled one where it can be had. Chosen at the first call."""
    global _engine  # noqa: PLW0603
    if _engine is None:
        _engine = plain
        if os.environ.get("FAIRLEAD_ENGINE") != "numpy" and importlib.util.find_spec("numba") is not None:
            from fairlead.scoring.text import kernels

            if _equal(kernels):
                _engine = kernels
    return _engine


def _equal(kernels: ModuleType) -> bool:
    """Compile, and see that it gives the same bits: a stale compile cache must cost time, not truth."""
    mine, own = kernels.features(_PROBE), plain.features(_PROBE)
    return all(a.tobytes() == b.tobytes() for a, b in zip(mine, own, strict=True))


def read(text: str) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Give a text's features (float32, a value for each name) and the hashes of its words (uint64, in their order).

    Lone surrogates are read as the three bytes they would be. Beyond MAX_BYTES only the lengths are counted. No text
    has no features: zeros.

    >>> features, words = read("Is 12 ok?")
    >>> features.shape == (len(TEXT_FEATURES),), len(words)
    (True, 3)
    """
    data = text.encode("utf-8", "surrogatepass")
    if not data:
        return np.zeros(len(TEXT_FEATURES), np.float32), np.zeros(0, np.uint64)
    features, words = (_engine or engine()).features(data if len(data) <= MAX_BYTES else data[:MAX_BYTES])
    features[_BYTES] = log1p(len(data))
    features[_CHARS] = log1p(len(text))
    return features, words
