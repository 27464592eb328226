"""What operating points are chosen from and confirmed on: predictions, and what came of every choice.

Each outcome array holds, for every request and endpoint, what was seen or its doubly robust stand-in, so the value of
any policy is a mean over requests of its probabilities times the outcomes (Dudik, Langford and Li 2011).
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import Struct

from fairlead.errors import EvidenceError
from fairlead.evaluation.intervals import Statistic, Vector, mean
from fairlead.evaluation.overlap import Verdict, verdict
from fairlead.scoring.policies import make
from fairlead.scoring.predict import Candidates

__all__ = ["Evidence", "split"]

_DAY_S: Final = 86400.0
_SHARES: Final = {"quality", "quality_low", "cost_usd", "cost_p90_usd", "latency_s", "latency_p90_s", "eligible"}
_Z90: Final = NormalDist().inv_cdf(0.9)


class Evidence(Struct, frozen=True, kw_only=True, eq=False):
    """Requests in the order in which they came: arrays (n, K) over endpoints, or (n,).

    `candidates` are predictions out of fold: one made from the request's own outcome would promise too much.
    `latency_s` is NaN where nothing was seen. Without a `propensity` every choice's outcome was seen, not only the
    `action` of the log.
    """

    candidates: Candidates
    quality: Vector
    cost_usd: Vector
    latency_s: Vector
    time: Vector  # seconds since 1970
    logged_quality: Vector  # (n,): what the status quo had
    logged_cost_usd: Vector
    action: Vector | None = None  # column of what was called
    propensity: Vector | None = None
    ids: Any = None  # of the logged attempts, where there are any

    def __post_init__(self) -> None:
        shape = self.candidates.quality.shape
        shapes = {name: np.shape(getattr(self, name)) for name in ("quality", "cost_usd", "latency_s")}
        if len(shape) != 2 or any(one != shape for one in shapes.values()):
            raise EvidenceError(f"predictions are {shape}; outcomes must be (requests, endpoints) too, got {shapes}")
        if len(self) < 2:
            raise EvidenceError(f"{len(self)} request(s) are no evidence; bring at least two with feedback")

    def __len__(self) -> int:
        return len(self.candidates.quality)

    def take(self, rows: Any) -> Evidence:
        """Give some of the requests."""
        own = self.candidates
        fewer = msgspec.structs.replace(own, **{name: getattr(own, name)[rows] for name in _SHARES})
        parts: dict[str, Any] = {
            name: None if getattr(self, name) is None else getattr(self, name)[rows]
            for name in self.__struct_fields__
            if name != "candidates"
        }
        return Evidence(candidates=fewer, **parts)

    def thinned(self, most: int) -> Evidence:
        """Give at most so many requests, evenly spread over time."""
        if len(self) <= most:
            return self
        return self.take(np.unique(np.linspace(0, len(self) - 1, most).astype(np.int64)))

    def choices(self, parameters: dict[str, Any]) -> Vector:
        """Say what `intelligent` with these parameters would have done: probabilities (n, K)."""
        chances: Vector = make("intelligent", parameters).probabilities(self.candidates)
        return chances

    def of(self, outcome: Vector, chances: Vector) -> Vector:
        """Give what a policy would have had of each request (n,); EvidenceError where nobody knows."""
        had: Vector = np.where(chances > 0, chances * outcome, 0.0).sum(axis=1)
        if not np.isfinite(had).all():
            raise EvidenceError("the policy chooses an endpoint whose outcome is not known; make it ineligible")
        return had

    def change(self, chances: Vector) -> Statistic:
        """Give the change of quality against the status quo, paired by request."""
        return mean("quality_change", self.of(self.quality, chances) - self.logged_quality)

    def spend(self, chances: Vector) -> Statistic:
        """Give the cost of a request in USD."""
        return mean("cost_usd", self.of(self.cost_usd, chances))

    def slow(self, limit_s: float) -> Vector:
        """Say which calls take longer than a limit: (n, K), 0 or 1 where seen, else a probability or its stand-in."""
        expected = _tail(self.candidates, limit_s)
        seen = np.isfinite(self.latency_s)
        over = np.where(seen, self.latency_s > limit_s, 0.0)
        if self.propensity is None:
            return np.where(seen, over, expected)
        share = np.where(np.isfinite(self.propensity), self.propensity, 1.0)[:, None]
        return np.where(seen, expected + (over - expected) / share, expected)

    def support(self, chances: Vector) -> Verdict:
        """Say whether the log supports this policy: its effective sample size and the weight of single requests."""
        if self.propensity is None or self.action is None:
            return verdict(np.ones(len(self)))
        known = np.isfinite(self.propensity)
        weight = chances[np.arange(len(self)), self.action][known] / self.propensity[known]
        return verdict(weight, propensities_share=float(known.mean()))


def split(evidence: Evidence, share: float = 0.7) -> tuple[Evidence, Evidence]:
    """Split by time: the first `share` of the days to choose on, the later ones to confirm on.

    The cut falls between two days (UTC) where there are some to choose from, else between two requests. EvidenceError
    where one side would be empty.
    """
    if not 0 < share < 1:
        raise EvidenceError(f"the share of days to choose on must lie between 0 and 1, not {share}")
    first, last = float(evidence.time.min()), float(evidence.time.max())
    cut = first + share * (last - first)
    midnight = round(cut / _DAY_S) * _DAY_S
    for edge in (midnight, cut):
        early = evidence.time < edge
        if min(int(early.sum()), int((~early).sum())) >= max(2, 0.05 * len(evidence)):
            return evidence.take(early), evidence.take(~early)
    raise EvidenceError(
        "the requests lie too close in time to choose on some and confirm on later ones; bring more days"
    )


def _tail(candidates: Candidates, limit_s: float) -> Vector:
    """The predicted chance of taking longer, from the two predicted quantiles of a log-normal time; 0.5 if unknown."""
    middle, high = candidates.latency_s, candidates.latency_p90_s
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.maximum(np.log(high / middle) / _Z90, 0.05)
        at = (math.log(limit_s) - np.log(middle)) / spread
    # A logistic of this slope is within 0.01 of the normal distribution.
    chance: Vector = np.where(np.isfinite(at), 1.0 / (1.0 + np.exp(np.clip(1.702 * at, -700, 700))), 0.5)
    return chance
