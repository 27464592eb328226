"""The contract of a policy: what its probabilities and scores promise, whatever the predictions.

>>> from fairlead.scoring import Weighted
>>> check_policy(Weighted())
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import numpy as np

from fairlead.scoring.policies import Policy
from fairlead.scoring.predict import Candidates
from fairlead.testing.contract import ContractError

__all__ = ["candidates", "check_policy"]

_CASES: Final = 200


def candidates(rng: np.random.Generator, requests: int, endpoints: int) -> Candidates:
    """Draw predictions as a policy may meet them: some unknown, some not eligible, at least one eligible a request."""
    shape = (requests, endpoints)
    quality, cost, latency = rng.random(shape), rng.lognormal(-6, 1, shape), rng.lognormal(0, 1, shape)
    for values in (quality, cost, latency):
        values[rng.random(shape) < 0.05] = np.nan
    eligible = rng.random(shape) < 0.8
    eligible[np.arange(requests), rng.integers(endpoints, size=requests)] = True
    return Candidates(
        endpoints=tuple(f"provider/model-{index}" for index in range(endpoints)),
        quality=quality,
        quality_low=quality * rng.random(shape),
        cost_usd=cost,
        cost_p90_usd=cost * 2,
        latency_s=latency,
        latency_p90_s=latency * 2,
        eligible=eligible,
    )


def check_policy(policy: Policy, *, seed: int = 0) -> None:
    """Hold a policy to its contract; ContractError names the promise that it breaks.

    Probabilities sum to one and are zero where not eligible; the same input gives the same answer; the input is not
    changed; the order of endpoints does not matter; one request alone gives what it gives in a batch; every endpoint
    has a score.
    """
    rng = np.random.default_rng(seed)
    for endpoints in (1, 2, 7):
        given = candidates(rng, _CASES, endpoints)
        kept = {name: np.copy(getattr(given, name)) for name in _ARRAYS}
        chances = policy.probabilities(given)
        _hold(policy, "has the shape (requests, endpoints)", chances.shape == given.eligible.shape)
        _hold(policy, "is a probability", bool((np.isfinite(chances) & (chances >= 0) & (chances <= 1 + 1e-9)).all()))
        _hold(policy, "sums to one", bool(np.allclose(chances.sum(axis=-1), 1, atol=1e-9)))
        _hold(policy, "never chooses an ineligible endpoint", not chances[~given.eligible].any())
        _hold(policy, "gives the same answer again", bool((policy.probabilities(given) == chances).all()))
        unchanged = all(np.array_equal(getattr(given, name), kept[name], equal_nan=True) for name in _ARRAYS)
        _hold(policy, "leaves its input unchanged", unchanged)
        order = rng.permutation(endpoints)
        moved = policy.probabilities(_reordered(given, order))
        _hold(policy, "does not depend on the order of endpoints", bool(np.allclose(moved, chances[:, order])))
        one = msgspec.structs.replace(given, **{name: getattr(given, name)[:1] for name in _ARRAYS})
        _hold(
            policy, "gives one request what a batch gives it", bool(np.allclose(policy.probabilities(one), chances[:1]))
        )
        scores = policy.scores(given)
        _hold(policy, "has a score for each endpoint", scores.shape == chances.shape and not np.isnan(scores).any())
        _hold(policy, "says why", all(isinstance(reason, str) and reason for reason in policy.explain(one)))


_ARRAYS: Final = (
    "quality",
    "quality_low",
    "cost_usd",
    "cost_p90_usd",
    "latency_s",
    "latency_p90_s",
    "eligible",
)


def _reordered(given: Candidates, order: np.ndarray[Any, Any]) -> Candidates:
    arrays = {name: getattr(given, name)[:, order] for name in _ARRAYS}
    return msgspec.structs.replace(given, endpoints=tuple(given.endpoints[index] for index in order), **arrays)


def _hold(policy: Policy, promise: str, kept: bool) -> None:
    if not kept:
        raise ContractError(f"policy {policy.name}: a policy's answer {promise}; this one's does not")
