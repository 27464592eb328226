"""What a policy would have been worth on logged requests (off-policy evaluation).

The words are the field's (Open Bandit Pipeline's): each estimator takes a `Logged` and gives a `Statistic`, whose
`.estimate()` is the value with an interval. `w` below is target / propensity.

| name | value | source |
|---|---|---|
| replay | mean of r where the policy would have done the same | Li et al. 2011; for uniform logs |
| ips | mean(w r) | Horvitz and Thompson 1952 |
| clipped_ips | mean(min(w, tau) r) | Ionides 2008; biased low |
| snips | mean(w r) / mean(w) | Swaminathan and Joachims 2015 |
| direct | mean(sum_a pi(a) q(a)) | the model alone; no interval of it is to be trusted |
| doubly_robust | direct + mean(w (r - q)) | Dudik, Langford and Li 2011 |
| self_normalised_dr | direct + mean(w (r - q)) / mean(w) | Thomas and Brunskill 2016 |
| switch_dr | doubly_robust without the rows of w > tau | Wang, Agarwal and Dudik 2017 |

>>> log = Logged(reward=np.array([1.0, 0.0]), propensity=np.array([0.5, 0.5]), target=np.array([1.0, 0.0]))
>>> ips(log).value, snips(log).value
(1.0, 1.0)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from fairlead.errors import EvidenceError
from fairlead.evaluation.intervals import Statistic, Vector, mean

__all__ = [
    "ESTIMATORS",
    "Logged",
    "clipped_ips",
    "contributions",
    "direct",
    "doubly_robust",
    "ips",
    "pseudo_outcomes",
    "replay",
    "self_normalised_dr",
    "snips",
    "switch_dr",
]


class Logged(Struct, frozen=True, kw_only=True, eq=False):
    """One metric of n logged requests, and the policy in question at the endpoint that was called; all arrays (n,).

    Requests without a known propensity or outcome are to be left out before, and counted (overlap.verdict asks).
    """

    reward: Vector  # the metric as it was observed: quality 0..1, USD, seconds
    propensity: Vector  # probability with which the log's policy chose what it chose
    target: Vector  # probability with which the policy in question would have chosen the same
    predicted_logged: Vector | None = None  # the metric as predicted for the endpoint that was called
    predicted_target: Vector | None = None  # the prediction averaged over the choices of the policy in question

    def __post_init__(self) -> None:
        _check(self)

    @property
    def weight(self) -> Vector:
        """Target over propensity: how many requests of the policy in question this one stands for."""
        return self.target / self.propensity


def replay(log: Logged) -> Statistic:
    """Replay: the mean of the requests on which the policy agrees with the log; right only of uniform logs."""
    return _normalised("replay", np.zeros(len(log.reward)), log.target * log.reward, log.target)


def ips(log: Logged) -> Statistic:
    """Inverse propensity scoring: unbiased, wide."""
    return mean("ips", log.weight * log.reward)


def clipped_ips(log: Logged, tau: float = 20.0) -> Statistic:
    """IPS whose weights end at `tau`: narrow, and too low by what the heavier ones would have said."""
    return mean("clipped_ips", np.minimum(log.weight, tau) * log.reward)


def snips(log: Logged) -> Statistic:
    """Self-normalised IPS: the weighted mean; does not change when the reward is shifted."""
    zero = np.zeros(len(log.reward))
    return _normalised("snips", zero, log.weight * log.reward, log.weight)


def direct(log: Logged) -> Statistic:
    """Direct method: what the model says. Its interval is about the requests, not about the model being wrong."""
    return mean("direct", _predictions("direct", log)[1])


def doubly_robust(log: Logged) -> Statistic:
    """Doubly robust: the model, corrected by what was observed; right when either model or propensity is."""
    logged, target = _predictions("doubly_robust", log)
    return mean("doubly_robust", target + log.weight * (log.reward - logged))


def self_normalised_dr(log: Logged) -> Statistic:
    """Doubly robust with a self-normalised correction: bounded however large one weight is."""
    logged, target = _predictions("self_normalised_dr", log)
    return _normalised("self_normalised_dr", target, log.weight * (log.reward - logged), log.weight)


def switch_dr(log: Logged, tau: float = 20.0) -> Statistic:
    """Doubly robust that trusts the model where the weight exceeds `tau`: narrow, and biased where overlap is poor."""
    logged, target = _predictions("switch_dr", log)
    kept = log.weight <= tau
    return mean("switch_dr", target + np.where(kept, log.weight, 0.0) * (log.reward - logged))


ESTIMATORS: Final[dict[str, Callable[[Logged], Statistic]]] = {
    "replay": replay,
    "ips": ips,
    "clipped_ips": clipped_ips,
    "snips": snips,
    "direct": direct,
    "doubly_robust": doubly_robust,
    "self_normalised_dr": self_normalised_dr,
    "switch_dr": switch_dr,
}


def contributions(name: str, log: Logged) -> Vector:
    """Give one number a request whose mean is the named estimate, so that two policies can be paired: (n,).

    >>> log = Logged(reward=np.array([1.0, 0.0]), propensity=np.array([0.5, 0.5]), target=np.array([0.5, 0.5]))
    >>> contributions("ips", log).tolist()
    [1.0, 0.0]
    """
    if name not in ESTIMATORS:
        raise EvidenceError(f"no estimator is called {name!r}; there are {', '.join(ESTIMATORS)}")
    return ESTIMATORS[name](log).contributions


def pseudo_outcomes(
    reward: Vector, action: npt.NDArray[np.integer[Any]], propensity: Vector, predicted: Vector
) -> Vector:
    """Give doubly robust stand-ins for the outcomes nobody saw: (n, K), unbiased for each endpoint (Dudik et al. 2011).

    They are noisy and leave 0..1; use their means, and never clip them.

    >>> one = np.array([1.0])
    >>> pseudo_outcomes(one, np.array([1]), one / 2, np.array([[0.25, 0.5]])).tolist()
    [[0.25, 1.5]]
    """
    n, endpoints = predicted.shape
    if len(action) != n or (n > 0 and not (action.min() >= 0 and action.max() < endpoints)):
        raise EvidenceError(f"actions must be {n} column numbers from 0 to {endpoints - 1} of the predictions")
    rows = np.arange(n)
    chosen = predicted[rows, action]
    log = Logged(reward=reward, propensity=propensity, target=propensity, predicted_logged=chosen)
    outcomes: Vector = np.array(predicted, dtype=np.float64)
    outcomes[rows, action] += (log.reward - chosen) / log.propensity
    return outcomes


def _normalised(name: str, base: Vector, numerator: Vector, weight: Vector) -> Statistic:
    """mean(base) + mean(numerator) / mean(weight), linearised around its value (delta method)."""
    scale = weight.mean()
    if scale <= 0:
        raise EvidenceError(f"{name}: the policy never chooses what was logged; explore its choices before judging it")
    ratio = numerator.mean() / scale
    contributions = numerator - ratio * weight
    contributions /= scale
    contributions += base + ratio
    return Statistic(
        name=name,
        columns=np.vstack([base, numerator, weight]).T,  # each column in one piece: its mean is several times as fast
        of_means=_base_and_ratio,
        contributions=contributions,
        linear=False,
    )


def _base_and_ratio(means: Vector) -> Any:
    return means[..., 0] + means[..., 1] / means[..., 2]


def _predictions(name: str, log: Logged) -> tuple[Vector, Vector]:
    if log.predicted_logged is None or log.predicted_target is None:
        raise EvidenceError(f"{name} needs predictions; pass predicted_logged and predicted_target, or use snips")
    return log.predicted_logged, log.predicted_target


def _check(log: Logged) -> None:
    arrays = {name: getattr(log, name) for name in log.__struct_fields__ if getattr(log, name) is not None}
    shapes = {name: np.shape(values) for name, values in arrays.items()}
    if len(set(shapes.values())) != 1 or len(shapes["reward"]) != 1 or shapes["reward"] == (0,):
        raise EvidenceError(
            f"every array must hold one number a request, for the same requests, at least one; got {shapes}"
        )
    for name, values in arrays.items():
        missing = int(np.count_nonzero(~np.isfinite(values)))
        if missing:
            raise EvidenceError(f"{name} is missing or infinite for {missing} requests; leave those out and count them")
    if log.propensity.min() <= 0 or log.propensity.max() > 1:
        raise EvidenceError(
            "propensities must lie in (0, 1], since what was chosen had a chance; check the gateway's log"
        )
    if log.target.min() < 0 or log.target.max() > 1 + 1e-9:
        raise EvidenceError("the policy's probabilities must lie in [0, 1]; check that its rows sum to 1")
