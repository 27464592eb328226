"""Which requests got feedback, for the judge: how likely each label was to come, and which are too young to have one.

Where some requests get more feedback than others, those that got some are no fair sample of all. A label then stands
for 1 / (chance of the choice x chance of the label) requests: both the act and the keep probability are used. The
second is estimated from what was known before and after the choice, never from the score itself; that feedback does
not depend on the score beyond that is an assumption, and said.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from msgspec import Struct

from fairlead import features
from fairlead.evaluation.replay import Replay
from fairlead.training import logs
from fairlead.training.quality.reach import reach_of

__all__ = ["Feedback", "feedback_of"]

Array = np.ndarray[Any, Any]
LATE: Final = 0.95
LEAST: Final = 50
LEAST_CHANCE: Final = 0.02


class Feedback(Struct, frozen=True, kw_only=True):
    """`old` marks the requests (n,) whose feedback would be in by now; `keep` (n,) is the chance of a label.

    `keep` is None where labels are as even as chance would have them: then the labelled requests stand for all.
    """

    old: Array
    keep: Array | None
    share: float  # of the old requests that have a label
    delay_s: float  # in which 95 % of labels have come
    too_young: int

    @property
    def told(self) -> str:
        """Say in words what was done."""
        words = f"feedback on {self.share:.0%} of the requests, 95 % of it within {_span(self.delay_s)}"
        if self.too_young:
            words += f"; {self.too_young:,} requests younger than that are left out"
        if self.keep is not None:
            words += (
                "; labels weigh the inverse of their estimated chance to come, as if it did not depend on the score"
            )
        return words


def feedback_of(log: Replay, joined: features.Joined) -> Feedback:
    """Find out who got feedback in a log."""
    waited = log.waited_s[np.isfinite(log.waited_s)]
    delay = max(float(np.quantile(waited, LATE)), 0.0) if len(waited) >= LEAST else 0.0
    horizon = joined.horizon.timestamp() if joined.horizon is not None else float(log.time.max())
    old = log.time + delay <= horizon
    got = np.isfinite(log.outcomes["quality"])
    return Feedback(
        old=old,
        keep=_keep(log, joined),
        share=float(got[old].mean()) if old.any() else 0.0,
        delay_s=delay,
        too_young=int((~old).sum()),
    )


def _keep(log: Replay, joined: features.Joined) -> Array | None:
    frame = logs.frame_of(joined)
    found = reach_of(frame)
    if found is None or found.chance is None:
        return None
    request_of = dict(joined.rows.select("event_id", "request_id").iter_rows())
    labelled = np.flatnonzero(np.isfinite(found.chance))
    chance = {request_of[frame.ids[row]]: found.chance[row] for row in labelled}
    keep: Array = np.array([chance.get(name, np.nan) for name in log.request_ids])
    return np.clip(keep, LEAST_CHANCE, 1.0)


def _span(seconds: float) -> str:
    for size, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {name}"
    return f"{seconds:.0f} s"
