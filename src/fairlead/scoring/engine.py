"""All heads' forests, evaluated for a request at every endpoint in microseconds."""

from __future__ import annotations

import importlib.util
import os
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Literal

import numpy as np

from fairlead.errors import UsageError
from fairlead.scoring.forest import Forests
from fairlead.scoring.heads import Heads
from fairlead.scoring.manifest import Column
from fairlead.scoring.plain import Plain, first_leaf, sums
from fairlead.scoring.plan import plan
from fairlead.scoring.tables import ruled_out

__all__ = ["Engine", "Kind", "kind_of"]

Array = np.ndarray[Any, Any]
Kind = Literal["numba", "numpy"]
VARIABLE: Final = "FAIRLEAD_ENGINE"
EIGHT: Final = 8  # endpoints that a kernel looks at together


class Engine:
    """Evaluates forests as LightGBM does, with what request and endpoints rule out kept apart.

    `columns` say who owns each input. `endpoint_rows` (K, columns) holds the endpoints' own and state columns; request
    columns are not read from it. `kind` is "numba" where that is installed, else "numpy"; both give the same sums. The
    method is QuickScorer's (Lucchese et al., SIGIR 2015), see `tables`. Many threads may read while others set state.

    >>> Engine(Forests.empty(1), [Column("words", "request")], np.zeros((2, 1)), kind="numpy").raw(np.zeros(1)).shape
    (0, 2)
    """

    def __init__(
        self, forests: Forests, columns: Sequence[Column], endpoint_rows: Array, *, kind: str | None = None
    ) -> None:
        self.kind = kind_of(kind) if len(forests.leaves) else "numpy"  # nothing to compile
        self._plan = plan(forests, columns, endpoint_rows)
        self._state_columns = {column.name: at for at, column in enumerate(columns) if column.owner == "state"}
        self._rows = np.array(endpoint_rows, dtype=np.float64)
        self._writing = threading.Lock()
        left = self._plan.still & ruled_out(self._plan.state, self._rows)
        both = self._plan.both
        # One reference: a reader must not see the masks of one state and the sums of another.
        self._now = (self._masks(left[:both]), self._base(left[both:]))
        self._evaluate = self._evaluator()

    @property
    def shape(self) -> tuple[int, int]:
        """How many heads and endpoints there are: (H, K)."""
        return len(self._plan.constant), len(self._rows)

    def raw(self, row: Array) -> Array:
        """Sum each head's leaves for one request at every endpoint: row (columns,) float64 -> (H, K).

        Only the request's own columns are read.
        """
        sums_of: Array = self._evaluate.raw(row, *self._now)
        return sums_of

    def raw_batch(self, rows: Array, *, threads: int = 1) -> Array:
        """Sum each head's leaves for many requests: rows (n, columns) -> (n, H, K); other threads may run meanwhile."""
        rows = np.ascontiguousarray(rows, dtype=np.float64)
        now = self._now
        out = np.empty((len(rows), *self.shape))
        parts = [part for part in np.array_split(np.arange(len(rows)), max(1, threads)) if len(part)]
        spans = [slice(int(part[0]), int(part[-1]) + 1) for part in parts]
        if len(spans) < 2:
            self._evaluate.raw_batch(rows, *now, out)
            return out
        with ThreadPoolExecutor(len(spans)) as pool:
            list(pool.map(lambda span: self._evaluate.raw_batch(rows[span], *now, out[span]), spans))
        return out

    def predict(
        self, heads: Heads, row: Array, table_row: int, tokens: tuple[float, float], added: Array | None = None
    ) -> Array:
        """Predict for one request at every endpoint, in one go: what `heads.predict` gives for `raw`, (7, K).

        `tokens` are the counted and the guessed input tokens; `added` (H, K) is added to the sums.
        """
        predicted: Array = self._evaluate.predict(heads, row, table_row, tokens, added, *self._now)
        return predicted

    def predict_many(self, heads: Heads, rows: Array, table_rows: Array, tokens: tuple[Array, Array]) -> Array:
        """Predict for many requests, each to the bit as `predict` does: rows (n, columns), arrays (n,) -> (7, n, K)."""
        predicted: Array = self._evaluate.predict_many(heads, rows, table_rows, tokens, *self._now)
        return predicted

    def set_state(self, endpoint: int, values: Mapping[str, float]) -> None:
        """Take new values of an endpoint's state columns; calls that have begun keep what they began with."""
        unknown = [name for name in values if name not in self._state_columns]
        if unknown:
            known = ", ".join(self._state_columns) or "none"
            raise UsageError(f"no state column is named {unknown[0]!r}; this snapshot has {known}")
        with self._writing:
            rows = self._rows.copy()
            for name, value in values.items():
                rows[endpoint, self._state_columns[name]] = value
            one = slice(endpoint, endpoint + 1)
            left = self._plan.still[:, one] & ruled_out(self._plan.state, rows[one])
            masks, base = (array.copy() for array in self._now)
            masks[:, one] = left[: self._plan.both]
            base[:, one] = self._base(left[self._plan.both :])
            self._rows, self._now = rows, (masks, base)

    def _masks(self, left: Array) -> Array:
        """Lay out what endpoints leave of each tree: masks (trees, K), padded for the kernels."""
        padded = -left.shape[1] % EIGHT if self.kind == "numba" else 0
        return np.pad(left, ((0, 0), (0, padded)), constant_values=~left.dtype.type(0))

    def _base(self, left: Array) -> Array:
        """Sum the trees that look at the endpoint alone, or at nothing: masks (trees, k) -> (H, k)."""
        base = np.repeat(self._plan.constant[:, None], left.shape[1], axis=1)
        if len(left):
            of_endpoint = self._plan.leaves[len(self._plan.leaves) - len(left) :]
            leaf = first_leaf(np.ascontiguousarray(left))
            sums(np.take_along_axis(of_endpoint, leaf, axis=1), self._plan.bounds[2], base)
        return base

    def _evaluator(self) -> Any:
        if self.kind == "numpy":
            return Plain(self._plan)
        from fairlead.scoring.compiled import Compiled  # numba is heavy: only who asks for it pays

        return Compiled(self._plan, self._now)


def kind_of(wanted: str | None = None) -> Kind:
    """Say which engine is used: as asked for, else as FAIRLEAD_ENGINE says, else numba where it is installed."""
    wanted = wanted or os.environ.get(VARIABLE) or None
    installed = importlib.util.find_spec("numba") is not None
    if wanted is None:
        return "numba" if installed else "numpy"
    if wanted == "numpy":
        return "numpy"
    if wanted != "numba":
        raise UsageError(f"no engine is named {wanted!r}; {VARIABLE} may be numba or numpy")
    if not installed:
        raise UsageError("the numba engine needs numba; install fairlead[fast], or leave the choice to fairlead")
    return "numba"
