"""What a policy takes of one decision: 24 endpoints, live state, everything that has a price switched on.

    python benchmarks/policies_speed.py [--endpoints 24]

Microseconds of this thread's own processor time, the best of many runs, beside the time of one numpy subtraction of as
many numbers, so that a loaded machine shows. `warm` uses the compiled kernel; without numba both rows are numpy.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
from msgspec.structs import replace

from fairlead.scoring import Request
from fairlead.scoring.constraints import Constraints
from fairlead.scoring.manifest import Endpoint
from fairlead.scoring.outcome import Reward
from fairlead.scoring.policies import engine, make
from fairlead.scoring.view import View
from fairlead.testing import candidates

ALL = {
    "usd_price": 20.0,
    "second_price": 0.01,
    "quality_floor": 0.3,
    "failure_price": 1.0,
    "slo_price": 0.1,
    "sticky": 0.02,
    "headroom": 0.05,
}
CASES = {
    "intelligent": ("intelligent", {"usd_price": 20.0}),
    "intelligent, all": ("intelligent", ALL),
    "intelligent, all, exploring": ("intelligent", {**ALL, "temperature": 0.02, "exploration": 0.01}),
    "adaptive": ("adaptive", {"usd_price": 20.0}),
    "round_robin": ("round_robin", {}),
    "least_connections": ("least_connections", {}),
    "response_time": ("response_time", {}),
}


def best_us(work: Callable[[], object], calls: int = 300, runs: int = 30) -> float:
    """Give the least time of a call."""
    found = []
    for _ in range(runs):
        start = time.thread_time()
        for _ in range(calls):
            work()
        found.append((time.thread_time() - start) / calls)
    return min(found) * 1e6


def main() -> None:
    """Print a row for each policy."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--endpoints", type=int, default=24)
    many = asked.parse_args().endpoints
    one = candidates(np.random.default_rng(0), 1, many)
    one = replace(one, view=View.unknown(many), incumbent=np.array([min(3, many - 1)]))
    print(f"one subtraction of {many} numbers: {best_us(lambda: one.quality - one.quality):.2f} us")
    for state in ("numpy", "warm"):
        if state == "warm":
            engine.warm()
        for name, (policy, parameters) in CASES.items():
            made = make(policy, parameters)
            print(f"{state:6} {name:28} {best_us(lambda made=made: made.probabilities(one)):7.1f} us")
    learner = make("adaptive", {})
    told = Reward(
        endpoint="provider/model-1", route="maths", propensity=0.5, expected_quality=0.5, expected_cost_usd=1.0,
        expected_latency_s=1.0, quality=0.3, cost_usd=1.0, latency_s=1.0,
    )  # fmt: skip
    print(f"adaptive learns from a reward in {best_us(lambda: learner.learn(told)):.1f} us")
    ends = [Endpoint(name=f"e{k}", provider_name="p", model="m", context_window=8000 + k) for k in range(many)]
    rules, view = Constraints(ends), View.unknown(many)
    for what, request in (
        ("asks for nothing", Request(text="hello")),
        ("has tools, regions and a limit", Request(tools=1, regions=("eu",), max_tokens=100, text="hello")),
    ):
        print(f"constraints, a request that {what}: {best_us(lambda r=request: rules.eligible(r, view)):.2f} us")


if __name__ == "__main__":
    main()
