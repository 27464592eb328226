"""What is said of the answers later: late, not of all, more often by the unhappy; a judge that errs; votes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
from msgspec import Struct

from fairlead.errors import UsageError
from fairlead.evaluation.simulate.calls import identifier
from fairlead.evaluation.simulate.records import Run
from fairlead.evaluation.simulate.world import Floats, Integers

__all__ = ["FEEDBACK_MAPPING", "JUDGE_MAPPING", "VOTES_MAPPING", "Opinions", "feedback", "judged", "votes"]

_SPREAD: Final = 1.5  # of log hours
_LEAST_S, _MOST_S = 60.0, 30 * 86400.0
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_WINS: Final = 0.9  # how often the better of two unequal answers wins a vote
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
JUDGE_MAPPING: Final = (
    FEEDBACK_MAPPING.replace("feedback.jsonl is read: an evaluator", "judge.jsonl is read: a language model that errs")
    .replace('source = "evals"', 'source = "judge"')
    .replace('"code"', '"llm"')
    .replace("final-answer-check", "simulated-judge")
)
VOTES_MAPPING: Final = """\
# How votes.jsonl is read: a person compared the answer with another endpoint's, which was not served.
table = "feedback"
source = "votes"

[columns]
feedback_id = "id"
target_id = "request_id"
other_target_id = "other_id"
time = "voted_at"
score_label = "outcome"
"tags.endpoint" = "endpoint"
"tags.other_endpoint" = "other_endpoint"

[constants]
target_kind = "request"
name = "vote"
value_type = "preference"
evaluator_kind = "human"
"""


class Opinions(Struct, frozen=True, kw_only=True):
    """How much is said of the answers, how late, and by whom.

    `bias` moves the log-odds that an answer is scored by `bias * (0.5 - score)`: with 2, a bad one has e²
    times the odds of a good one. `judge_noise` is the standard deviation of a judge's error, on the
    scale from 0 to 1; None for none.
    """

    share: float = 1.0
    delay_h: float = 2.0  # at the median; log-normal
    bias: float = 0.0
    judge_noise: float | None = None
    judge_share: float = 0.5
    votes: float = 0.0

    def check(self) -> None:
        """Refuse what cannot be."""
        for name, value in (("feedback share", self.share), ("judge share", self.judge_share), ("votes", self.votes)):
            if not 0 <= value <= 1:
                raise UsageError(f"{name} is {value:g}; it is a share, from 0 to 1")
        for name, low in (("delay_h", 0.0), ("bias", -math.inf), ("judge_noise", 0.0)):
            found = getattr(self, name)
            if found is not None and not (math.isfinite(found) and found >= low):
                raise UsageError(f"feedback: {name} is {found:g}; give a number{' of 0 or more' if not low else ''}")

    def chance(self, quality: Floats) -> Floats:
        """Give the probability that an answer of this quality is scored.

        >>> Opinions(share=0.5, bias=2.0).chance(np.array([0.0, 0.5, 1.0])).round(3).tolist()
        [0.731, 0.5, 0.269]
        """
        if self.share in (0, 1) or not self.bias:
            return np.where(np.isfinite(quality), self.share, np.nan)
        odds = math.log(self.share / (1 - self.share)) + self.bias * (0.5 - quality)
        return np.asarray(1 / (1 + np.exp(-odds)), dtype=np.float64)


def feedback(run: Run, said: Opinions, rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    """Give the trusted scores, minutes to days after the answers."""
    answered, score = _answered(run)
    when = _when(run, answered, said, rng)
    given = np.flatnonzero(rng.random(len(answered)) < said.chance(score))
    rows = run.attempts.request[answered]
    for row, moment, value in zip(rows[given].tolist(), when[given].tolist(), score[given].tolist(), strict=True):
        yield _scored(run, "score", row, moment, value)


def judged(run: Run, said: Opinions, rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    """Give a judge's scores: the true ones and an error, kept on the scale from 0 to 1."""
    answered, score = _answered(run)
    when = _when(run, answered, said, rng)
    seen = np.clip(score + (said.judge_noise or 0.0) * rng.standard_normal(len(score)), 0, 1).round(4)
    given = np.flatnonzero(rng.random(len(answered)) < said.judge_share)
    rows = run.attempts.request[answered]
    for row, moment, value in zip(rows[given].tolist(), when[given].tolist(), seen[given].tolist(), strict=True):
        yield _scored(run, "judge", row, moment, value)


def votes(run: Run, said: Opinions, rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    """Give votes between the answer that was served and what another endpoint would have answered."""
    answered, score = _answered(run)
    when = _when(run, answered, said, rng)
    rows, served = run.attempts.request[answered], run.attempts.endpoint[answered]
    names = [one.name for one in run.world.endpoints]
    step = rng.integers(1, max(len(names), 2), len(rows))
    other = (served + step) % len(names)
    margin = score - run.world.quality[rows, other]
    won = (rng.random(len(rows)) < _WINS) == (margin > 0)
    outcome = np.where(margin == 0, "tie", np.where(won, "win", "loss"))
    given = (rng.random(len(rows)) < said.votes) & run.timeline.there[rows, other] & (other != served)
    for place in np.flatnonzero(given).tolist():
        row, rival = int(rows[place]), names[other[place]]
        yield {
            "id": identifier(run.key, "vote", row),
            "request_id": run.request_ids[row],
            "other_id": f"{run.request_ids[row]}@{rival}",
            "voted_at": _iso(int(when[place])),
            "outcome": str(outcome[place]),
            "endpoint": names[served[place]],
            "other_endpoint": rival,
        }


def _answered(run: Run) -> tuple[Integers, Floats]:
    """Give the places of the attempts that answered, and the quality of their answers."""
    answered = np.flatnonzero(run.attempts.failure < 0)
    return answered, run.world.quality[run.attempts.request[answered], run.attempts.endpoint[answered]]


def _when(run: Run, answered: Integers, said: Opinions, rng: np.random.Generator) -> Integers:
    waited = 3600 * said.delay_h * np.exp(_SPREAD * rng.standard_normal(len(answered)))
    took = run.attempts.duration_s[answered] + np.clip(waited, _LEAST_S, _MOST_S)
    return run.attempts.start_us[answered] + np.rint(took * 1e6).astype(np.int64)


def _scored(run: Run, what: str, row: int, moment: int, value: float) -> dict[str, Any]:
    return {
        "id": identifier(run.key, what, row),
        "request_id": run.request_ids[row],
        "scored_at": _iso(moment),
        "score": value,
    }


def _iso(moment_us: int) -> str:
    return (_EPOCH + timedelta(microseconds=moment_us)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
