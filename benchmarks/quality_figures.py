"""Figures of routers on full-feedback matrices, with bootstrap intervals over prompts; for `quality_sets.py`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fairlead.evaluation import operating_point
from fairlead.evaluation.frontier import areas
from fairlead.scoring.table import CategoryTable
from fairlead.training import tables

Array = np.ndarray
REPLICATES = 200
POINTS = 61
BINS = 15


@dataclass
class Held:
    """Predictions for prompts that were not learned from, beside what came of them: all (n, K), `task` (n,).

    `means` and `table` are what the training prompts of each prompt's fold say: endpoint means, and by task.
    """

    names: list[str]
    task: Array
    quality: Array
    cost: Array
    outcome: Array
    dollars: Array
    means: Array
    table: Array


def baselines(score: Array, task: Array, tasks: list[str], held_task: Array) -> tuple[Array, Array]:
    """Give endpoint means and the category table (n held, K) from training scores (m, K)."""
    rows, columns = np.nonzero(np.isfinite(score))
    code = {name: float(place) for place, name in enumerate(tasks)}
    route = np.array([code[one] for one in task])[rows]
    values = tables.fit(score[rows, columns], route, columns, (len(tasks) + 1, score.shape[1]))
    mean = np.nanmean(score, axis=0)
    at = np.array([code[one] if (task == one).any() else np.nan for one in held_task])
    return np.tile(mean, (len(held_task), 1)), CategoryTable(values=values).lookup(at)


class Resamples:
    """Weights (B + 1, n) of prompts: the first row counts each once."""

    def __init__(self, n: int, seed: int = 0) -> None:
        drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=REPLICATES)
        self.weight = np.vstack([np.ones(n), drawn])

    def mean(self, values: Array) -> Array:
        """Means (B + 1, ...) of values (n, ...)."""
        return self.weight @ values / self.weight.sum(axis=1)[:, None]


def aiq_b(held: Held, quality: Array, again: Resamples) -> tuple[Array, Array]:
    """AIQ_b of a router that knows `quality` and the predicted cost, and the zero router's: (B + 1,) each."""
    rows = np.arange(len(quality))
    chosen = [(quality - price * held.cost).argmax(axis=1) for price in prices(held, quality)]
    got = again.mean(np.column_stack([held.outcome[rows, one] for one in chosen]))
    paid = again.mean(np.column_stack([held.dollars[rows, one] for one in chosen]))
    single = again.mean(held.outcome), again.mean(held.dollars)
    found = [areas(paid[b], got[b], single[1][b], single[0][b]) for b in range(len(got))]
    return np.array([one.aiq_b for one in found]), np.array([one.zero_aiq_b for one in found])


def prices(held: Held, quality: Array) -> Array:
    """Sixty-one prices of a dollar over which spend falls evenly."""
    return operating_point.price_grid(quality, held.cost, POINTS - 1)


def recovered(score: Array, outcome: Array, weight: Array) -> tuple[float, float, float]:
    """APGR, CPT50 and CPT80 (per cent of strong calls) of RouteLLM (Ong et al. 2024): columns are strong, weak."""
    order = np.argsort(-score, kind="stable")
    share = np.concatenate([[0], np.cumsum(weight[order])]) / weight.sum()
    gain = np.concatenate([[0], np.cumsum((weight * (outcome[:, 0] - outcome[:, 1]))[order])])
    part = gain / gain[-1]
    cuts = [100 * float(share[np.argmax(part >= level)]) for level in (0.5, 0.8)]
    return float(np.trapezoid(part, share)), cuts[0], cuts[1]


def skill(held: Held) -> float:
    """Brier skill over the endpoints' training means."""
    return float(1 - ((held.quality - held.outcome) ** 2).mean() / ((held.means - held.outcome) ** 2).mean())


def ece(held: Held) -> float:
    """Expected calibration error over 15 bins of equal width, all endpoints together."""
    predicted, actual = held.quality.ravel(), held.outcome.ravel()
    which = np.minimum((predicted * BINS).astype(int), BINS - 1)
    off = np.abs(np.bincount(which, predicted - actual, BINS))
    return float(off.sum() / len(predicted))


def shown(values: Array, digits: int = 4) -> str:
    """A figure and the 95 % interval of its resamples, which lie behind it."""
    low, high = np.quantile(values[1:], [0.025, 0.975])
    return f"{values[0]:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def gain(values: Array, base: Array) -> str:
    """A paired difference and its interval."""
    over = values - base
    low, high = np.quantile(over[1:], [0.025, 0.975])
    return f"{over[0]:+.4f} [{low:+.4f}, {high:+.4f}]"


def floors(held: Held, splits: int = 100) -> tuple[float, float, float]:
    """Choose `no_worse` on one half and judge it on the other: share of splits below the best single, saving, change.

    The best single is the one of the half that was chosen on. The predictions are out of fold and the same in all
    splits, so this measures the choice of a point, not the learning.
    """
    rng, broken, saved, change = np.random.default_rng(0), 0, [], []
    for _ in range(splits):
        order = rng.permutation(len(held.quality))
        half, rest = order[: len(order) // 2], order[len(order) // 2 :]
        training = operating_point.Training(
            quality=held.quality[half],
            cost_usd=held.cost[half],
            outcome_quality=held.outcome[half],
            outcome_cost_usd=held.dollars[half],
        )
        point = operating_point.no_worse(training)
        column = np.full(len(rest), point.best_single)
        if point.usd_price is not None:
            column = (held.quality[rest] - point.usd_price * held.cost[rest]).argmax(axis=1)
        single = held.outcome[rest, point.best_single].mean()
        over = held.outcome[rest, column].mean() - single
        broken += over < -1e-12
        change.append(over)
        saved.append(1 - held.dollars[rest, column].mean() / held.dollars[rest, point.best_single].mean())
    return broken / splits, float(np.mean(saved)), float(np.mean(change))
