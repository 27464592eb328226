"""The whole loop on real routing matrices: simulated log, ingest, train, publish, judge, and the known truth beside.

    python benchmarks/loop_on_matrices.py ROUTING_FOLDER [--sets zeroeval bfcl_2024_07] [--seeds 3]

ROUTING_FOLDER holds `<set>/outcomes.parquet`. Prints a table for each set: the doubly robust estimate with its 95 %
interval, the true value on the same requests, and whether the interval covers it.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from fairlead import evaluation, features, ingest, project, publish, training
from fairlead.evaluation import simulate
from fairlead.evaluation.judgement import Judgement


def loop(matrix: Path, folder: Path, seed: int, logging: str, exploration: float) -> Judgement:
    """Run the loop in a fresh project and judge the published policy against the truth."""
    here = project.init(folder)
    made = simulate.run(
        folder / "gateway", matrix=matrix, endpoints=6, logging=logging, exploration=exploration, seed=seed
    )
    shutil.copy(made.prices, here.contract)
    loaded = ingest.load(here, [made.log, made.feedback])
    assert loaded.read == loaded.stored + loaded.duplicates + loaded.quarantined
    features.build(here)
    training.train(here, holdout=0.5)
    tuned = evaluation.tune(here)
    publish.publish(here, policy=tuned.policy, parameters=tuned.parameters, lineage=tuned.baselines)
    print(f"  learned on training requests only: {tuned.policy} {tuned.parameters} ({tuned.reason})")
    return evaluation.judge(here, truth=made.truth)


def main() -> None:
    """Print a table for each set and seed, and the share of intervals that cover."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--sets", nargs="+", default=["zeroeval", "bfcl_2024_07"])
    arguments.add_argument("--seeds", type=int, default=1)
    arguments.add_argument("--logging", default="boltzmann")
    arguments.add_argument("--exploration", type=float, default=0.5)
    given = arguments.parse_args()
    for name in given.sets:
        covered = judged = 0
        for seed in range(given.seeds):
            print(f"\n{name}, seed {seed}")
            with tempfile.TemporaryDirectory() as scratch:
                matrix = given.folder / name / "outcomes.parquet"
                found = loop(matrix, Path(scratch) / "project", seed, given.logging, given.exploration)
            print(f"  {found.requests:,} requests judged, {found.window.start:%Y-%m-%d} to {found.window.end:%Y-%m-%d}")
            head = f"  {'policy':<20} {'metric':<8} {'DR':>10} {'low':>10} {'high':>10} {'truth':>10}  covers   ESS"
            print(head)
            for policy in found.policies:
                for metric in ("quality", "cost_usd"):
                    one = policy.metrics[metric]
                    if one.dr is None or one.truth is None:
                        continue
                    told = one.dr.low is not None and one.dr.high is not None
                    inside = told and one.dr.low <= one.truth <= one.dr.high
                    judged, covered = judged + told, covered + inside
                    low, high = (f"{one.dr.low:.5f}", f"{one.dr.high:.5f}") if told else ("-", "-")
                    said = ("yes" if inside else "NO") if told else "cannot tell"
                    print(
                        f"  {policy.name:<20} {metric:<8} {one.dr.value:>10.5f} {low:>10} {high:>10} "
                        f"{one.truth:>10.5f}  {said:<6} {policy.ess:>5.0f}"
                    )
        print(f"\n{name}: {covered} of {judged} intervals cover the truth")


if __name__ == "__main__":
    main()
