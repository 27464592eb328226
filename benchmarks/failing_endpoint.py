"""What endpoints that fail fast cost each policy, with ejection and without.

    python benchmarks/failing_endpoint.py [--requests 20000] [--rate 10] [--seed 0] [--policy NAME ...]

A simulation on a clock of its own, with the real live state and every policy that is registered: 6 endpoints, requests
arrive at random (Poisson, --rate a second), a healthy endpoint takes about a second (log-normal, sigma .5), and one (or
four) of the six fail within 10 ms through every other five minutes. Predictions are the same for all endpoints.
Nothing is tried twice, healthy endpoints never fail and never fill up: the share of requests that end in an error is
what routing alone leaves. Exits 1 where a policy with ejection has 1 % or more.
"""

from __future__ import annotations

import argparse
import heapq
import sys

import numpy as np
from msgspec.structs import replace

from fairlead.scoring import POLICIES, Candidates, Outcome, Reward
from fairlead.scoring.live import Live, Settings, available
from fairlead.scoring.policies import Learner, make

ENDPOINTS = tuple("abcdef")
PERIOD_S, FAST_S, TARGET = 300.0, 0.01, 0.01


def run(name: str, failing: int, eject: bool, requests: int, rate: float, seed: int) -> tuple[float, float]:
    """Give the share of requests that failed, and the mean latency of the others in seconds."""
    rng, now = np.random.default_rng(seed), 0.0
    live = Live(ENDPOINTS, Settings(eject=eject, refresh_s=0, seed=seed), clock=lambda: now)
    policy, candidates, everybody = make(name), _same_for_all(), np.ones((1, len(ENDPOINTS)), dtype=bool)
    running: list[tuple[float, int, Outcome, float]] = []
    failed, seconds = 0, 0.0
    arrivals = np.cumsum(rng.exponential(1 / rate, requests))
    for number, arrival in enumerate(arrivals.tolist()):
        while running and running[0][0] <= arrival:
            now, _, outcome, chance = heapq.heappop(running)
            live.end(outcome)
            if isinstance(policy, Learner):
                policy.learn(_reward(outcome, chance))
        now = arrival
        view = live.view()
        usable, _ = available(everybody, view)
        chances = policy.probabilities(replace(candidates, view=view, eligible=usable))[0]
        place = int(rng.choice(len(ENDPOINTS), p=chances / chances.sum()))
        bad = place < failing and int(now / PERIOD_S) % 2 == 1
        took = FAST_S if bad else float(rng.lognormal(0, 0.5))
        failed += bad
        seconds += 0 if bad else took
        outcome = Outcome(
            endpoint=ENDPOINTS[place],
            request_id=str(number),
            status="error" if bad else "ok",
            error_class="server" if bad else None,
            duration_s=took,
        )
        live.begin(place, str(number))
        heapq.heappush(running, (now + took, number, outcome, float(chances[place])))
    return failed / requests, seconds / max(1, requests - failed)


def _same_for_all() -> Candidates:
    one = np.ones((1, len(ENDPOINTS)))
    return Candidates(
        endpoints=ENDPOINTS,
        quality=one * 0.8,
        quality_low=one * 0.7,
        cost_usd=one * 0.001,
        cost_p90_usd=one * 0.002,
        latency_s=one,
        latency_p90_s=one * 2,
        eligible=np.ones((1, len(ENDPOINTS)), dtype=bool),
        routes=(None,),
    )


def _reward(outcome: Outcome, chance: float) -> Reward:
    bad = outcome.status == "error"
    return Reward(
        endpoint=outcome.endpoint,
        route=None,
        propensity=chance,
        expected_quality=0.8,
        expected_cost_usd=0.001,
        expected_latency_s=1.0,
        quality=0.0 if bad else 0.8,
        cost_usd=0.0 if bad else 0.001,
        latency_s=outcome.duration_s,
        failed=bad,
    )


def main() -> int:
    """Print a row a policy; 1 where one of them misses the target."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--requests", type=int, default=20_000)
    arguments.add_argument("--rate", type=float, default=10.0)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--policy", nargs="*", default=sorted(POLICIES), choices=sorted(POLICIES))
    given = arguments.parse_args()
    print(f"{'':<20} {'1 of 6 fails half of the time':^31}   {'4 of 6 fail half of the time':^31}")
    print(f"{'policy':<20}" + f" {'without':>15} {'with ejection':>15}  " * 2)
    missed = False
    for name in given.policy:
        cells = []
        for failing in (1, 4):
            for eject in (False, True):
                share, seconds = run(name, failing, eject, given.requests, given.rate, given.seed)
                missed |= eject and share >= TARGET
                cells.append(f"{share:>7.2%} {seconds:>5.2f} s")
        print(f"{name:<20} {cells[0]:>15} {cells[1]:>15}   {cells[2]:>15} {cells[3]:>15}", flush=True)
    print("share of requests that end in an error, and mean latency of the others")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
