"""One simulated log, request by request: what was asked, and each try of it."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from operator import itemgetter
from typing import Final

import numpy as np

from fairlead.evaluation.simulate.calls import Asked, Call, identifier
from fairlead.evaluation.simulate.failures import FAILURES, Attempts
from fairlead.evaluation.simulate.timeline import Timeline
from fairlead.evaluation.simulate.world import Floats, Integers, World

__all__ = ["Run", "requests"]

_TEAMS: Final = ("support", "search", "finance", "platform", "research")
_CALLERS: Final = 400
_STREAMED: Final = 0.6


@dataclass(frozen=True, slots=True)
class Run:
    """One simulated log: the world, what was chosen with which probability, and what came of it."""

    key: str  # sets the identifiers of this run apart from those of another
    policy: str
    world: World
    chances: Floats
    chosen: Integers
    attempts: Attempts
    timeline: Timeline
    request_ids: list[str]


def requests(run: Run, rng: np.random.Generator) -> Iterator[tuple[Asked, list[Call]]]:
    """Give each request with its tries, in order."""
    streamed = (rng.random(len(run.world)) < _STREAMED).tolist()
    callers = rng.integers(0, _CALLERS, len(run.world)).tolist()
    explored = (run.chosen != run.chances.argmax(axis=1)).tolist()
    tries = zip(*(getattr(run.attempts, name).tolist() for name in Attempts.__slots__), strict=True)
    priced, cost = run.timeline.priced, run.world.cost_usd
    for row, mine in itertools.groupby(tries, key=itemgetter(0)):
        asked, calls = _asked(run, row, callers[row], explored[row], streamed[row]), []
        for _, number, place, start_us, took, ttft, failure in mine:
            answered = failure < 0
            end = (start_us + round(took * 1e6)) / 1e6
            call = Call(
                id=identifier(run.key, "call", row, number),
                number=number,
                endpoint=priced(place, start_us),
                start=start_us / 1e6,
                first=(start_us + round(ttft * 1e6)) / 1e6 if answered and asked.stream else end,
                end=end,
                tokens_in=int(run.world.tokens_in[row, place]) if answered else 0,
                tokens_out=int(run.world.tokens_out[row, place]) if answered else 0,
                cost_usd=float(cost[row, place]),
                failure=None if answered else FAILURES[failure],
            )
            calls.append(call)
        yield asked, calls


def _asked(run: Run, row: int, caller: int, is_exploration: bool, stream: bool) -> Asked:
    team = _TEAMS[caller * caller % len(_TEAMS)]  # squares are uneven, as teams are
    chances, there = run.chances[row].tolist(), run.timeline.there[row].tolist()
    return Asked(
        trace_id=run.request_ids[row],
        route=run.world.dataset[row],
        messages=[{"role": "user", "content": run.world.prompt[row]}],
        decision={
            "decision_id": identifier(run.key, "decision", row),
            "propensity": chances[run.chosen[row]],
            "policy_id": f"simulated-{run.policy}",
            "policy_version": "1",
            "is_exploration": is_exploration,
            "candidates": [
                {"arm": one.name, "propensity": chance}
                for one, chance, can in zip(run.world.endpoints, chances, there, strict=True)
                if can
            ],
        },
        team=team,
        user=f"user-{caller // 10:02d}",
        end_user=f"end-user-{caller:03d}",
        key_hash=hashlib.sha256(f"simulated key of {team}".encode()).hexdigest(),
        stream=stream,
    )
