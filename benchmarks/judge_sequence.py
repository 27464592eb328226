"""An interval looked at every day for sixty days: how often is it wrong on some day, and how soon does it see a change?

    python benchmarks/judge_sequence.py ROUTING_FOLDER [--runs 400] [--days 60] [--a-day 300] [--keep FOLDER]

Worlds and loggers are those of judge_coverage.py. Each run draws a log day by day and values a policy doubly robustly
each evening, once with the always-valid sequence and once with an ordinary 95 % interval on all days so far. `wrong` is
the share of runs in which the truth was outside on some evening on which the verdict let an interval be shown. Then the
quality of every answer falls by some points on day 20, and the sequence of the daily difference to the first 20 days'
own truth says when it is sure.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from judge_worlds import LOGGERS, World, logger, of_matrix, synthetic

from fairlead.evaluation import estimators, overlap
from fairlead.evaluation.estimators import Logged
from fairlead.evaluation.intervals import mean
from fairlead.evaluation.sequence import Sequence

SETS = ("zeroeval", "mmlu_pro_chat", "bfcl_2024_07")


def day_of(world: World, chances: np.ndarray, policy: np.ndarray, n: int, rng: np.random.Generator, fall: float = 0.0):
    """Give a day's weights and doubly robust contributions."""
    at = rng.integers(0, len(world.quality), n)
    action = np.minimum((rng.random(n)[:, None] > chances[at].cumsum(axis=1)).sum(axis=1), chances.shape[1] - 1)
    reward = world.quality[at, action] * (rng.random(n) >= fall)
    log = Logged(
        reward=reward,
        propensity=chances[at, action],
        target=policy[at, action],
        predicted_logged=world.said_quality[at, action],
        predicted_target=(policy[at] * world.said_quality[at]).sum(axis=1),
    )
    return log.weight, estimators.contributions("doubly_robust", log)


def main() -> None:
    """Print the share of runs that are wrong on some day, and the days until a fall is seen."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--runs", type=int, default=400)
    arguments.add_argument("--days", type=int, default=60)
    arguments.add_argument("--a-day", type=int, default=300)
    arguments.add_argument("--keep", type=Path)
    given = arguments.parse_args()
    keep = given.keep or Path(tempfile.mkdtemp())
    worlds = [*(of_matrix(given.folder, name, keep) for name in SETS), synthetic()]
    wrong = {"sequence": 0, "ordinary": 0}
    last: dict[str, list[float]] = {"sequence": [], "ordinary": []}
    shown = 0
    for run in range(given.runs):
        rng = np.random.default_rng([13, run])
        world, kind = worlds[run % 4], LOGGERS[(run // 4) % 4]
        policy = world.policies[("greedy 0.3", "soft", "best single", "category table")[(run // 16) % 4]]
        chances, truth = logger(world, kind), float((policy * world.quality).sum(axis=1).mean())
        state = Sequence(expected=given.days * given.a_day)
        weights, values = np.zeros(0), np.zeros(0)
        bad = {"sequence": False, "ordinary": False}
        seen = False
        for _ in range(given.days):
            weight, value = day_of(world, chances, policy, given.a_day, rng)
            state = state.add(value)
            weights, values = np.append(weights, weight), np.append(values, value)
            if not overlap.verdict(weights).can_tell:
                continue
            seen = True
            ordinary = mean("quality", values).estimate()
            bounds = {"sequence": state.interval(), "ordinary": (ordinary.low, ordinary.high)}
            for name, (low, high) in bounds.items():
                bad[name] |= not low <= truth <= high
        if seen:
            shown += 1
            for name, (low, high) in bounds.items():
                wrong[name] += bad[name]
                last[name].append(high - low)
    for name, count in wrong.items():
        width = float(np.median(last[name]))
        print(
            f"{name:<9} wrong on some of {given.days} days: {count / shown:.1%} of {shown} runs; "
            f"width at the end {width:.3f}"
        )
    for points in (0.02, 0.05, 0.10):
        found = []
        for run in range(given.runs // 4):
            rng = np.random.default_rng([17, run])
            world = worlds[run % 4]
            policy, chances = world.policies["greedy 0.3"], logger(world, "boltzmann")
            truth = float((policy * world.quality).sum(axis=1).mean())
            state, when = Sequence(expected=20 * given.a_day), given.days
            for day in range(given.days):
                _, value = day_of(world, chances, policy, given.a_day, rng, fall=points / truth)
                state = state.add(value - truth)
                if state.interval()[1] < 0:
                    when = day + 1
                    break
            found.append(when)
        late = np.mean(np.array(found) >= given.days)
        print(
            f"a fall of {points:.0%}: seen after {np.median(found):.0f} days of {given.a_day} requests in the median, "
            f"{np.quantile(found, 0.9):.0f} in nine of ten runs, not within {given.days} in {late:.0%}"
        )


if __name__ == "__main__":
    main()
