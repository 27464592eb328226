"""Replays rows through the engines that will serve and through the boosters: what differs is not published."""

from __future__ import annotations

from typing import Any, Final

import lightgbm as lgb
import numpy as np

from fairlead.errors import GateError
from fairlead.scoring.engine import Engine, kind_of
from fairlead.scoring.projection import counted_words, normalised, weights
from fairlead.scoring.quality import DenseQuality
from fairlead.scoring.snapshot import Snapshot
from fairlead.training.predictor import TrainedPredictor

__all__ = ["audit", "audit_rows"]

Array = np.ndarray[Any, Any]
TOLERANCE: Final = 1e-5  # the largest difference from Booster.predict that is let through
NETWORK_TOLERANCE: Final = 1e-4  # of a chance, in float32, whose sums depend on their order
_ROWS: Final = 2_000
_ENDPOINTS: Final = 200  # rows that stand for endpoints
_ALONE: Final = 200  # rows that are asked one by one too


def audit(snapshot: Snapshot, predictors: list[TrainedPredictor], rows: Array) -> float:
    """Replay rows through each engine there is and each booster; GateError above the tolerance, else the largest.

    rows is (n, columns): each stands for a request, and the first of them for the endpoints it is paired with. Networks
    of quality are asked as they will serve and as they are written down.
    """
    networks = _networks(snapshot, rows[:_ALONE])
    everything = [head for predictor in predictors for head in predictor.heads if head.plan.name in snapshot.heads]
    served = [head for head in everything if head.serve == "forest"]
    if tuple(head.plan.name for head in served) != snapshot.forest_heads:
        raise GateError("the snapshot's forests are not those of its predictors; the snapshot in use stays")
    if not served:
        return networks
    columns = snapshot.manifest.columns
    request, endpoint = np.arange(len(rows)), np.arange(len(rows)) % _ENDPOINTS
    paired = np.where([column.owner == "request" for column in columns], rows, rows[endpoint])
    boosters = [lgb.Booster(model_str=head.booster) for head in served]
    expected = np.stack([one.predict(paired, raw_score=True, num_threads=1) for one in boosters], axis=1)
    largest = networks
    for kind in ("numpy", "numba") if kind_of() == "numba" else ("numpy",):
        engine = Engine(snapshot.forests, columns, rows[:_ENDPOINTS], kind=kind)
        got = engine.raw_batch(rows)[request, :, endpoint]
        alone = [engine.raw(rows[one])[:, endpoint[one]] for one in request[:_ALONE]]
        for place, head in enumerate(served):
            off = np.abs(np.concatenate((got, alone)) - np.concatenate((expected, expected[:_ALONE])))[:, place]
            difference = float(off.max())
            if not difference <= TOLERANCE:
                raise GateError(
                    f"{head.plan.name}: the compiled forest differs from its booster by {difference:.2e} in {kind}, "
                    f"more than {TOLERANCE:.0e}; the snapshot in use stays"
                )
            largest = max(largest, difference)
    return largest


def _networks(snapshot: Snapshot, rows: Array) -> float:
    """Ask the networks about rows with drawn words, compiled and plain; GateError where they differ."""
    dense, projection = snapshot.parts.dense, snapshot.parts.projection
    if dense is None:
        return 0.0
    rng, largest = np.random.default_rng(0), 0.0
    serving = DenseQuality(dense, projection)
    for row in rows:
        words = rng.integers(0, 1 << 63, rng.integers(0, 40), dtype=np.uint64)
        projected = np.zeros(0, np.float32)
        if projection is not None:
            ids, counts = counted_words(words, len(projection.idf))
            projected = normalised(weights(ids, counts, projection.idf) @ projection.rows[ids])
        off = np.abs(serving.of(words, row) - dense.predict(dense.row(row, projected)))
        largest = max(largest, float(off.max()))
        if not off.max() <= NETWORK_TOLERANCE:
            raise GateError(
                f"quality: the networks that serve differ from those trained by {off.max():.2e}, more than "
                f"{NETWORK_TOLERANCE:.0e}; the snapshot in use stays"
            )
    return largest


def audit_rows(snapshot: Snapshot) -> Array:
    """Draw rows that reach every corner: values around each split's threshold, unseen categories, and NaN."""
    rng = np.random.default_rng(0)
    columns, forests = snapshot.manifest.columns, snapshot.forests
    rows = np.full((_ROWS, len(columns)), np.nan)
    for index, column in enumerate(columns):
        cuts = forests.thresholds[int(forests.threshold_start[index]) : int(forests.threshold_start[index + 1])]
        if column.kind == "category":
            known = len(snapshot.manifest.categories[column.name])
            rows[:, index] = rng.integers(-1, known + 2, _ROWS)
        elif len(cuts):
            at = rng.choice(cuts, _ROWS)
            rows[:, index] = at + rng.choice([-1.0, 0.0, 0.0, 1.0], _ROWS) * rng.exponential(0.1, _ROWS)
        else:
            rows[:, index] = rng.normal(size=_ROWS)
    rows[rng.random(rows.shape) < 0.05] = np.nan
    return rows
