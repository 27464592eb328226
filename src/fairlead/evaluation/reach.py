"""The 95th percentile of a policy's latency, from what was seen of single calls."""

from __future__ import annotations

from typing import Final

import numpy as np
from msgspec import Struct

from fairlead.errors import EvidenceError
from fairlead.evaluation.bounds import Tail, tail_quantile
from fairlead.evaluation.evidence import Evidence
from fairlead.evaluation.intervals import Vector

__all__ = ["Limits", "limits_of", "tail_of"]

_COUNT: Final = 30


class Limits(Struct, frozen=True, eq=False):
    """Rising limits in seconds, and which calls take longer than each: (limits, n, K)."""

    seconds: Vector
    over: Vector


def limits_of(evidence: Evidence, count: int = _COUNT) -> Limits:
    """Lay limits over the times that were seen; EvidenceError where none was."""
    seen = evidence.latency_s[np.isfinite(evidence.latency_s)]
    if not seen.size:
        raise EvidenceError("no call has a known duration; ingest logs that say when a call ended")
    low, high = np.quantile(seen, [0.2, 1.0])
    seconds = np.geomspace(max(low, 1e-3), max(high, low * 1.01, 2e-3), count)
    return Limits(seconds, np.stack([evidence.slow(float(limit)) for limit in seconds]))


def tail_of(chances: Vector, limits: Limits, *, share: float = 0.05, level: float = 0.95) -> Tail:
    """Give the time that a `share` of a policy's requests exceeds, with its two-sided interval."""
    over = np.einsum("lnk,nk->ln", limits.over, chances)
    return tail_quantile(limits.seconds.tolist(), list(over), share, level)
