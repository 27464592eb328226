"""One simulated log as records: a LiteLLM payload for each try, a score for each answered request."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np

from fairlead.evaluation.simulate.failures import FAILURES, Attempts
from fairlead.evaluation.simulate.payload import Asked, Call, payload
from fairlead.evaluation.simulate.world import Floats, Integers, World

__all__ = ["FEEDBACK_MAPPING", "Run", "feedback", "identifier", "records"]

_TEAMS: Final = ("support", "search", "finance", "platform", "research")
_CALLERS: Final = 400
_STREAMED: Final = 0.6
_SCORED_AFTER_H: Final = 2.0  # median hours until an answer's score is known
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
FEEDBACK_MAPPING: Final = """\
# How feedback.jsonl is read: an evaluator scored the final answer of each request, some time later.
table = "feedback"
source = "evals"

[columns]
feedback_id = "id"
target_id = "request_id"
time = "scored_at"
score_value = "score"
score_normalized = "score"

[constants]
target_kind = "request"
name = "quality"
value_type = "numeric"
scale_min = 0.0
scale_max = 1.0
evaluator_kind = "code"
evaluator_id = "final-answer-check"
"""


@dataclass(frozen=True, slots=True)
class Run:
    """One simulated log: the world, what was chosen with which probability, and what came of it."""

    key: str  # sets the identifiers of this run apart from those of another
    policy: str
    world: World
    chances: Floats
    chosen: Integers
    attempts: Attempts
    request_ids: list[str]


def identifier(*parts: object) -> str:
    """Give an identifier in the form of a UUID that depends on nothing but its parts.

    >>> identifier("a", 1)
    'b4feb303-ba68-481f-a514-0f67114e15e6'
    """
    digits = hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=16).hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def records(run: Run, rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    """Give one payload a try, in order of request and try."""
    streamed = (rng.random(len(run.world)) < _STREAMED).tolist()
    callers = rng.integers(0, _CALLERS, len(run.world)).tolist()
    explored = (run.chosen != run.chances.argmax(axis=1)).tolist()
    tries = zip(*(getattr(run.attempts, name).tolist() for name in Attempts.__slots__), strict=True)
    last = -1
    for row, number, place, start_us, took, ttft, failure in tries:
        if row != last:
            last, asked = row, _asked(run, row, callers[row], explored[row], streamed[row])
        answered = failure < 0
        end = (start_us + round(took * 1e6)) / 1e6
        call = Call(
            id=identifier(run.key, "call", row, number),
            number=number,
            endpoint=run.world.endpoints[place],
            start=start_us / 1e6,
            first=(start_us + round(ttft * 1e6)) / 1e6 if answered and asked.stream else end,
            end=end,
            tokens_in=int(run.world.tokens_in[row, place]) if answered else 0,
            tokens_out=int(run.world.tokens_out[row, place]) if answered else 0,
            cost_usd=float(run.world.cost_usd[row, place]),
            failure=None if answered else FAILURES[failure],
        )
        yield payload(asked, call)


def feedback(run: Run, rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    """Give the score of each request that was answered, minutes to days after the answer."""
    attempts = run.attempts
    answered = np.flatnonzero(attempts.failure < 0)
    delay_s = np.clip(3600 * _SCORED_AFTER_H * np.exp(1.5 * rng.standard_normal(len(answered))), 60, 6 * 86400)
    end_us = attempts.start_us[answered] + np.rint((attempts.duration_s[answered] + delay_s) * 1e6).astype(np.int64)
    rows = attempts.request[answered]
    score = run.world.quality[rows, attempts.endpoint[answered]]
    for row, moment, value in zip(rows.tolist(), end_us.tolist(), score.tolist(), strict=True):
        scored_at = _EPOCH + timedelta(microseconds=moment)
        yield {
            "id": identifier(run.key, "score", row),
            "request_id": run.request_ids[row],
            "scored_at": scored_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "score": value,
        }


def _asked(run: Run, row: int, caller: int, is_exploration: bool, stream: bool) -> Asked:
    team = _TEAMS[caller * caller % len(_TEAMS)]  # squares are uneven, as teams are
    chances = run.chances[row].tolist()
    return Asked(
        trace_id=run.request_ids[row],
        tags=["prod", f"route:{run.world.dataset[row]}"],
        messages=[{"role": "user", "content": run.world.prompt[row]}],
        decision={
            "decision_id": identifier(run.key, "decision", row),
            "propensity": chances[run.chosen[row]],
            "policy_id": f"simulated-{run.policy}",
            "policy_version": "1",
            "is_exploration": is_exploration,
            "candidates": [
                {"arm": one.name, "propensity": chance}
                for one, chance in zip(run.world.endpoints, chances, strict=True)
            ],
        },
        team=team,
        user=f"user-{caller // 10:02d}",
        end_user=f"end-user-{caller:03d}",
        key_hash=hashlib.sha256(f"simulated key of {team}".encode()).hexdigest(),
        stream=stream,
    )
