"""How long it takes to judge a million requests: every estimator of every metric for two dozen policies.

    python benchmarks/judge_speed.py [--requests 1000000] [--policies 24] [--endpoints 12]

The predictions are drawn, not made by forests: `forest_engine.py` measures those (replay). Policies are greedy at
prices of a dollar, and soft ones; estimators are all of `estimators.ESTIMATORS` and the cross-fitted one, with
intervals, the verdict of each policy, and the p95 of latency. Time and memory are of one process.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np

from fairlead.evaluation import baselines, estimators, overlap, quantiles
from fairlead.evaluation.crossfit import crossfitted
from fairlead.evaluation.estimators import Logged


def main() -> None:
    """Print seconds a million requests and policy, and the memory."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--requests", type=int, default=1_000_000)
    arguments.add_argument("--policies", type=int, default=24)
    arguments.add_argument("--endpoints", type=int, default=12)
    given = arguments.parse_args()
    n, k, rng = given.requests, given.endpoints, np.random.default_rng(0)
    at, route = np.arange(n), rng.integers(0, 20, n).astype(float)
    quality = rng.random((n, k), dtype=np.float32).astype(np.float64)
    cost = np.geomspace(0.0005, 0.05, k) * rng.lognormal(0, 0.5, (n, 1))
    action, propensity = rng.integers(0, k, n), np.full(n, 1 / k)
    outcome = {
        "quality": (rng.random(n) < quality[at, action]).astype(float),
        "cost_usd": cost[at, action] * rng.lognormal(0, 0.2, n),
        "latency_s": rng.lognormal(0, 0.5, n),
    }
    model = {"quality": quality, "cost_usd": cost, "latency_s": np.ones((n, k))}
    began, busy = time.perf_counter(), time.process_time()
    fitted = {name: crossfitted(model[name], outcome[name], action, route, at) for name in outcome}
    made = 0
    for number in range(given.policies):
        chances = baselines.greedy(quality, cost, float(number))
        target = chances[at, action]
        for name, seen in outcome.items():
            logs = [
                Logged(
                    reward=seen,
                    propensity=propensity,
                    target=target,
                    predicted_logged=one[at, action],
                    predicted_target=np.einsum("nk,nk->n", chances, one),
                )
                for one in (model[name], fitted[name])
            ]
            made += len([estimator(logs[0]).estimate() for estimator in estimators.ESTIMATORS.values()])
            made += len([estimators.doubly_robust(logs[1]).estimate()])
        overlap.verdict(logs[0].weight)
        quantiles.quantile(logs[0], 0.95)
    seconds, busy = time.perf_counter() - began, time.process_time() - busy
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(
        f"{n:,} requests x {given.policies} policies x {k} endpoints: {made} estimates with intervals "
        f"in {seconds:.1f} s ({busy:.1f} s of processor time), {peak:.1f} GB"
    )


if __name__ == "__main__":
    main()
