"""Learns a cascade's stopping rule from requests that several endpoints have answered."""

from __future__ import annotations

from itertools import combinations
from typing import Any, Final

import numpy as np
from msgspec import Struct

from fairlead.errors import ModelError
from fairlead.scoring.cascade.rule import Seen, Stage, StoppingRule, logit, sigmoid, signals

__all__ = ["Evidence", "crossfit", "fit_rule"]

Array = np.ndarray[Any, Any]
_STRENGTH: Final = 5.0  # answers that an endpoint's usual length counts for in each route's
_PULLS: Final = (
    1.0,
    10.0,
    100.0,
    1000.0,
)  # how hard weights are held to "the answers say nothing"; chosen on a held part
_NEAR: Final = 10.0  # how much harder the curves of endpoints that were not asked are held to their common one
_LEAST: Final = 50
_DRAWS: Final = 32


class Evidence(Struct, frozen=True, kw_only=True):
    """Requests with what was predicted before the answers and what came: arrays (n, K), NaN where not known.

    `quality` is predicted out of fold, `outcome` is what came of it (0 to 1). `digests` are codes of what the answers
    say, -1 where not known. `route` (n,) are codes into `routes`, NaN for none.
    """

    endpoints: tuple[str, ...]
    routes: tuple[str, ...]
    route: Array
    quality: Array
    outcome: Array
    tokens: Array
    unreadable: Array
    cut: Array
    digests: Array

    def __len__(self) -> int:
        return len(self.route)

    def take(self, rows: Array) -> Evidence:
        """Give some of the requests."""
        names = [name for name in self.__struct_fields__ if name not in ("endpoints", "routes")]
        return Evidence(endpoints=self.endpoints, routes=self.routes, **{n: getattr(self, n)[rows] for n in names})

    def seen(self, asked: list[int]) -> Seen:
        """Give what is known once the endpoints `asked` have answered, and no more."""
        hidden = ~np.isin(np.arange(len(self.endpoints)), asked)
        tokens, unreadable, cut = (np.where(hidden, np.nan, v) for v in (self.tokens, self.unreadable, self.cut))
        agreed = np.full(len(self), np.nan)
        if len(asked) == 2:
            one, two = (self.digests[:, k] for k in asked)
            agreed = np.where((one >= 0) & (two >= 0), one == two, np.nan)
        return Seen(tokens=tokens, unreadable=unreadable, cut=cut, agreed=agreed)


def fit_rule(evidence: Evidence, probes: tuple[str, ...], *, seed: int = 0) -> StoppingRule:
    """Fit the curves of every stage that one or two probes make: each alone, and both.

    Logistic regressions, maximum a posteriori with a normal prior around "the prediction holds"; how tight the prior
    is, is chosen by log loss on a held part. ModelError when there is too little to learn from.
    """
    if not 1 <= len(probes) <= 2 or len(set(probes)) != len(probes) or not set(probes) <= set(evidence.endpoints):
        raise ModelError(f"a cascade needs one or two probes of {', '.join(evidence.endpoints)}; got {probes}")
    if int(np.isfinite(evidence.outcome).all(axis=1).sum()) < _LEAST:
        raise ModelError(
            f"{int(np.isfinite(evidence.outcome).all(axis=1).sum())} requests have every endpoint's quality, {_LEAST} "
            "are needed to learn a cascade"
        )
    typical, spread = _usual(evidence)
    empty = StoppingRule(
        endpoints=evidence.endpoints,
        routes=evidence.routes,
        typical=typical.tolist(),
        spread=spread.tolist(),
        stages=(),
    )
    sets = [asked for size in range(1, len(probes) + 1) for asked in combinations(probes, size)]
    stages = tuple(_stage(evidence, empty, asked, seed) for asked in sets)
    return StoppingRule(**{**{name: getattr(empty, name) for name in empty.__struct_fields__}, "stages": stages})


def crossfit(evidence: Evidence, probes: tuple[str, ...], fold: Array) -> list[StoppingRule]:
    """Fit a rule for each fold on the others, so that no request is judged by a rule that knows how it ended."""
    return [fit_rule(evidence.take(np.flatnonzero(fold != part)), probes) for part in range(int(fold.max()) + 1)]


def _usual(evidence: Evidence) -> tuple[Array, Array]:
    """Mean log tokens of each route and endpoint, shrunk to the endpoint's, and how far answers stray from it."""
    logs = np.log(np.maximum(evidence.tokens, 1.0))
    known = np.isfinite(logs)
    count = known.sum(axis=0)
    overall = np.where(known, logs, 0.0).sum(axis=0) / np.maximum(count, 1)
    typical = np.tile(overall, (len(evidence.routes) + 1, 1))
    for code in range(len(evidence.routes)):
        mine = known & (evidence.route == code)[:, None]
        total = np.where(mine, logs, 0.0).sum(axis=0)
        typical[code] = (total + _STRENGTH * overall) / (mine.sum(axis=0) + _STRENGTH)
    row = np.where(np.isfinite(evidence.route), evidence.route, len(typical) - 1).astype(np.int64)
    stray = np.where(known, logs - typical[row], 0.0)
    return typical, np.maximum(np.sqrt((stray**2).sum(axis=0) / np.maximum(count, 1)), 0.05)


def _stage(evidence: Evidence, rule: StoppingRule, asked: tuple[str, ...], seed: int) -> Stage:
    places = [rule.endpoints.index(name) for name in asked]
    seen = evidence.seen(places)
    lengths = rule.lengths(seen.tokens, evidence.route)
    reads = [signals(evidence.quality, lengths, seen, places, k) for k in range(len(rule.endpoints))]
    held = np.random.default_rng(seed).random(len(evidence)) < 0.3
    own = [k in places for k in range(len(reads))]
    losses = [_loss(evidence.outcome, reads, own, pull, held) for pull in _PULLS]
    weights = np.array(_weights(evidence.outcome, reads, own, _PULLS[int(np.argmin(losses))]))
    after = np.stack([x @ w for x, w in zip(reads, weights, strict=True)], axis=1)
    shifts = after - logit(evidence.quality)
    drawn = np.random.default_rng(seed).choice(len(evidence), min(_DRAWS, len(evidence)), replace=False)
    return Stage(asked=asked, weights=weights.tolist(), shifts=shifts[np.sort(drawn)].tolist())


def _loss(outcome: Array, reads: list[Array], own: list[bool], pull: float, held: Array) -> float:
    total = 0.0
    for k, w in enumerate(_weights(outcome[~held], [x[~held] for x in reads], own, pull)):
        known = held & np.isfinite(outcome[:, k])
        share, y = np.clip(sigmoid(reads[k][known] @ w), 1e-6, 1 - 1e-6), outcome[known, k]
        total -= float((y * np.log(share) + (1 - y) * np.log(1 - share)).sum())
    return total


def _weights(outcome: Array, reads: list[Array], own: list[bool], pull: float) -> list[Array]:
    """Fit each endpoint's curve. What answers say of endpoints that were not asked is one lesson for all of them.

    A curve each would be noisier, and the best of many noisy ones is chosen too often: probing would look better
    than it is (the optimiser's curse). So these stay near the curve that is fitted to all of them together.
    """
    start = np.zeros(reads[0].shape[1])
    start[1] = 1.0
    apart = [k for k, asked in enumerate(own) if not asked]
    together = start
    if apart:
        rows, values = np.concatenate([reads[k] for k in apart]), np.concatenate([outcome[:, k] for k in apart])
        together = _fit(rows, values, pull, start)
    return [
        _fit(x, outcome[:, k], pull, start) if asked else _fit(x, outcome[:, k], _NEAR * pull, together)
        for k, (x, asked) in enumerate(zip(reads, own, strict=True))
    ]


def _fit(x: Array, y: Array, pull: float, start: Array) -> Array:
    """Newton's method on the log loss with a normal prior around `start`."""
    known = np.isfinite(y)
    x, y = x[known], y[known]
    weights = start.copy()
    for _ in range(25):
        share = sigmoid(x @ weights)
        slope = x.T @ (share - y) + pull * (weights - start)
        bend = (x * (share * (1 - share))[:, None]).T @ x + pull * np.eye(len(weights))
        step = np.linalg.solve(bend, slope)
        weights = weights - step / max(1.0, float(np.abs(step).max()) / 2)  # never so far that it swings
        if float(np.abs(step).max()) < 1e-5:
            break
    return weights
