"""A candidate and the champion on the same fresh requests: what both predict, and what both would choose."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import numpy as np
from msgspec import Struct

from fairlead import features
from fairlead.errors import EvidenceError
from fairlead.evaluation import estimators
from fairlead.evaluation.callers import clusters_of
from fairlead.evaluation.comparison import difference
from fairlead.evaluation.estimators import Logged
from fairlead.evaluation.intervals import Statistic, clustered, mean
from fairlead.evaluation.replay import Replay, replay
from fairlead.evaluation.slices import CALLERS
from fairlead.project import Project
from fairlead.scoring.policies import make
from fairlead.scoring.predict import Predictor
from fairlead.scoring.snapshot import Snapshot

__all__ = ["Case", "Side", "gather", "version_of"]

Array = np.ndarray[Any, Any]


class Side(Struct, frozen=True, kw_only=True):
    """One snapshot on n requests over the endpoints of both: what it predicts and how it chooses, (n, K).

    Endpoints that it does not have are NaN, and are never chosen.
    """

    snapshot: Snapshot
    quality: Array
    cost_usd: Array
    latency_s: Array
    chances: Array

    @property
    def shares(self) -> Array:
        """How much of the traffic each endpoint would get (K,)."""
        shares: Array = self.chances.mean(axis=0)
        return shares


class Case(Struct, frozen=True, kw_only=True):
    """Everything the gates look at. `champion` is None before the first; then the log itself is what to beat.

    `log` holds the fresh requests, which neither has learned from; `joined` all of them. `cluster` (n,) are codes of
    who asked, None where each request stands alone.
    """

    project: Project
    joined: features.Joined
    endpoints: tuple[str, ...]
    log: Replay
    candidate: Side
    champion: Side | None
    cluster: Array | None = None

    def usable(self, *metrics: str) -> Array:
        """Mark the requests (n,) whose propensity, endpoint and outcomes are known."""
        known = np.isfinite(self.log.propensity) & (self.log.propensity > 0) & (self.log.endpoint >= 0)
        for metric in metrics:
            known &= np.isfinite(self.log.outcomes[metric])
        return known

    def change(self, rows: Array, of: Callable[[dict[str, Array]], Array]) -> Statistic:
        """Give what changes with the candidate, doubly robust on the rows; `of` makes the metric of outcomes.

        Both policies are valued with one model of outcomes, the champion's, so that what they share cancels. Requests
        of one caller count as one, as far as there are 30 callers among the rows.
        """
        base = self.champion or self.candidate
        predicted = _filled(of({"quality": base.quality, "cost_usd": base.cost_usd, "latency_s": base.latency_s}))
        observed = of(self.log.outcomes)[rows]
        new = self._value(rows, self.candidate.chances, predicted, observed)
        old = mean("status_quo", observed)
        if self.champion is not None:
            old = self._value(rows, self.champion.chances, predicted, observed)
        found = difference(new, old)
        together = found if self.cluster is None else clustered(found, self.cluster[rows])
        return together if together.n >= CALLERS else found

    def weight(self, rows: Array) -> Array:
        """Give the candidate's weights on the rows: target over propensity."""
        own = self.candidate.chances[np.arange(len(self.log)), np.maximum(self.log.endpoint, 0)]
        weight: Array = own[rows] / self.log.propensity[rows]
        return weight

    def _value(self, rows: Array, chances: Array, predicted: Array, observed: Array) -> Statistic:
        at = np.arange(len(self.log)), np.maximum(self.log.endpoint, 0)
        log = Logged(
            reward=observed,
            propensity=self.log.propensity[rows],
            target=np.minimum(chances[at][rows], 1.0),
            predicted_logged=predicted[at][rows],
            predicted_target=(chances * predicted).sum(axis=1)[rows],
        )
        return estimators.doubly_robust(log)


def gather(project: Project, candidate: Snapshot, champion: Snapshot | None) -> Case:
    """Replay the requests that came after both were trained; EvidenceError when there are none."""
    both = [one for one in (candidate, champion) if one is not None]
    names = tuple(dict.fromkeys(name for one in reversed(both) for name in one.endpoints))
    joined = features.join(project, states=())
    log = replay(joined, names, max(_trained_until(one) for one in both))
    return Case(
        project=project,
        joined=joined,
        endpoints=names,
        log=log,
        candidate=_side(candidate, log, names),
        champion=None if champion is None else _side(champion, log, names),
        cluster=clusters_of(project, log)[1],
    )


def version_of(snapshot: Snapshot) -> str:
    """Give version and hash as decisions carry them."""
    return f"{snapshot.manifest.version}+{snapshot.sha256[:16]}"


def _trained_until(snapshot: Snapshot) -> datetime.datetime:
    told = snapshot.manifest.lineage.get("trained_until")
    if told is None:
        raise EvidenceError(
            f"snapshot {version_of(snapshot)} does not say until when it was trained, so no request is known to be "
            "fresh to it; publish it again"
        )
    return datetime.datetime.fromisoformat(told)


def _side(snapshot: Snapshot, log: Replay, names: tuple[str, ...]) -> Side:
    found = Predictor(snapshot).candidates(log.batch)
    chances = make(snapshot.manifest.policy, snapshot.manifest.parameters).probabilities(found)
    place = [names.index(name) for name in snapshot.endpoints]

    def over(values: Array, missing: float) -> Array:
        out = np.full((len(log), len(names)), missing)
        out[:, place] = values
        return out

    return Side(
        snapshot=snapshot,
        quality=over(found.quality, np.nan),
        cost_usd=over(found.cost_usd, np.nan),
        latency_s=over(found.latency_s, np.nan),
        chances=over(chances, 0.0),
    )


def _filled(predicted: Array) -> Array:
    """Any prediction keeps a doubly robust estimate right: an unknown one is as good as the mean of the known."""
    known = np.isfinite(predicted)
    return np.where(known, predicted, predicted[known].mean() if known.any() else 0.0)
