"""The judge's estimators beside Open Bandit Pipeline's, on the same logs: are they equal, and which is faster?

    python -m venv OTHER && OTHER/bin/pip install numpy scipy scikit-learn pandas
    OTHER/bin/pip install --no-deps --ignore-requires-python obp==0.5.7
    PYTHONPATH=src python benchmarks/judge_obp.py OTHER/bin/python [--requests 100000] [--candidates 10] [--seed 0]

obp lives in an environment of its own, which gets the arrays as a file. Its estimator files are imported without the
rest of its package, so that torch, which they do not use, need not be there. Each time is the best of three; ours
includes making and checking the `Logged`, obp's its own checks. Intervals: obp has a bootstrap only, so ours is timed
with as many replicates, and the normal interval that the judge prints beside it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fairlead.evaluation import estimators
from fairlead.evaluation.estimators import Logged
from fairlead.evaluation.intervals import bootstrap, normal

REPLICATES = 100
TAU = 20.0
THEIRS = r"""
import importlib.machinery, json, sys, time, types
import numpy as np
torch = types.ModuleType("torch"); torch.Tensor = torch.tensor = type("T", (), {}); sys.modules["torch"] = torch
spec = importlib.machinery.PathFinder.find_spec("obp")
place = list(spec.submodule_search_locations)[0]
for name, folder in (("obp", place), ("obp.ope", place + "/ope")):
    package = types.ModuleType(name); package.__path__ = [folder]; sys.modules[name] = package
e = importlib.import_module("obp.ope.estimators")
data = np.load(sys.argv[1]); replicates, tau = int(sys.argv[2]), float(sys.argv[3])
made = {
    "replay": e.ReplayMethod(), "ips": e.InverseProbabilityWeighting(),
    "clipped_ips": e.InverseProbabilityWeighting(lambda_=tau),
    "snips": e.SelfNormalizedInverseProbabilityWeighting(), "direct": e.DirectMethod(),
    "doubly_robust": e.DoublyRobust(), "self_normalised_dr": e.SelfNormalizedDoublyRobust(),
    "switch_dr": e.SwitchDoublyRobust(lambda_=tau),
}
found = {}
for name, one in made.items():
    given = dict(reward=data["reward"], action=data["action"], pscore=data["propensity"],
                 action_dist=data["chances"][:, :, None], estimated_rewards_by_reg_model=data["predicted"][:, :, None])
    took = []
    for _ in range(3):
        start = time.perf_counter(); value = float(one.estimate_policy_value(**given))
        took.append(time.perf_counter() - start)
    start = time.perf_counter()
    one.estimate_interval(**given, n_bootstrap_samples=replicates, random_state=0)
    found[name] = value, min(took), time.perf_counter() - start
print(json.dumps(found))
"""


def best(make: Callable[[], Any]) -> tuple[Any, float]:
    """Give what `make` gives and the least of three times."""
    took = []
    for _ in range(3):
        start = time.perf_counter()
        found = make()
        took.append(time.perf_counter() - start)
    return found, min(took)


def drawn(rng: np.random.Generator, n: int, k: int, deterministic: bool) -> dict[str, np.ndarray[Any, Any]]:
    """Make a Boltzmann log and a policy that is another one's softmax, or its best choice."""
    chance = rng.beta(4, 2, (n, k))
    odds = np.exp(chance / 0.2)
    logging = 0.9 * odds / odds.sum(axis=1, keepdims=True) + 0.1 / k
    action = np.minimum((logging.cumsum(axis=1) < rng.random(n)[:, None]).sum(axis=1), k - 1)
    other = np.exp((chance + rng.normal(0, 0.1, (n, k))) / 0.1)
    chances = np.eye(k)[other.argmax(axis=1)] if deterministic else other / other.sum(axis=1, keepdims=True)
    rows = np.arange(n)
    return {
        "reward": (rng.random(n) < chance[rows, action]).astype(np.float64),
        "action": action,
        "propensity": logging[rows, action],
        "chances": chances,
        "predicted": 0.8 * chance + 0.1,
    }


def compare(python: str, data: dict[str, np.ndarray[Any, Any]]) -> None:
    """Print values, differences and times; fail where they differ by more than 1e-6."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.npz"
        np.savez(path, **data)  # type: ignore[arg-type]
        command = [python, "-c", THEIRS, str(path), str(REPLICATES), str(TAU)]
        theirs = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    rows = np.arange(len(data["reward"]))

    def log() -> Logged:
        return Logged(
            reward=data["reward"],
            propensity=data["propensity"],
            target=data["chances"][rows, data["action"]],
            predicted_logged=data["predicted"][rows, data["action"]],
            predicted_target=np.einsum("nk,nk->n", data["chances"], data["predicted"]),
        )

    print(f"{'estimator':<20} {'value':>9} {'differ':>8} {'ours ms':>8} {'obp ms':>8} {'x':>6}", end="")
    print(f" {'own ms':>7} {'boot ms':>8} {'obp ms':>8} {'x':>6}")
    worst = 0.0
    for name, (value, took, interval) in theirs.items():
        if name == "replay" and not (data["chances"].max(axis=1) == 1).all():
            continue  # obp's takes policies of certain choices only
        estimate = estimators.ESTIMATORS[name]
        mine, ours = best(lambda estimate=estimate: estimate(log()).value)
        statistic = estimate(log())
        _, quick = best(lambda statistic=statistic: normal(statistic))
        _, slow = best(lambda statistic=statistic: bootstrap(statistic, replicates=REPLICATES))
        worst = max(worst, abs(mine - value))
        print(f"{name:<20} {mine:>9.6f} {abs(mine - value):>8.1e} {1e3 * ours:>8.1f} {1e3 * took:>8.1f}", end="")
        print(f" {took / ours:>6.1f} {1e3 * quick:>7.1f} {1e3 * slow:>8.0f} {1e3 * interval:>8.0f}", end="")
        print(f" {interval / slow:>6.1f}")
    assert worst <= 1e-6, f"they differ by {worst:.2g}"


def main() -> None:
    """Compare on a policy of probabilities and on one of certain choices."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("python", help="the Python of an environment with obp")
    arguments.add_argument("--requests", type=int, default=100_000)
    arguments.add_argument("--candidates", type=int, default=10)
    arguments.add_argument("--seed", type=int, default=0)
    given = arguments.parse_args()
    rng = np.random.default_rng(given.seed)
    for deterministic in (False, True):
        kind = "certain choices" if deterministic else "probabilities"
        print(
            f"\n{given.requests:,} requests, {given.candidates} candidates, a policy of {kind}; {REPLICATES} replicates"
        )
        compare(given.python, drawn(rng, given.requests, given.candidates, deterministic))


if __name__ == "__main__":
    main()
