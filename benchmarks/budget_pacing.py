"""Does a pace hold a month's budget, and what does it buy? A simulated month with a surge and a doubled price.

    python benchmarks/budget_pacing.py [--seeds 5] [--requests 60000]

Requests come by hour of the day (four times as many at noon as at night), noisily. Three endpoints: the dear one is
right most often, and how much a request gains by it varies. The policy is `intelligent`, judged at its exact
probabilities. `even` plans evenly, `demand` knows the usual hours. `surge`: three days of three times the demand.
`price`: the dear endpoint costs twice as much from the 12th on. `late`: five times the demand on the last two days.
The quality is compared with the best fixed price that would have met the budget, found with hindsight.
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

import numpy as np
from msgspec.structs import replace

from fairlead.scoring import Candidates, Intelligent
from fairlead.scoring.budget import Budget
from fairlead.scoring.view import View

START = datetime(2026, 6, 1, tzinfo=UTC).timestamp()
HOURS = 720
SHAPE = 1 + 0.6 * np.sin((np.arange(24) - 6) / 24 * 2 * np.pi)
STORIES = ("usual", "surge", "price", "late")


def month(story: str, requests: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give moments (n,), qualities (n, 3) and costs (n, 3)."""
    rate = np.tile(SHAPE, HOURS // 24)
    if story == "surge":
        rate[240:312] *= 3
    if story == "late":
        rate[-48:] *= 5
    counts = rng.poisson(requests / HOURS * rate * rng.lognormal(0, 0.3, HOURS))
    at = np.sort(np.repeat(np.arange(HOURS), counts) * 3600.0 + rng.uniform(0, 3600, counts.sum()))
    n = len(at)
    gain = rng.beta(1.2, 3, n)
    quality = np.stack([0.9 * np.ones(n), 0.9 - 0.5 * gain, 0.9 - gain], axis=1)
    cost = rng.lognormal(0, 0.6, (n, 1)) * np.array([0.02, 0.004, 0.0004])
    if story == "price":
        cost[at >= 11 * 86400, 0] *= 2
    return START + at, quality, cost


def candidates(quality: np.ndarray, cost: np.ndarray) -> Candidates:
    """Give predictions that are right."""
    known = np.ones(quality.shape)
    return Candidates(
        endpoints=("dear", "middle", "cheap"), quality=quality, quality_low=quality, cost_usd=cost,
        cost_p90_usd=cost, latency_s=known, latency_p90_s=known, eligible=known > 0,
    )  # fmt: skip


def paced(at: np.ndarray, quality: np.ndarray, cost: np.ndarray, usd: float, demand: list[float] | None) -> tuple:
    """Run the month; give spend, quality and the highest pace."""
    now = [START]
    budget, policy = Budget(usd, demand=demand, clock=lambda: now[0]), Intelligent(usd_price=10.0)
    view = View.unknown(3)
    spent = good = highest = 0.0
    for block in np.split(np.arange(len(at)), np.flatnonzero(np.diff(at // 300)) + 1):
        now[0] = float(at[block[0]])
        pace = budget.pace
        highest = max(highest, pace)
        chances = policy.probabilities(replace(candidates(quality[block], cost[block]), view=replace(view, pace=pace)))
        for row, usd_spent in enumerate((chances * cost[block]).sum(axis=1)):
            now[0] = float(at[block[row]])
            budget.observe(float(usd_spent))
        spent, good = spent + float((chances * cost[block]).sum()), good + float((chances * quality[block]).sum())
    return spent, good / len(at), highest


def hindsight(quality: np.ndarray, cost: np.ndarray, usd: float) -> float:
    """Give the quality of the best fixed price that meets the budget."""
    low, high = -2.0, 5.0
    for _ in range(40):
        middle = (low + high) / 2
        chosen = (quality - 10**middle * cost).argmax(axis=1)[:, None]
        low, high = (middle, high) if np.take_along_axis(cost, chosen, 1).sum() > usd else (low, middle)
    chosen = (quality - 10**high * cost).argmax(axis=1)[:, None]
    return float(np.take_along_axis(quality, chosen, 1).mean())


def main() -> None:
    """Print a row for each story and plan."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--seeds", type=int, default=5)
    asked.add_argument("--requests", type=int, default=60_000)
    given = asked.parse_args()
    print("| story | plan | spent, % of the budget (mean, most) | quality | hindsight | all cheap | highest pace |")
    for story in STORIES:
        for plan in ("even", "demand"):
            rows = []
            for seed in range(given.seeds):
                rng = np.random.default_rng(seed)
                at, quality, cost = month(story, given.requests, rng)
                usd = given.requests * 0.004
                spent, good, highest = paced(at, quality, cost, usd, SHAPE.tolist() if plan == "demand" else None)
                rows.append((spent / usd, good, hindsight(quality, cost, usd), quality[:, 2].mean(), highest))
            share, good, best, cheap, highest = (np.array(column) for column in zip(*rows, strict=True))
            print(
                f"| {story} | {plan} | {100 * share.mean():.1f}, {100 * share.max():.1f} | {good.mean():.4f} |"
                f" {best.mean():.4f} | {cheap.mean():.4f} | {highest.max():.1f} |"
            )


if __name__ == "__main__":
    main()
