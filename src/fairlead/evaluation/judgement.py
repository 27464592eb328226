"""What `fairlead judge` found, as one value: printed by table.py, kept as JSON, read by the report.

A reading without `low` and `high` is a value the logs cannot bound: its interval was refused, not forgotten.
"""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct, field

from fairlead.errors import ReadError
from fairlead.evaluation.callers import Clusters
from fairlead.evaluation.intervals import Estimate
from fairlead.evaluation.net import Overheads
from fairlead.evaluation.overlap import Verdict
from fairlead.evaluation.pick import Pick
from fairlead.evaluation.plan import Exploration
from fairlead.evaluation.seen import Overlap, Weights
from fairlead.evaluation.sensitivity import Bounds

__all__ = [
    "Daily",
    "Judgement",
    "Metric",
    "PolicyJudgement",
    "Reading",
    "Slice",
    "Window",
    "from_json",
    "reading",
    "to_json",
]


class Reading(Struct, frozen=True):
    """A value and its 95 % interval, in the metric's own unit; no interval where the logs cannot tell."""

    value: float | None
    low: float | None = None
    high: float | None = None


class Metric(Struct, frozen=True, kw_only=True):
    """One metric of one policy, by each estimator that could be used; `truth` only where a simulation knows it."""

    replay: Reading | None = None
    ips: Reading | None = None
    snips: Reading | None = None
    dm: Reading | None = None
    dr: Reading | None = None
    sndr: Reading | None = None
    switch: Reading | None = None
    dr_cf: Reading | None = None
    truth: float | None = None


class Slice(Struct, frozen=True, kw_only=True):
    """A route, team, language or day: how quality would change there against the log."""

    kind: str
    name: str
    requests: int
    ess: float
    quality_change: Reading


class PolicyJudgement(Struct, frozen=True, kw_only=True):
    """One policy on the window's requests, and against the status quo."""

    name: str
    kind: Literal["status_quo", "baseline", "candidate"]
    metrics: dict[str, Metric]  # quality (0..1), cost_usd, latency_s, failure (0..1): means a request
    latency_p95_s: Reading | None = None
    ess: float
    max_weight_share: float
    verdict: Literal["trust", "weak", "cannot tell"]
    reasons: list[str]
    savings_share: Reading | None = None  # of the status quo's cost
    quality_change: Reading | None = None  # to the status quo, 0.01 = one point
    candidate_savings_share: Reading | None = None  # of this policy's cost, were the candidate in its place
    candidate_quality_change: Reading | None = None  # the candidate's quality less this policy's
    endpoint_shares: dict[str, float]
    slices: list[Slice] = []  # of the candidate, as the next two: its endpoints in the log, and its weights
    overlap: list[Overlap] = []
    weights: list[Weights] = []
    overheads: Overheads | None = None  # of the candidate: what its savings have to pay for
    sensitivity: dict[str, list[Bounds]] = {}  # by metric, where the log kept no propensities; bounds, no interval


class Daily(Struct, frozen=True, kw_only=True):
    """The candidate against the log over all days since it was published; intervals hold however often one looks."""

    since: date
    days: int
    quality_change: Reading | None = None
    cost_change_usd: Reading | None = None  # of a request


class Window(Struct, frozen=True, kw_only=True):
    """The moments between which the requests started, UTC."""

    start: datetime = field(name="from")
    end: datetime = field(name="to")


class Judgement(Struct, frozen=True, kw_only=True):
    """Every policy that was judged, on the same requests."""

    judged_at: datetime
    window: Window
    requests: int
    propensities_share: float
    candidate: str
    policies: list[PolicyJudgement]
    feedback: str = ""  # who got feedback, and what was done about it
    clusters: Clusters | None = None  # what intervals take together; None where each request stands alone
    daily: Daily | None = None
    pick: Pick | None = None  # which of the policies to take by quality; None in judgements of before
    plan: list[Exploration] = []  # what would make the logs tell of the candidate, where they cannot

    def policy(self, name: str) -> PolicyJudgement:
        """Give the policy of that name; KeyError when it was not judged."""
        return {policy.name: policy for policy in self.policies}[name]


def reading(estimate: Estimate, verdict: Verdict | None = None) -> Reading:
    """Turn an estimate into a reading, without its interval where the verdict is that the logs cannot tell.

    >>> import numpy as np
    >>> from fairlead.evaluation.intervals import mean
    >>> reading(mean("quality", np.array([1.0, 1.0])).estimate())
    Reading(value=1.0, low=1.0, high=1.0)
    """
    if verdict is not None and not verdict.can_tell:
        return Reading(estimate.value)
    return Reading(estimate.value, estimate.low, estimate.high)


def to_json(judgement: Judgement) -> bytes:
    """Write a judgement as indented JSON; what is not a number becomes null."""
    return msgspec.json.format(msgspec.json.encode(judgement), indent=2)


def from_json(data: bytes | str, path: Path | str = "judgement.json") -> Judgement:
    """Read a judgement back; `path` is only for the message when it cannot be."""
    try:
        return msgspec.json.decode(data, type=Judgement)
    except (msgspec.DecodeError, msgspec.ValidationError) as fault:
        raise ReadError(f"{path}: not a judgement ({fault}); run `fairlead judge` to write it anew") from fault
