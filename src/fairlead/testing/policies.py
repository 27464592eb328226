"""The contract of a policy: what its probabilities and scores promise, whatever the predictions and the live state.

>>> from fairlead.scoring import Weighted
>>> check_policy(Weighted())
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from fairlead.scoring.policies import Learner, Policy
from fairlead.scoring.predict import Candidates
from fairlead.scoring.view import View
from fairlead.testing.contract import ContractError
from fairlead.testing.draws import ARRAYS, candidates, first, reordered, rewards, view
from fairlead.testing.endurance import bounded, frequencies, threads

__all__ = ["check_policy"]

_CASES: Final = 200
_REWARDS: Final = 100_000


def check_policy(policy: Policy, *, seed: int = 0, rewards_learned: int = _REWARDS) -> None:
    """Hold a policy to its contract; ContractError names the promise that it breaks.

    Probabilities sum to one and are zero where not eligible; the same input gives the same answer; the input is not
    changed; the order of endpoints does not matter; one request alone gives what it gives in a batch; every endpoint
    has a score. All of that without live state, with that of a process that has just started, and with any other:
    endpoints ejected, latencies unknown, no headroom, budgets overrun. Requests drawn as the router draws them are
    chosen as often as the probabilities say. A policy that learns also keeps it all while several threads teach and ask
    it, and after `rewards_learned` rewards, which do not make it larger.

    The policy is asked, and taught, as it is: hand over a fresh one.
    """
    rng = np.random.default_rng(seed)
    _answers(policy, rng)
    _drawn(policy, rng, seed)
    if isinstance(policy, Learner):
        grown = bounded(policy, rewards(rng, rewards_learned))
        _hold(policy, "needs no more memory the more it learns", not grown)
        _answers(policy, rng)
        _drawn(policy, rng, seed)
    wrong = threads(policy, rng)
    _hold(policy, "holds when several threads ask and teach at once", not wrong, wrong)


def _answers(policy: Policy, rng: np.random.Generator) -> None:
    for endpoints in (1, 2, 7):
        for seen in (None, View.unknown(endpoints), view(rng, endpoints), view(rng, endpoints)):
            _check(policy, candidates(rng, _CASES, endpoints, view=seen), rng)


def _check(policy: Policy, given: Candidates, rng: np.random.Generator) -> None:
    kept = _copied(given)
    chances = policy.probabilities(given)
    _hold(policy, "has the shape (requests, endpoints)", chances.shape == given.eligible.shape)
    _hold(policy, "is a probability", bool((np.isfinite(chances) & (chances >= 0) & (chances <= 1 + 1e-9)).all()))
    _hold(policy, "sums to one", bool(np.allclose(chances.sum(axis=-1), 1, atol=1e-9)))
    _hold(policy, "never chooses an ineligible endpoint", not chances[~given.eligible].any())
    again = policy.probabilities(given)  # what was learned may fade meanwhile, by far less than this
    _hold(policy, "gives the same answer again", bool(np.allclose(again, chances, rtol=0, atol=1e-6)))
    unchanged = all(np.array_equal(a, b, equal_nan=True) for a, b in zip(_copied(given), kept, strict=True))
    _hold(policy, "leaves its input unchanged", unchanged)
    order = rng.permutation(len(given.endpoints))
    moved = policy.probabilities(reordered(given, order))
    _hold(policy, "does not depend on the order of endpoints", bool(np.allclose(moved, chances[:, order], atol=1e-6)))
    one = first(given)
    alone = policy.probabilities(one)
    _hold(policy, "gives one request what a batch gives it", bool(np.allclose(alone, chances[:1], atol=1e-6)))
    scores = policy.scores(given)
    _hold(policy, "has a score for each endpoint", scores.shape == chances.shape and not np.isnan(scores).any())
    _hold(policy, "says why", all(isinstance(reason, str) and reason for reason in policy.explain(one)))


def _drawn(policy: Policy, rng: np.random.Generator, seed: int) -> None:
    for seen in (None, view(rng, 5)):
        one = candidates(rng, 1, 5, view=seen)
        wrong = frequencies(policy, one, seed)
        _hold(policy, "is as likely as it says", not wrong, wrong)


def _copied(given: Candidates) -> list[np.ndarray[Any, Any]]:
    arrays = [getattr(given, name) for name in (*ARRAYS, "failure", "incumbent")]
    if given.view is not None:
        arrays += [getattr(given.view, name) for name in given.view.__struct_fields__]
    return [np.array(array, copy=True) for array in arrays if array is not None]


def _hold(policy: Policy, promise: str, kept: bool, found: str = "") -> None:
    if not kept:
        detail = f" ({found})" if found else ""
        raise ContractError(f"policy {policy.name}: a policy's answer {promise}; this one's does not{detail}")
