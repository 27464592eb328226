"""The last judgement, as `judge` left it beside the lake, and which of its numbers the report shows."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fairlead.evaluation.judgement import Judgement, PolicyJudgement, Reading, from_json

__all__ = ["MARGIN", "NOTHING", "candidate", "keeps_quality", "read", "reading", "status_quo_cost_usd", "tells"]

NOTHING: Final = Reading(None)
MARGIN: Final = 0.02  # how large a loss of quality may hide in an interval that is called no loss
# The doubly robust estimate is the one that decides; the others stand in where it could not be made.
_PREFERRED: Final = ("dr", "snips", "ips", "dm")


def read(path: Path) -> Judgement | None:
    """Read the last judgement; None when there is none yet. Raises ReadError when it is not one."""
    try:
        return from_json(path.read_bytes(), path)
    except FileNotFoundError:
        return None


def reading(policy: PolicyJudgement, metric: str) -> Reading:
    """Give the estimate of a metric that decides, an empty one when there is none."""
    made = policy.metrics.get(metric)
    found = (getattr(made, estimator) for estimator in _PREFERRED)
    known = (one for one in found if one is not None and one.value is not None)
    return NOTHING if made is None else next(known, NOTHING)


def candidate(judgement: Judgement) -> PolicyJudgement | None:
    """Give the policy that was on trial; None when it is not among those judged."""
    return next((policy for policy in judgement.policies if policy.name == judgement.candidate), None)


def status_quo_cost_usd(judgement: Judgement) -> float | None:
    """Give what all requests judged cost as they were run; None when it is not known."""
    for policy in judgement.policies:
        cost = reading(policy, "cost_usd").value if policy.kind == "status_quo" else None
        if cost is not None:
            return cost * judgement.requests
    return None


def keeps_quality(change: Reading | None) -> bool:
    """Tell whether a change of quality is no measurable loss: its interval reaches zero, and little below it."""
    if change is None or change.low is None or change.high is None:
        return False
    return change.low >= -MARGIN and change.high >= 0


def tells(policy: PolicyJudgement) -> bool:
    """Tell whether the logs say anything about a policy's savings."""
    return policy.verdict != "cannot tell" and (policy.savings_share is not None or policy.kind == "status_quo")
