"""The learned stopping rule: how good each endpoint's answer is, once some endpoints have answered.

Every endpoint has a logistic curve over what is known after a stage (which endpoints have answered): its own predicted
quality, and of each answer how much longer it is than usual for its route and endpoint, whether it was cut or could
not be read, and whether two answers agree. With no evidence the curve is the prediction itself: weights are shrunk to
that, not to zero. That answers' agreement and shape tell right from wrong is FrugalGPT's idea (Chen, Zaharia and Zou
2023) and AutoMix's (Aggarwal et al. 2023), here without a second model's look at the text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from msgspec import Struct

from fairlead.errors import UsageError
from fairlead.scoring.cascade.answer import Answer

__all__ = ["Seen", "Stage", "StoppingRule", "logit", "sigmoid", "signals"]

Array = np.ndarray[Any, Any]
_FAR: Final = 4.0  # spreads beyond which a length says no more
_CERTAIN: Final = 1e-3


class Seen(Struct, frozen=True, kw_only=True):
    """What is known of answers, for n requests and K endpoints; nothing is read of endpoints that were not asked.

    `tokens`, `unreadable`, `cut` are (n, K), NaN where not known. `agreed` (n,) says whether the two answers of a
    stage agree: 1, 0, or NaN where one of them has no digest.
    """

    tokens: Array
    unreadable: Array
    cut: Array
    agreed: Array

    @classmethod
    def of(cls, endpoints: Sequence[str], answers: Sequence[Answer]) -> Seen:
        """Lay out one request's answers."""
        tokens, unreadable, cut = (np.full((1, len(endpoints)), np.nan) for _ in range(3))
        for answer in answers:
            k = endpoints.index(answer.endpoint)
            tokens[0, k] = np.nan if answer.output_tokens is None else answer.output_tokens
            unreadable[0, k] = np.nan if answer.readable is None else not answer.readable
            cut[0, k] = answer.cut
        digests = [answer.digest for answer in answers[:2]]
        known = len(digests) == 2 and None not in digests
        agreed = float(digests[0] == digests[1]) if known else np.nan
        return cls(tokens=tokens, unreadable=unreadable, cut=cut, agreed=np.array([agreed]))


class Stage(Struct, frozen=True, kw_only=True):
    """What follows once `asked` have answered: `weights` (K, signals), and `shifts` (draws, K) as seen in training.

    A shift is how far, in logits, answers moved the quality of each endpoint from what was predicted before them;
    drawn again they say what asking is worth before it is done.
    """

    asked: tuple[str, ...]
    weights: list[list[float]]
    shifts: list[list[float]]


class StoppingRule(Struct, frozen=True, kw_only=True):
    """Stages over K endpoints, and how long answers usually are: `typical` (routes + 1, K) log tokens, `spread` (K)."""

    endpoints: tuple[str, ...]
    routes: tuple[str, ...]
    typical: list[list[float]]
    spread: list[float]
    stages: tuple[Stage, ...]

    def stage(self, asked: Sequence[str]) -> Stage | None:
        """Give the stage after these endpoints, in whatever order they answered; None where none was learned."""
        return next((stage for stage in self.stages if set(stage.asked) == set(asked)), None)

    def posterior(self, stage: Stage, quality: Array, seen: Seen, route: Array) -> Array:
        """Give each endpoint's quality after the stage's answers: predicted quality (n, K), routes (n,) -> (n, K)."""
        asked = [self.endpoints.index(name) for name in stage.asked]
        lengths = self.lengths(seen.tokens, route)
        found = [
            sigmoid(signals(quality, lengths, seen, asked, k) @ np.array(stage.weights[k]))
            for k in range(len(self.endpoints))
        ]
        return np.stack(found, axis=1)

    def lengths(self, tokens: Array, route: Array) -> Array:
        """Give how much longer answers are than usual, in spreads: (n, K); 0 where the length is not known."""
        typical, spread = np.array(self.typical), np.array(self.spread)
        known = (route >= 0) & (route < len(typical) - 1)
        usual = typical[np.where(known, np.nan_to_num(route), len(typical) - 1).astype(np.int64)]
        return _spreads(tokens, usual, spread)

    def route_codes(self, routes: Sequence[str | None]) -> Array:
        """Give the code of each route, NaN for one that was not learned from."""
        codes = {name: float(code) for code, name in enumerate(self.routes)}
        return np.array([codes.get(name, np.nan) if name is not None else np.nan for name in routes])


def signals(quality: Array, lengths: Array, seen: Seen, asked: Sequence[int], k: int) -> Array:
    """Lay out what endpoint `k`'s curve reads: (n, 2 + 6 for each of the one or two that answered, + 4 for a pair)."""
    if not 1 <= len(asked) <= 2:
        raise UsageError(f"a cascade's stage has one or two answers, not {len(asked)}")
    prior = logit(quality)
    own, none = prior[:, k], np.zeros(len(quality))
    columns = [np.ones(len(quality)), own]
    for p in asked:
        z, unreadable = lengths[:, p], np.nan_to_num(seen.unreadable[:, p])
        others = none if p == k else prior[:, p] - own
        columns += [z, z**2 / _FAR, unreadable, np.nan_to_num(seen.cut[:, p]), z * prior[:, p] / _FAR, others]
    if len(asked) == 2:
        one, two = asked
        known = np.isfinite(seen.agreed)
        columns += [
            np.abs(lengths[:, one] - lengths[:, two]),
            np.where(known, seen.agreed, 0.0),
            np.where(known, 1 - seen.agreed, 0.0),
            np.nan_to_num(seen.unreadable[:, one]) * np.nan_to_num(seen.unreadable[:, two]),
        ]
    return np.stack(columns, axis=1)


def logit(share: Array) -> Array:
    """Give log odds; what is not known is as likely as not."""
    kept = np.clip(np.nan_to_num(share, nan=0.5), _CERTAIN, 1 - _CERTAIN)
    odds: Array = np.log(kept / (1 - kept))
    return odds


def sigmoid(value: Array) -> Array:
    """Give the share of log odds."""
    share: Array = 1 / (1 + np.exp(-np.clip(value, -50, 50)))
    return share


def _spreads(tokens: Array, usual: Array, spread: Array) -> Array:
    known = np.isfinite(tokens)
    logs = np.log(np.maximum(np.where(known, tokens, 1.0), 1.0))
    far: Array = np.clip(np.where(known, (logs - usual) / spread, 0.0), -_FAR, _FAR)
    return far
