"""Whether the logs can tell: how much of the policy in question they have seen.

The thresholds are where intervals were measured to be honest: from an effective sample size of about 140 doubly
robust and SNIPS intervals of 95 % cover 91 to 96 %; at 30 they cover 36 to 90 % (200 replications on real outcomes).
"""

from __future__ import annotations

import math
from typing import Final, Literal

import numpy as np
from msgspec import Struct

from fairlead.errors import EvidenceError
from fairlead.evaluation.intervals import Vector

__all__ = ["MISSING", "Limits", "Verdict", "effective_sample_size", "max_weight_share", "unsupported_share", "verdict"]

MISSING: Final = 0.05  # share of unknown propensities from which a log has none
_CANARY_SHARE: Final = 0.05
_DOUBT: Final = 3.5  # standard errors of the mean weight from 1 before the propensities are doubted


class Limits(Struct, frozen=True, kw_only=True):
    """From where on the logs are believed."""

    least_ess: float = 100.0  # below it no interval is shown
    good_ess: float = 140.0  # what a plan aims at
    max_weight_share: float = 0.05
    unsupported_share: float = 0.01  # of the policy's choices, never explored: the model's word alone
    missing_propensities_share: float = MISSING


class Verdict(Struct, frozen=True, kw_only=True):
    """Whether an interval may be shown, why not, and what would change that.

    `weak` shows one, from an effective sample size at which intervals still cover a little less than they say.
    """

    verdict: Literal["trust", "weak", "cannot tell"]
    n: int
    ess: float
    max_weight_share: float
    unsupported_share: float
    propensities_share: float
    reasons: tuple[str, ...]
    remedies: tuple[str, ...]
    needed_requests: int | None  # in all, at the exploration there is; None when more of the same does not help

    @property
    def can_tell(self) -> bool:
        """Whether an interval may be shown."""
        return self.verdict != "cannot tell"

    def __str__(self) -> str:
        if self.can_tell:
            how = "" if self.verdict == "trust" else " by a little"
            return f"Your logs can tell{how}: {self.n} requests count for {self.ess:.0f} of this policy's own."
        return f"Your logs cannot tell: {'; '.join(self.reasons)}. To change that: {'; or '.join(self.remedies)}."


def effective_sample_size(weight: Vector) -> float:
    """Give the number of requests of the policy's own that the log is worth (Kish 1965); 0 when it has none.

    >>> effective_sample_size(np.array([1.0, 1.0, 0.0, 0.0]))
    2.0
    """
    total = float(weight.sum())
    return total * total / float(np.square(weight).sum()) if total > 0 else 0.0


def max_weight_share(weight: Vector) -> float:
    """Give the share of all weight that the heaviest request holds; 1 when there is no weight at all."""
    total = float(weight.sum())
    return float(weight.max()) / total if total > 0 else 1.0


def unsupported_share(target: Vector, logging: Vector) -> float:
    """Give the share of the policy's choices (n, K) that the logging probabilities (n, K) could never have made.

    >>> unsupported_share(np.array([[0.75, 0.25]]), np.array([[1.0, 0.0]]))
    0.25
    """
    return float(np.where(logging > 0, 0.0, target).sum(axis=1).mean())


def verdict(
    weight: Vector,
    *,
    propensities_share: float = 1.0,
    unsupported: float | None = None,
    limits: Limits | None = None,
) -> Verdict:
    """Judge the weights (n,) of a policy on a log.

    `propensities_share` is the share of the window's requests whose propensity is known, `unsupported` what
    `unsupported_share` gave where the log holds all candidates' probabilities; without it, it is taken from the mean
    weight, which falls short of 1 by just that share.
    """
    limits = limits or Limits()
    if not 0 <= propensities_share <= 1:
        raise EvidenceError(f"propensities_share is a share from 0 to 1, not {propensities_share}")
    weight = np.asarray(weight, dtype=np.float64)
    if len(weight) == 0:
        return _nothing(propensities_share)
    found = Verdict(
        verdict="trust",
        n=len(weight),
        ess=effective_sample_size(weight),
        max_weight_share=max_weight_share(weight),
        unsupported_share=max(0.0, 1 - float(weight.mean())) if unsupported is None else unsupported,
        propensities_share=propensities_share,
        reasons=(),
        remedies=(),
        needed_requests=None,
    )
    thin, more, needed = _thin(found, limits)
    wrong, repair = _wrong(found, weight, unsupported is not None, limits)
    reasons, remedies = thin + wrong, more + repair
    return Verdict(
        verdict="cannot tell" if reasons else "weak" if found.ess < limits.good_ess else "trust",
        n=found.n,
        ess=found.ess,
        max_weight_share=found.max_weight_share,
        unsupported_share=found.unsupported_share,
        propensities_share=found.propensities_share,
        reasons=reasons,
        remedies=remedies,
        needed_requests=None if wrong else needed,
    )


def _thin(found: Verdict, limits: Limits) -> tuple[tuple[str, ...], tuple[str, ...], int | None]:
    """What more requests would cure, and how many in all; weights spread as 1 / n."""
    reasons = []
    needed = float(found.n)
    if found.ess < limits.least_ess:
        reasons.append(f"the effective sample size is {found.ess:.0f}, below {limits.least_ess:.0f}")
        needed = found.n * limits.good_ess / found.ess if found.ess > 0 else math.inf
    if found.max_weight_share > limits.max_weight_share:
        reasons.append(
            f"one request holds {found.max_weight_share:.1%} of all weight, more than {limits.max_weight_share:.0%}"
        )
        needed = max(needed, found.n * found.max_weight_share / limits.max_weight_share)
    if not reasons:
        return (), (), found.n
    canary = math.ceil(limits.good_ess / _CANARY_SHARE)
    remedies = [f"{_CANARY_SHARE:.0%} of traffic on this policy for {canary:,} requests"]
    if math.isinf(needed):
        return tuple(reasons), tuple(remedies), None
    remedies.insert(0, f"{math.ceil(needed):,} requests in all at the present exploration")
    return tuple(reasons), tuple(remedies), math.ceil(needed)


def _wrong(
    found: Verdict, weight: Vector, support_is_known: bool, limits: Limits
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What more of the same requests would not cure."""
    reasons, remedies = [], []
    missing = 1 - found.propensities_share
    if missing > limits.missing_propensities_share:
        reasons.append(f"the propensity is unknown for {missing:.1%} of requests")
        remedies.append("the gateway must log the probability of its choice")
    # E[w] is the supported share. A mean weight away from it by chance alone is rarer than 1 in 2,000.
    spread = float(weight.std()) / math.sqrt(len(weight)) * _DOUBT + 1e-9
    expected = 1 - found.unsupported_share if support_is_known else 1.0
    off = float(weight.mean()) - expected
    short = found.unsupported_share > limits.unsupported_share
    if short and (support_is_known or off < -spread):
        reasons.append(f"{found.unsupported_share:.1%} of this policy's choices were never explored on such requests")
        remedies.append("exploration must reach the endpoints that this policy prefers")
    elif abs(off) > spread and abs(off) > limits.unsupported_share:
        reasons.append(f"the weights average {weight.mean():.2f} where {expected:.2f} is expected")
        remedies.append("check that the logged propensities are those the choice was drawn with")
    return tuple(reasons), tuple(remedies)


def _nothing(propensities_share: float) -> Verdict:
    return Verdict(
        verdict="cannot tell",
        n=0,
        ess=0.0,
        max_weight_share=1.0,
        unsupported_share=1.0,
        propensities_share=propensities_share,
        reasons=("no request has both a known propensity and an outcome",),
        remedies=("the gateway must log the probability of its choice, and feedback must reach fairlead",),
        needed_requests=None,
    )
