"""What the champions say of the requests they were trained on, each from folds that had not seen its prompt."""

from __future__ import annotations

from typing import Any

import numpy as np
from msgspec import Struct

from fairlead import features
from fairlead.errors import EvidenceError, GateError
from fairlead.evaluation import estimators
from fairlead.evaluation.evidence import Evidence
from fairlead.evaluation.operating_point import Training
from fairlead.project import Project
from fairlead.publish import endpoints_in
from fairlead.scoring.predict import Candidates
from fairlead.training import logs, spec, tables
from fairlead.training.champions import champion_of
from fairlead.training.fit import FOLDS
from fairlead.training.frame import Frame, folds_of
from fairlead.training.predictor import TrainedHead, TrainedPredictor
from fairlead.training.registry import Registry

__all__ = ["OutOfFold", "out_of_fold"]

Array = np.ndarray[Any, Any]
_WANTED = ("quality", "input_tokens", "output_tokens")
_TIMES = ("latency_s", "latency_p90_s")


class OutOfFold(Struct, frozen=True, kw_only=True, eq=False):
    """Rows that quality and tokens were predicted for out of fold, and predictions (n, K); NaN = not known."""

    frame: Frame
    quality: Array
    quality_low: Array
    cost_usd: Array
    latency_s: Array
    latency_p90_s: Array

    def training(self) -> Training:
        """Put predictions beside what came of them."""
        return _training(self.frame, self.quality, self.cost_usd)

    def table(self) -> Training:
        """Give the same for the category table, each row from the other folds."""
        frame = self.frame
        shape, fold = (frame.routes + 1, len(frame.endpoints)), folds_of(frame.group, FOLDS)
        return _training(
            frame,
            *(
                tables.crossfit_all(frame.targets[name], frame.route, frame.endpoint, shape, fold)
                for name in ("quality", "cost_usd")
            ),
        )

    def evidence(self) -> Evidence:
        """Give what goals are chosen from and confirmed on, in the order of time."""
        frame, known = self.frame, self.training().completed()
        seen = np.isfinite(known.outcome_quality) & np.isfinite(known.outcome_cost_usd)
        latency = np.full(self.quality.shape, np.nan)
        latency[np.arange(len(frame)), frame.endpoint] = frame.targets["duration_s"]
        candidates = Candidates(
            endpoints=frame.endpoints,
            quality=known.quality,
            quality_low=self.quality_low,
            cost_usd=known.cost_usd,
            cost_p90_usd=known.cost_usd,
            latency_s=self.latency_s,
            latency_p90_s=self.latency_p90_s,
            eligible=seen,  # what nobody saw cannot be valued, so it may not be chosen
        )
        rows = np.flatnonzero(seen.any(axis=1))
        found = Evidence(
            candidates=candidates,
            quality=known.outcome_quality,
            cost_usd=known.outcome_cost_usd,
            latency_s=latency,
            time=frame.time,
            logged_quality=_observed(frame, "quality"),
            logged_cost_usd=_observed(frame, "cost_usd"),
            action=frame.endpoint,
            propensity=frame.propensity,
            ids=frame.ids,
        )
        return found.take(rows[np.argsort(frame.time[rows], kind="stable")])


def out_of_fold(project: Project) -> OutOfFold:
    """Read the champions' predictions; GateError when there are none, EvidenceError without feedback."""
    registry = Registry.of(project)
    champions = {name: champion_of(registry, name) for name in ("quality", "cost", "latency")}
    if not (champions["quality"] and champions["cost"]):
        raise GateError("quality and cost have no champion yet; run `fairlead train`")
    predictors = {name: champion.predictor for name, champion in champions.items() if champion}
    quality = predictors["quality"]
    frame = logs.frame_of(features.join(project, states=spec.tables_of(project.models))).aligned(quality)
    heads = {head.plan.name: head for predictor in predictors.values() for head in predictor.heads}
    where = {name: {event: row for row, event in enumerate(heads[name].oof_ids)} for name in _WANTED}
    rows = np.array(
        [row for row, event in enumerate(frame.ids) if all(event in where[name] for name in _WANTED)], dtype=np.int64
    )
    if len(rows) < 2:
        raise EvidenceError("no request has both feedback and token counts; ingest feedback before publishing")
    at = {name: _said(heads[name], frame.ids[rows], len(frame.endpoints)) for name in _WANTED}
    usd = np.array([[e.input_usd, e.output_usd] for e in endpoints_in(project, quality)], dtype=np.float64)
    head = heads["output_tokens"]
    scale = head.scale[1 if head.serve == "forest" else 0]
    # A latency predictor of other endpoints than the quality's says nothing of these.
    same = "latency" in predictors and predictors["latency"].signature == quality.signature
    times = [_said(heads.get(name) if same else None, frame.ids[rows], len(frame.endpoints)) for name in _TIMES]
    return OutOfFold(
        frame=frame.take(rows),
        quality=at["quality"],
        quality_low=_low(quality, at["quality"]),
        cost_usd=at["input_tokens"] * usd[:, 0] + at["output_tokens"] * scale * usd[:, 1],
        latency_s=times[0],
        latency_p90_s=times[1],
    )


def _said(head: TrainedHead | None, ids: Array, endpoints: int) -> Array:
    """A head's out-of-fold predictions of these events; NaN where it has none."""
    out = np.full((len(ids), endpoints), np.nan)
    if head is not None and len(head.oof):
        where = {event: row for row, event in enumerate(head.oof_ids)}
        found = np.array([where.get(event, -1) for event in ids], dtype=np.int64)
        out[found >= 0] = head.oof[found[found >= 0]]
    return out


def _low(predictor: TrainedPredictor, quality: Array) -> Array:
    """The lower bound of quality, as a snapshot serves it."""
    if predictor.margins is None or predictor.margin_edges is None:
        return np.zeros(quality.shape)
    place = np.searchsorted(predictor.margin_edges, quality)
    low: Array = np.clip(quality - predictor.margins[np.arange(quality.shape[1]), place], 0, 1)
    return low


def _observed(frame: Frame, name: str) -> Array:
    """What was logged; a request whose outcome was not seen is taken to be like the others."""
    values = frame.targets[name]
    return np.where(np.isfinite(values), values, np.nanmean(values))


def _training(frame: Frame, quality: Array, cost: Array) -> Training:
    """Put predictions beside outcomes: doubly robust where the log has propensities, as observed where it has not."""
    outcomes = []
    for name, predicted in (("quality", quality), ("cost_usd", cost)):
        reward, chance = frame.targets[name], frame.propensity
        seen = np.full(quality.shape, np.nan)
        seen[np.arange(len(frame)), frame.endpoint] = reward
        usable = np.isfinite(reward) & np.isfinite(chance)
        if usable.any():
            base = np.nan_to_num(predicted[usable], nan=0.0)
            seen[usable] = estimators.pseudo_outcomes(reward[usable], frame.endpoint[usable], chance[usable], base)
            seen[usable] = np.where(np.isfinite(predicted[usable]), seen[usable], np.nan)
        outcomes.append(seen)
    return Training(quality=quality, cost_usd=cost, outcome_quality=outcomes[0], outcome_cost_usd=outcomes[1])
