"""Chooses where the published policy stands, from the champions' out-of-fold predictions: training data only."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from msgspec import Struct, field

from fairlead import features
from fairlead.errors import EvidenceError, GateError, UsageError
from fairlead.evaluation import baselines, estimators, operating_point
from fairlead.evaluation.operating_point import OperatingPoint, Training
from fairlead.project import Project
from fairlead.publish import endpoints_in
from fairlead.training import logs, spec, tables
from fairlead.training.champions import champion_of
from fairlead.training.fit import FOLDS
from fairlead.training.frame import Frame, folds_of
from fairlead.training.predictor import TrainedHead, TrainedPredictor
from fairlead.training.registry import Registry

__all__ = ["Tuned", "tune"]

Array = np.ndarray[Any, Any]
GOALS: Final = ("status_quo", "best_single", "floor")


class Tuned(Struct, frozen=True, kw_only=True):
    """A policy, its parameters, why, and what the baselines stand on (by name, for the snapshot's lineage)."""

    policy: str
    parameters: dict[str, Any]
    reason: str
    baselines: dict[str, str] = field(default_factory=dict)
    point: OperatingPoint | None = None


def tune(project: Project, *, goal: str | None = None, floor: float | None = None) -> Tuned:
    """Choose the price of a dollar for the champions; GateError when there are none, EvidenceError without feedback.

    `status_quo` (default) keeps the quality that was logged at the least cost, `best_single` aims at the best single
    endpoint's, `floor` promises a share of it with 95 % confidence. Defaults come from `[tool.fairlead.policy]`.
    """
    settings = project.settings.get("policy", {})
    goal, share = goal or settings.get("goal", "status_quo"), floor or settings.get("floor_share", 0.99)
    if goal not in GOALS:
        raise UsageError(f"no goal named {goal!r}; there are {', '.join(GOALS)}")
    registry = Registry.of(project)
    champions = {name: champion_of(registry, name) for name in ("quality", "cost")}
    if not all(champions.values()):
        raise GateError("quality and cost have no champion yet; run `fairlead train`")
    quality, cost = (champion.predictor for champion in champions.values() if champion)
    frame = logs.frame_of(features.join(project, states=spec.tables_of(project.models))).aligned(quality)
    heads = {head.plan.name: head for predictor in (quality, cost) for head in predictor.heads}
    rows, predicted = _out_of_fold(frame, quality, heads, project)
    part = frame.take(rows)
    training = _training(part, predicted["quality"], predicted["cost_usd"])
    table = _training(part, *_tables(part))
    point, table_point = (_choose(one, part, goal, share) for one in (training, table))
    names = frame.endpoints
    best = names[point.best_single]
    stands = {
        "best_single": best,
        "all_cheap": names[baselines.cheapest(training.completed().outcome_cost_usd)],
        "category_table_usd_price": str(table_point.usd_price or 0.0),
    }
    if point.usd_price is None:
        return Tuned(policy="weighted", parameters={"weights": {best: 1.0}}, reason=point.reason, baselines=stands)
    return Tuned(
        policy="intelligent",
        parameters={"usd_price": point.usd_price},
        reason=point.reason,
        baselines=stands,
        point=point,
    )


def _choose(training: Training, frame: Frame, goal: str, floor: float) -> OperatingPoint:
    if goal == "status_quo":
        return operating_point.no_worse_than(training, frame.targets["quality"], frame.targets["cost_usd"])
    return (
        operating_point.no_worse(training) if goal == "best_single" else operating_point.at_floor(training, floor=floor)
    )


def _out_of_fold(
    frame: Frame, quality: TrainedPredictor, heads: dict[str, TrainedHead], project: Project
) -> tuple[Array, dict[str, Array]]:
    """Give the rows that every head predicted out of fold, and quality and expected dollars there: (n, K)."""
    wanted = ("quality", "input_tokens", "output_tokens")
    where = {name: {event: row for row, event in enumerate(heads[name].oof_ids)} for name in wanted}
    rows = np.array(
        [row for row, event in enumerate(frame.ids) if all(event in where[name] for name in wanted)], dtype=np.int64
    )
    if len(rows) < 2:
        raise EvidenceError("no request has both feedback and token counts; ingest feedback before publishing")
    at = {name: heads[name].oof[[where[name][event] for event in frame.ids[rows]]] for name in wanted}
    ends = endpoints_in(project, quality)
    usd = np.array([[e.input_usd, e.output_usd] for e in ends], dtype=np.float64)
    head = heads["output_tokens"]
    scale = head.scale[1 if head.serve == "forest" else 0]
    cost = at["input_tokens"] * usd[:, 0] + at["output_tokens"] * scale * usd[:, 1]
    return rows, {"quality": at["quality"].astype(np.float64), "cost_usd": cost.astype(np.float64)}


def _tables(frame: Frame) -> tuple[Array, Array]:
    """The category table's quality and dollars (n, K), each row from the other folds."""
    shape, fold = (frame.routes + 1, len(frame.endpoints)), folds_of(frame.group, FOLDS)
    quality, cost = (
        tables.crossfit_all(frame.targets[name], frame.route, frame.endpoint, shape, fold)
        for name in ("quality", "cost_usd")
    )
    return quality, cost


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
