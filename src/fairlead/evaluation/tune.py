"""Chooses where the published policy stands, from the champions' out-of-fold predictions: training data only."""

from __future__ import annotations

from typing import Any

import numpy as np
from msgspec import Struct, field

from fairlead.errors import EvidenceError
from fairlead.evaluation import baselines, exploration, operating_point, optimise, settings
from fairlead.evaluation.confirm import Confirmation, confirm
from fairlead.evaluation.evidence import Evidence, split
from fairlead.evaluation.exploration import Priced
from fairlead.evaluation.goals import Goal, goal_of
from fairlead.evaluation.operating_point import OperatingPoint, Training
from fairlead.evaluation.optimise import Choice
from fairlead.evaluation.out_of_fold import OutOfFold, out_of_fold
from fairlead.project import Project
from fairlead.training.frame import Frame

__all__ = ["Tuned", "tune"]


class Tuned(Struct, frozen=True, kw_only=True):
    """A policy, its parameters, why, and what the baselines stand on (by name, for the snapshot's lineage).

    `point` is the operating point of an aim or a floor. A margin, a budget or a latency limit has a `choice`, made on
    the first days, and a `confirmation` by the later ones instead, of what is published, `explores` included.
    """

    policy: str
    parameters: dict[str, Any]
    reason: str
    goal: Goal = field(default_factory=Goal)
    baselines: dict[str, str] = field(default_factory=dict)
    point: OperatingPoint | None = None
    choice: Choice | None = None
    confirmation: Confirmation | None = None
    explores: Priced | None = None

    @property
    def lineage(self) -> dict[str, str]:
        """What the snapshot is to remember: the goal and how it fared, beside what the baselines stand on."""
        found = {"goal": self.goal.goal, "chosen_because": self.reason}
        if self.confirmation is not None:
            found["later_days"] = f"{self.confirmation.verdict}: {self.confirmation.reason}"
        return {**self.baselines, **found}


def tune(
    project: Project,
    *,
    goal: str | None = None,
    floor: float | None = None,
    frontier: bool = False,
    explore: float | None = None,
    **more: Any,
) -> Tuned:
    """Choose the policy's parameters for a goal; GateError without champions, EvidenceError without the evidence.

    `more` are the other keys of `goals.Goal`, such as `usd_per_1000`; what is not given comes from
    `[tool.fairlead.policy]`. A margin, a budget or a latency limit is chosen on the first 70 % of the training days and
    held against the later ones: EvidenceError where these show the promise to be broken, and where none can be made,
    with the nearest that can. `frontier` also writes `var/frontier.json`, see `settings.measure`. `explore` adds the
    cheapest exploration after which a week of such logs counts for so many requests of a neighbouring policy.
    """
    asked = goal_of(project.settings.get("policy", {}), goal=goal, floor_share=floor, **more)
    found = out_of_fold(project)
    if frontier:
        settings.write(project.var, settings.measure(found.evidence()))
    training, table = found.training(), found.table()
    names = found.frame.endpoints
    # The category table is a baseline of the judge, and stands where the same aim would put it.
    table_point = _point(table, found.frame, asked)
    chosen = _point(training, found.frame, asked)
    best = names[chosen.best_single]
    stands = {
        "best_single": best,
        "all_cheap": names[baselines.cheapest(training.completed().outcome_cost_usd)],
        "category_table_usd_price": str(table_point.usd_price or 0.0),
    }
    if asked.goal in ("margin", "budget", "latency"):
        return _promised(found, asked, stands, explore)
    if chosen.usd_price is None:
        weights = {"weights": {best: 1.0}}
        return Tuned(policy="weighted", parameters=weights, reason=chosen.reason, goal=asked, baselines=stands)
    parameters = {"usd_price": chosen.usd_price}
    explores = None if explore is None else _explores(found.evidence(), parameters, explore)
    return Tuned(
        policy="intelligent",
        parameters=explores.parameters if explores else parameters,
        reason=chosen.reason,
        goal=asked,
        baselines=stands,
        point=chosen,
        explores=explores,
    )


def _promised(found: OutOfFold, goal: Goal, stands: dict[str, str], explore: float | None) -> Tuned:
    first, later = split(found.evidence())
    choice = optimise.choose(first, goal)
    explores = None if explore is None else _explores(first, choice.parameters, explore)
    parameters = explores.parameters if explores else choice.parameters
    confirmation = confirm(later, goal, parameters)
    if confirmation.verdict == "broken":
        raise EvidenceError(
            f"what the first {len(first):,} requests promise, the {len(later):,} later ones show to be broken "
            f"({confirmation.reason}): traffic has changed; train on newer logs, or ask for less"
        )
    return Tuned(
        policy="intelligent",
        parameters=dict(parameters),
        reason=choice.reason,
        goal=goal,
        baselines=stands,
        choice=choice,
        confirmation=confirmation,
        explores=explores,
    )


def _explores(evidence: Evidence, parameters: dict[str, float], target_ess: float) -> Priced:
    days = max(float(np.ptp(evidence.time)) / 86400, 1e-6)
    some = evidence.thinned(exploration.ROWS)
    ways = exploration.priced(some, parameters, exploration.alternatives(some, parameters))
    return exploration.exploration_for(ways, target_ess, len(evidence) / days)


def _point(training: Training, frame: Frame, goal: Goal) -> OperatingPoint:
    if goal.goal == "best_single":
        return operating_point.no_worse(training)
    if goal.goal == "floor":
        return operating_point.at_floor(training, floor=goal.floor_share)
    return operating_point.no_worse_than(training, frame.targets["quality"], frame.targets["cost_usd"])
