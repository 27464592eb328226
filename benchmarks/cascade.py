"""What a cascade adds to one choice a request, on matrices where every answer is known.

    python benchmarks/cascade.py ROUTING_FOLDER [--sets zeroeval mmlu_pro_chat] [--prompts 3000]

Both rest on the same out-of-fold predictions, by the product's own training; the cascade's stopping rule is fitted on
the other folds too, and its probes are chosen on one half of the prompts and read on the other, both ways round. Every
answer asked for is paid. AIQ_b and savings are read off the prompts themselves, so they flatter both alike; `promised`
is the price that fixed-sequence testing picks on one half for 99 % of the best single model's quality with 95 %
confidence, and what it gave on the other half.

The matrices hold no answers, so agreement, the strongest sign there is, cannot be known before the label, and none is
used: a cascade sees lengths, and on some sets whether an answer could be read out at all (`no_answer`).
"""

from __future__ import annotations

import argparse
import json
import tempfile
from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl

from fairlead import project
from fairlead.evaluation import baselines, bench_learn, frontier, operating_point
from fairlead.evaluation.bench_matrix import KEY, frame_of, read_matrix
from fairlead.evaluation.cascades import Costs, at_floor, play
from fairlead.training.cascade import Evidence, crossfit
from fairlead.training.frame import folds_of

FOLDS = 4
PRICES = 24
PROBES = 3  # the cheapest models that are tried as probes, alone and in pairs


def read(path, models, prompts, seed):
    """Learn from every prompt (out of fold) and lay answers out as evidence: evidence, costs, predictions, folds."""
    matrix = pl.read_parquet(path)
    if models:
        matrix = matrix.filter(pl.col("model").is_in(models))
    keys = matrix.select(KEY).unique().sort(KEY).sample(fraction=1, shuffle=True, seed=seed)
    keys = keys[: prompts or keys.height]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        matrix.write_parquet(folder / "matrix.parquet")
        keys[:1].write_parquet(folder / "one.parquet")  # the reader wants a test prompt; it is left out
        keys[1:].write_parquet(folder / "rest.parquet")
        frame = frame_of(
            read_matrix(folder / "matrix.parquet", folder / "rest.parquet", folder / "one.parquet", ("dataset",))
        )
    learned = bench_learn.learn(frame, project.defaults() / "models", "full")
    ids, first, row = np.unique(frame.ids, return_index=True, return_inverse=True)

    def laid(values):
        out = np.full((len(ids), len(frame.endpoints)), np.nan)
        out[row, frame.endpoint] = values
        return out

    unreadable = np.full((len(ids), len(frame.endpoints)), np.nan)
    if "no_answer" in matrix.columns:
        said = matrix.select(pl.concat_str(*KEY, separator="\x1f"), "model", "no_answer").iter_rows()
        known = {(prompt, model): float(flag) for prompt, model, flag in said if flag is not None}
        pairs = zip(frame.ids, frame.endpoint, strict=True)
        unreadable = laid([known.get((prompt, frame.endpoints[k]), np.nan) for prompt, k in pairs])
    done = learned.training.completed()
    evidence = Evidence(
        endpoints=frame.endpoints,
        routes=tuple(frame.categories["route"]),
        route=frame.route[first],
        quality=done.quality,
        outcome=done.outcome_quality,
        tokens=laid(frame.targets["output_tokens"]),
        unreadable=unreadable,
        cut=np.zeros(unreadable.shape),
        digests=np.full(unreadable.shape, -1),
    )
    nothing = np.zeros(unreadable.shape)  # latency is not weighed here
    costs = Costs(
        predicted_usd=done.cost_usd, predicted_s=nothing, outcome_usd=done.outcome_cost_usd, outcome_s=nothing
    )
    return evidence, costs, folds_of(frame.group[first], FOLDS), done


def part(costs, rows):
    """Take some prompts' costs."""
    return Costs(**{name: getattr(costs, name)[rows] for name in Costs.__struct_fields__})


def curve(rules, fold, evidence, costs, grid):
    """Give each prompt's cost and quality at each price: two arrays (prices, n)."""
    played = [play(rules, fold, evidence, costs, float(price)) for price in grid]
    return np.array([one.cost_usd for one in played]), np.array([one.quality for one in played])


def reading(cost, quality, evidence, costs, rows):
    """Read a curve on some prompts against the single models there."""
    singles = costs.outcome_usd[rows].mean(axis=0), evidence.outcome[rows].mean(axis=0)
    return frontier.areas(cost[:, rows].mean(axis=1), quality[:, rows].mean(axis=1), *singles)


def line(name, what, found, promised):
    """Lay a reading out as a row of the table, the mean of both halves."""
    saved = ["  none" if None in kept else f"{np.mean(kept):6.2f}" for kept in
             ([one.saving_at[share] for one in found] for share in ("95%", "99%", "100%"))]  # fmt: skip
    area = np.mean([one.aiq_b for one in found])
    quality, saving = np.mean([one[0] for one in promised]), np.mean([one[1] for one in promised])
    print(f"{name:<14} {what:<52} {area:.4f} {' '.join(saved)}   {quality:.4f} {saving:6.2f}", flush=True)


def one(name, path, models, prompts, seed):
    """Print a set's lines: one choice a request, and the cascade."""
    evidence, costs, fold, done = read(path, models, prompts, seed)
    n = len(evidence)
    halves = [np.flatnonzero(np.random.default_rng(seed).permutation(n) % 2 == side) for side in (0, 1)]
    grid = operating_point.price_grid(evidence.quality, costs.predicted_usd, PRICES)
    mean_usd = costs.outcome_usd.mean(axis=0)
    best = baselines.best_single(evidence.outcome, costs.outcome_usd)
    chosen = [baselines.greedy(evidence.quality, costs.predicted_usd, float(price)).argmax(axis=1) for price in grid]
    at = np.arange(n)
    single = (np.array([costs.outcome_usd[at, k] for k in chosen]), np.array([evidence.outcome[at, k] for k in chosen]))
    floors = [operating_point.at_floor(piece(done, rows), floor=0.99, grid=grid) for rows in halves]
    alone = [
        kept(point.usd_price, grid, single, evidence, costs, best, halves[1 - side])
        for side, point in enumerate(floors)
    ]
    line(name, "one choice a request", [reading(*single, evidence, costs, rows) for rows in halves], alone)
    cheap = [k for k in np.argsort(mean_usd).tolist() if mean_usd[k] < 0.35 * mean_usd[best]][:PROBES]
    tried = {("none",): (None, single)}  # a cascade that does not pay on one half is not used on the other
    for some in [*((k,) for k in cheap), *combinations(cheap, 2)]:
        probes = tuple(evidence.endpoints[k] for k in some)
        rules = crossfit(evidence, probes, fold)
        tried[probes] = (rules, curve(rules, fold, evidence, costs, grid))
    found, promised, names = [], [], []
    for side, rows in enumerate(halves):
        picked = max(tried, key=lambda probes: reading(*tried[probes][1], evidence, costs, rows).aiq_b)
        rules, points = tried[picked]
        names.append("+".join(picked))
        found.append(reading(*points, evidence, costs, halves[1 - side]))
        if rules is None:
            promised.append(alone[side])
            continue
        point = at_floor(rules, fold[rows], evidence.take(rows), part(costs, rows), grid=grid)
        promised.append(kept(point.usd_price, grid, points, evidence, costs, best, halves[1 - side]))
    line(name, f"cascade: {' / '.join(dict.fromkeys(names))}"[:52], found, promised)


def piece(done, rows):
    """Take some prompts' predictions and outcomes."""
    names = done.__struct_fields__
    return operating_point.Training(**{name: getattr(done, name)[rows] for name in names})


def kept(price, grid, points, evidence, costs, best, rows):
    """Give the share of the best single's quality kept on some prompts at a price, and of its cost saved."""
    top, dear = evidence.outcome[rows, best].mean(), costs.outcome_usd[rows, best].mean()
    if price is None:
        return 1.0, 0.0
    at = int(np.argmin(np.abs(grid - price)))
    return points[1][at, rows].mean() / top, 1 - points[0][at, rows].mean() / dear


def main() -> None:
    """Print a table."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--sets", nargs="+", default=["zeroeval", "mmlu_pro_chat"])
    arguments.add_argument("--prompts", type=int, default=0)
    arguments.add_argument("--seed", type=int, default=0)
    given = arguments.parse_args()
    pools = given.folder / "folds" / "pools.json"
    models = json.loads(pools.read_text()) if pools.exists() else {}
    print(f"{'set':<14} {'policy':<52} AIQ_b  saved at 95/99/100 %   promised 99 %: kept, saved")
    for name in given.sets:
        one(name, given.folder / name / "outcomes.parquet", models.get(name), given.prompts, given.seed)


if __name__ == "__main__":
    main()
