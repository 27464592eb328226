"""What only shows over many decisions: frequencies, memory, and several threads at once."""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Iterable
from itertools import islice
from typing import Any, Final

import numpy as np

from fairlead.scoring.draw import uniform
from fairlead.scoring.outcome import Reward
from fairlead.scoring.policies import Learner, Policy
from fairlead.scoring.predict import Candidates
from fairlead.testing.draws import candidates, rewards, view

__all__ = ["bounded", "frequencies", "threads"]

_DRAWS: Final = 600
_ALARM: Final = 1e-9  # chance of calling a right policy wrong, for each endpoint
_GROWTH: Final = 1.1
_ASKED: Final = 50


def frequencies(policy: Policy, one: Candidates, seed: int) -> str:
    """Say where the choices of many requests, each asked anew, do not fit the probabilities; "" where they do."""
    stated = policy.probabilities(one)[0]
    by_name = sorted(range(len(one.endpoints)), key=one.endpoints.__getitem__)
    counts = np.zeros(len(stated))
    for number in range(_DRAWS):
        chances = policy.probabilities(one)[0]
        edges = np.cumsum(chances[by_name])
        drawn = int(np.searchsorted(edges, uniform(seed, f"request-{number}") * edges[-1], side="right"))
        counts[by_name[min(drawn, len(by_name) - 1)]] += 1
    for name, count, chance in zip(one.endpoints, counts, stated, strict=True):
        if not _likely(int(count), float(chance)):
            return f"{name}: chosen {int(count)} times of {_DRAWS} at a stated probability of {chance:.3g}"
    return ""


def bounded(policy: Learner, told: Iterable[Reward]) -> bool:
    """Teach a policy and say whether it grew with the second half, in itself or in what it exports."""
    told = list(told)
    for reward in islice(told, len(told) // 2):
        policy.learn(reward)
    before = _sizes(policy)
    for reward in islice(told, len(told) // 2, None):
        policy.learn(reward)
    return any(after > _GROWTH * size + 1024 for size, after in zip(before, _sizes(policy), strict=True))


def threads(policy: Policy, rng: np.random.Generator) -> str:
    """Ask from two threads and, where the policy learns, teach from two more; say what went wrong first, or ""."""
    given = candidates(rng, 3, 7, view=view(rng, 7))
    told = list(rewards(rng, 20 * _ASKED))
    wrong: list[str] = []

    def ask() -> None:
        for _ in range(_ASKED):
            chances = policy.probabilities(given)
            if not (
                np.all(chances >= 0) and np.allclose(chances.sum(axis=-1), 1) and not chances[~given.eligible].any()
            ):
                wrong.append(f"probabilities {chances.round(3).tolist()}")

    def teach() -> None:
        if isinstance(policy, Learner):
            for reward in told:
                policy.learn(reward)

    def guarded(work: Any) -> None:
        try:
            work()
        except Exception as fault:
            wrong.append(f"{type(fault).__name__}: {fault}")

    running = [threading.Thread(target=guarded, args=(work,)) for work in (ask, teach, ask, teach)]
    pause = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # threads take turns often, so that a race shows
    try:
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
    finally:
        sys.setswitchinterval(pause)
    return wrong[0] if wrong else ""


def _likely(count: int, chance: float) -> bool:
    """Whether a count is within the bounds that Chernoff and Hoeffding give for a binomial; never wrong by rounding."""
    seen, stated = count / _DRAWS, min(max(chance, 0.0), 1.0)
    if seen == stated:
        return True
    if stated in (0.0, 1.0):
        return False
    divergence = sum(a * math.log(a / b) for a, b in ((seen, stated), (1 - seen, 1 - stated)) if a > 0)
    return _DRAWS * divergence <= math.log(2 / _ALARM)


def _sizes(policy: Any) -> tuple[int, int]:
    """Bytes that a policy holds, and that it exports."""
    state = policy.state() if hasattr(policy, "state") else None
    return _size(vars(policy), set()), _size(state, set())


def _size(thing: Any, seen: set[int]) -> int:
    if id(thing) in seen:
        return 0
    seen.add(id(thing))
    size = sys.getsizeof(thing)
    if isinstance(thing, np.ndarray):
        return size if thing.flags.owndata else size + thing.nbytes
    if isinstance(thing, dict):
        return size + sum(_size(key, seen) + _size(value, seen) for key, value in thing.items())
    if isinstance(thing, (list, tuple, set, frozenset)):
        return size + sum(_size(one, seen) for one in thing)
    if hasattr(thing, "__dict__") and not callable(thing):
        return size + _size(vars(thing), seen)
    return size
