"""Are the judge's intervals right, and does it say so where they cannot be? Simulated logs of known truth.

    python benchmarks/judge_coverage.py ROUTING_FOLDER [--logs 1000] [--keep FOLDER] [--most 100000]

Each log draws requests with replacement from a world (half of a routing set, learned on the other half; or made up),
endpoints by one of four logging policies, and 1,000 to --most requests. Eight policies are judged on each. Printed is,
where the verdict lets an interval be shown, how often it holds the truth, by estimator; how wide it is beside IPS; and
how often an interval is shown although the policy's true effective sample size on such a log is below 100 or part of
its choices is never explored. Then how often a policy is picked by quality, and how often the pick has 99 % of the
quality of the best: of all policies, and of those that the log can tell of.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np
from judge_worlds import LOGGERS, World, logger, of_matrix, synthetic

from fairlead.evaluation import estimators, overlap
from fairlead.evaluation.crossfit import crossfitted
from fairlead.evaluation.estimators import Logged
from fairlead.evaluation.pick import Pick, pick

SETS = ("zeroeval", "mmlu_pro_chat", "bfcl_2024_07")
SIZES = (1000, 3000, 10_000, 30_000, 100_000)


def judged(world: World, kind: str, n: int, rng: np.random.Generator):
    """Draw a log and yield, for each policy and metric, its verdict, true support, the estimates and the truth."""
    chances = logger(world, kind)
    at = rng.integers(0, len(world.quality), n)
    cumulated = chances[at].cumsum(axis=1)
    action = np.minimum((rng.random(n)[:, None] > cumulated).sum(axis=1), chances.shape[1] - 1)
    propensity, route = chances[at, action], world.route[at].astype(float)
    for metric, true, said in (
        ("quality", world.quality, world.said_quality),
        ("cost", world.cost, world.said_cost),
    ):
        reward = true[at, action]
        refitted = crossfitted(said[at], reward, action, route, at)
        for name, policy in world.policies.items():
            target = policy[at, action]
            shared = {"reward": reward, "propensity": propensity, "target": target}
            plain, fitted = (
                Logged(
                    **shared,
                    predicted_logged=one[np.arange(n), action],
                    predicted_target=(policy[at] * one).sum(axis=1),
                )
                for one in (said[at], refitted)
            )
            verdict = overlap.verdict(plain.weight)
            squares = float(((policy**2) / np.maximum(chances, 1e-12)).sum(axis=1).mean())
            never = float(policy[chances <= 0].sum() / len(policy))
            found = {}
            if verdict.can_tell:
                found = {
                    "ips": estimators.ips(plain),
                    "snips": estimators.snips(plain),
                    "dr": estimators.doubly_robust(plain),
                    "sndr": estimators.self_normalised_dr(plain),
                    "switch": estimators.switch_dr(plain),
                    "dr_cf": estimators.doubly_robust(fitted),
                }
            yield metric, name, verdict, n / squares, never, found, float((policy * true).sum(axis=1).mean())


def right(found: dict[str, list], sizes: list[int]) -> None:
    """Print how often the pick and the highest estimate are right, in all and by the number of requests."""
    for n in (None, *sizes):
        logs = [one for size in sizes if n in (None, size) for one in found[size]]
        told = [one for one in logs if one[0].leader is not None]
        for what, which, among in (
            ("highest estimate, of those told", "leader", "told"),
            ("pick, of those told", "of_told", "told"),
            ("pick, of all", "policy", "all"),
        ):
            made = [(truth[getattr(one, which)], truth, one) for one, truth in told if getattr(one, which)]
            best = [max(v for k, v in t.items() if among == "all" or k not in one.untold) for _, t, one in made]
            held = [value / most for (value, _, _), most in zip(made, best, strict=True)]
            if not held:
                continue
            print(
                f"{'all' if n is None else f'{n:,}':>8} requests, {what:<32} {len(held):>5} of {len(logs)} logs "
                f"({len(held) / len(logs):.1%}), right {np.mean(np.array(held) >= 0.99):.1%}, worst {min(held):.3f}"
            )


def main() -> None:
    """Print coverage and width by estimator, logger and size."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--logs", type=int, default=1000)
    arguments.add_argument("--most", type=int, default=100_000)
    arguments.add_argument("--keep", type=Path)
    given = arguments.parse_args()
    keep = given.keep or Path(tempfile.mkdtemp())
    worlds = [*(of_matrix(given.folder, name, keep) for name in SETS), synthetic()]
    sizes = [size for size in SIZES if size <= given.most]
    hits, widths = defaultdict(list), defaultdict(list)
    verdicts, false = defaultdict(int), defaultdict(int)
    picked: dict[int, list[tuple[Pick, dict[str, float]]]] = defaultdict(list)
    for number in range(given.logs):
        rng = np.random.default_rng([11, number])
        world, kind = worlds[number % len(worlds)], LOGGERS[(number // len(worlds)) % len(LOGGERS)]
        n = sizes[(number // (len(worlds) * len(LOGGERS))) % len(sizes)]
        values, truths, costs, untold = {}, {}, {}, []
        for metric, name, verdict, ess, never, statistics, truth in judged(world, kind, n, rng):
            found = {one: statistic.estimate() for one, statistic in statistics.items()}
            if metric == "cost" and found:
                costs[name] = found["dr"].value
            if metric == "quality":
                truths[name] = truth
                if statistics:
                    values[name] = statistics["dr"]
                else:
                    untold.append(name)
            if metric == "quality":
                verdicts[verdict.verdict] += 1
                false[verdict.verdict] += ess < 100 or never > 0.01
            for one, estimate in found.items():
                held = estimate.low <= truth <= estimate.high
                width = (estimate.high - estimate.low) / max(found["ips"].high - found["ips"].low, 1e-12)
                for key in (
                    (metric, one, "all", ""),
                    (metric, one, "verdict", verdict.verdict),
                    (metric, one, "set", world.name),
                    (metric, one, "logger", kind),
                    (metric, one, "n", f"{n:,}"),
                ):
                    hits[key].append(held)
                    widths[key].append(width)
        picked[n].append((pick(values, costs, untold), truths))
        if (number + 1) % 100 == 0:
            print(f"  {number + 1} logs", flush=True)
    print(
        "verdicts on quality:", {name: f"{count}, false {false[name] / count:.2%}" for name, count in verdicts.items()}
    )
    right(picked, sizes)
    print(f"{'metric':<8} {'estimator':<8} {'where':<22} {'intervals':>9} {'cover':>7} {'width/IPS':>10} {'wider':>6}")
    for key in sorted(hits, key=lambda k: (k[0], k[2] != "all", k[2], k[3], k[1])):
        metric, one, by, value = key
        if by != "all" and one not in ("dr", "dr_cf"):
            continue
        wide = np.array(widths[key])
        print(
            f"{metric:<8} {one:<8} {f'{by} {value}'.strip():<22} {len(wide):>9} {np.mean(hits[key]):>7.3f} "
            f"{np.median(wide):>10.2f} {(wide > 1.0 + 1e-9).mean():>6.1%}"
        )


if __name__ == "__main__":
    main()
