"""What exploration costs and what it buys: Boltzmann over the best three against epsilon-greedy, at the same loss.

    python benchmarks/exploration.py ROUTING_FOLDER [--keep FOLDER]

The router at hand is greedy in predicted utility. Each way of exploring loses true utility (quality, less the price of
a dollar) and buys an effective sample size for judging other policies: the mean, over seven neighbours (other prices,
the category table, a soft one), of the share of requests that count as their own, 1 / E[sum_a pi^2 / mu]. Expectations
are exact, nothing is drawn. Boltzmann draws by exp(utility / T) among the best three, and keeps a floor of 2 % there.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from judge_worlds import World, of_matrix, softmax, synthetic

from fairlead.evaluation import baselines

SETS = ("zeroeval", "mmlu_pro_chat", "bfcl_2024_07")
LOSSES = (0.003, 0.01, 0.03)
EVEN = 0.02


def points(world: World) -> dict[str, list[tuple[float, dict[str, float]]]]:
    """Give loss and effective share of each setting of each way."""
    spread = float(np.ptp(world.said_quality.mean(axis=0)) / max(np.ptp(world.said_cost.mean(axis=0)), 1e-12))
    utility, true = (
        quality - 0.3 * spread * cost
        for quality, cost in ((world.said_quality, world.said_cost), (world.quality, world.cost))
    )
    n, k = utility.shape
    greedy = baselines.greedy(world.said_quality, world.said_cost, 0.3 * spread)
    others = {
        "half the price": baselines.greedy(world.said_quality, world.said_cost, 0.15 * spread),
        "twice the price": baselines.greedy(world.said_quality, world.said_cost, 0.6 * spread),
        "category table": world.policies["category table"],
        "best single": world.policies["best single"],
    }
    top = np.zeros((n, k), dtype=bool)
    np.put_along_axis(top, np.argsort(-utility, axis=1)[:, :3], True, axis=1)
    ways: dict[str, list[np.ndarray]] = {
        "epsilon": [(1 - share) * greedy + share / k for share in np.geomspace(0.002, 0.6, 25)],
        "boltzmann": [
            (1 - EVEN) * softmax(np.where(top, utility / heat, -np.inf)) + EVEN / k
            for heat in np.geomspace(0.002, 0.5, 25)
        ],
    }
    best = (greedy * true).sum(axis=1).mean()
    return {
        name: [
            (
                float(best - (mu * true).sum(axis=1).mean()),
                {other: 1 / float((pi**2 / np.maximum(mu, 1e-12)).sum(axis=1).mean()) for other, pi in others.items()},
            )
            for mu in chances
        ]
        for name, chances in ways.items()
    }


def main() -> None:
    """Print the effective share that each way buys at equal losses."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--keep", type=Path)
    given = arguments.parse_args()
    keep = given.keep or Path(tempfile.mkdtemp())
    for world in (*(of_matrix(given.folder, name, keep) for name in SETS), synthetic()):
        found = points(world)
        for loss in LOSSES:
            told = []
            for other in found["epsilon"][0][1]:
                own = {
                    name: max((size[other] for lost, size in seen if lost <= loss), default=np.nan)
                    for name, seen in found.items()
                }
                told.append(
                    f"{other} {own['boltzmann']:.4f} / {own['epsilon']:.4f} = {own['boltzmann'] / own['epsilon']:.1f}x"
                )
            print(f"{world.name:<14} loss <= {loss:.3f}, Boltzmann / epsilon-greedy: {'; '.join(told)}")


if __name__ == "__main__":
    main()
