"""What every policy is judged on: the requests of a log, what is predicted of them, and which outcomes can be used."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from msgspec import Struct

from fairlead.evaluation import simulate
from fairlead.evaluation.crossfit import crossfitted
from fairlead.evaluation.estimators import Logged
from fairlead.evaluation.intervals import Statistic, clustered, mean
from fairlead.evaluation.reached import Feedback
from fairlead.evaluation.replay import Replay
from fairlead.scoring.predict import Candidates

__all__ = ["METRICS", "Case", "case_of"]

Array = np.ndarray[Any, Any]
METRICS: Final = ("quality", "cost_usd", "latency_s", "failure")


class Case(Struct, frozen=True, kw_only=True):
    """The requests, what is predicted of them, and what the log says of its own choices.

    By metric: `usable` marks requests (n,) that the metric can be judged on, `model` is what is predicted of every
    endpoint (n, K), with nothing missing, and `fitted` the same with its errors on other requests of the log taken off.
    `route` (n,) are codes, NaN for none; `cluster` (n,) are codes of who asked, None where each request stands alone.
    """

    log: Replay
    predicted: Candidates
    truth: simulate.Truth | None
    feedback: Feedback
    route: Array
    usable: dict[str, Array]
    model: dict[str, Array]
    fitted: dict[str, Array]
    cluster: Array | None = None

    def logged(self, metric: str, chances: Array, rows: Array, *, fitted: bool = False) -> Logged:
        """Give a metric of a policy's choices (n, K) on some usable rows, as the estimators take it.

        Where labels come unevenly, a request without one is a choice that was not kept: its weight is 0, and a label
        weighs the inverse of its chance.
        """
        at = np.arange(len(self.log)), np.maximum(self.log.endpoint, 0)
        model = (self.fitted if fitted else self.model)[metric]
        reward, own, target = self.log.outcomes[metric], model[at], np.minimum(chances[at], 1.0)
        propensity = self.log.propensity
        if metric == "quality" and self.feedback.keep is not None:
            seen = np.isfinite(reward)
            reward, target = np.where(seen, reward, own), np.where(seen, target, 0.0)
            propensity = np.where(seen, propensity * self.feedback.keep, propensity)
        return Logged(
            reward=reward[rows],
            propensity=propensity[rows],
            target=target[rows],
            predicted_logged=own[rows],
            predicted_target=(chances * model).sum(axis=1)[rows],
        )

    def status_quo(self, metric: str, rows: Array) -> Statistic:
        """Give what the log had on some usable rows; labels that come unevenly stand for those that did not come."""
        reward = self.log.outcomes[metric]
        if metric != "quality" or self.feedback.keep is None:
            return self.grouped(mean("status_quo", reward[rows]), rows)
        own = self.model[metric][np.arange(len(self.log)), np.maximum(self.log.endpoint, 0)]
        seen = np.isfinite(reward)
        moved = own + np.where(seen, (np.where(seen, reward, own) - own) / np.where(seen, self.feedback.keep, 1), 0.0)
        return self.grouped(mean("status_quo", moved[rows]), rows)

    def grouped(self, statistic: Statistic, rows: Array) -> Statistic:
        """Give a statistic of some usable rows with the requests of one caller as one."""
        return statistic if self.cluster is None else clustered(statistic, self.cluster[rows])


def case_of(
    log: Replay,
    predicted: Candidates,
    truth: simulate.Truth | None,
    feedback: Feedback,
    route: Array,
    cluster: Array | None = None,
) -> Case:
    """Put a case together."""
    usable = {name: _usable(log, name, feedback) for name in METRICS}
    model = {name: _filled(_predicted(predicted, name)) for name in METRICS}
    weight = np.where(np.isfinite(log.propensity) & (log.propensity > 0), 1 / log.propensity, np.nan)
    fitted = {}
    for name in METRICS:
        seen = np.where(np.isfinite(weight) & (log.endpoint >= 0), log.outcomes[name], np.nan)
        fitted[name] = crossfitted(model[name], seen, np.maximum(log.endpoint, 0), route, log.group)
    return Case(
        log=log,
        predicted=predicted,
        truth=truth,
        feedback=feedback,
        route=route,
        usable=usable,
        model=model,
        fitted=fitted,
        cluster=cluster,
    )


def _usable(log: Replay, metric: str, feedback: Feedback) -> Array:
    known: Array = np.isfinite(log.propensity) & (log.propensity > 0) & (log.endpoint >= 0)
    if metric == "quality":
        known = known & feedback.old
        if feedback.keep is not None:
            return known
    return known & np.isfinite(log.outcomes[metric])


def _predicted(predicted: Candidates, metric: str) -> Array:
    if metric == "failure":
        return np.full(predicted.quality.shape, np.nan) if predicted.failure is None else predicted.failure
    found: Array = getattr(predicted, metric)
    return found


def _filled(predicted: Array) -> Array:
    """Any prediction keeps the doubly robust estimate valid: an unknown one is as good as the mean of the known."""
    known = np.isfinite(predicted)
    return np.where(known, predicted, float(predicted[known].mean()) if known.any() else 0.0)
