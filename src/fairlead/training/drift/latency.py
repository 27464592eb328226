"""Does each endpoint answer as fast as in the training window?"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import numpy as np

from fairlead.training.anomaly.hours import HOUR, Hours
from fairlead.training.drift.check import Check, Verdict, cusum, unknown

__all__ = ["checks"]

Array = np.ndarray[Any, Any]
_LEAST: Final = 100  # calls on either side
_TOLERATED: Final = 0.15  # of the logarithm: x1.16
_ALARM: Final = 0.7  # x2
_LIMIT: Final = 12.0


def checks(hours: Hours, since: datetime, until: datetime) -> list[Check]:
    """Compare each endpoint's hours after `until` with those from `since` to `until`, the training window."""
    first, cut = (max(0, int((moment - hours.start) / HOUR)) for moment in (since, until))
    found = []
    for column, one in enumerate(hours.slices):
        if one.kind != "endpoint":
            continue
        timed, summed, squares = (hours.sums[name][:, column] for name in ("timed", "log_s", "log_s2"))
        if min(timed[first:cut].sum(), timed[cut:].sum()) < _LEAST:
            found.append(unknown(one.name, "latency", f"fewer than {_LEAST} timed calls before or after the training"))
            continue
        usual = summed[first:cut].sum() / timed[first:cut].sum()
        variance = max(squares[first:cut].sum() / timed[first:cut].sum() - usual**2, 1e-9)
        z = (summed / np.maximum(timed, 1) - usual) / np.sqrt(variance / np.maximum(timed, 1))
        seen = z[first:cut][timed[first:cut] > 0]
        spread = max(1.0, 1.4826 * float(np.median(np.abs(seen - np.median(seen)))))
        held = timed[cut:] > 0
        scale = np.sqrt(variance / timed[cut:][held]) * spread
        off = (summed[cut:] / np.maximum(timed[cut:], 1) - usual)[held]
        crossed = [cusum((sign * off - _TOLERATED) / scale, limit=_LIMIT).at >= 0 for sign in (1, -1)]
        moved = float(summed[cut:].sum() / timed[cut:].sum() - usual)
        verdict: Verdict = "ok" if not any(crossed) else "alarm" if moved > _ALARM else "retrain"
        found.append(
            Check(
                name=one.name,
                group="latency",
                verdict=verdict,
                reason=(
                    f"{np.exp(usual + moved):.2f} s over {int(timed[cut:].sum()):,} new calls, {np.exp(usual):.2f} s "
                    f"in the training window (x{np.exp(moved):.2f}, geometric means)"
                ),
                value=float(np.exp(moved)),
                reference=1.0,
                limit=float(np.exp(_TOLERATED)),
            )
        )
    return found
