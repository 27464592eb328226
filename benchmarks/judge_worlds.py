"""Worlds whose truth is known, for studies of the judge: outcomes of every model, loggers and candidate policies."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from labels import predicted
from quality_sets import KEY, matrix_of

from fairlead.evaluation import baselines
from fairlead.evaluation.bench_matrix import Matrix, frame_of

Array = np.ndarray[Any, Any]
LOGGERS = ("uniform", "boltzmann", "epsilon", "rule")


class World(NamedTuple):
    """Requests (n) over models (K): true outcomes, what was predicted of them from other prompts, a route, policies."""

    name: str
    quality: Array
    cost: Array
    said_quality: Array
    said_cost: Array
    route: Array
    policies: dict[str, Array]  # probabilities (n, K)


def of_matrix(folder: Path, name: str, keep: Path) -> World:
    """Learn on every other fold of a routing set, and take the rest as the world."""
    place = keep / f"{name}.npz"
    rows = matrix_of(folder, name).sort(*KEY, "model")
    if not place.exists():
        models = tuple(sorted(rows["model"].unique()))
        learn, rest = rows.filter(pl.col("fold") % 2 == 0), rows.filter(pl.col("fold") % 2 == 1)
        whole = pl.col("quality").is_not_null() & pl.col("cost_usd").is_not_null()
        rest = rest.filter(whole.all().over(KEY) & (pl.len().over(KEY) == len(models)))
        test = rest.unique(KEY, maintain_order=True)
        frame = frame_of(Matrix(train=learn, test=test, models=models, known=("dataset",)))
        said, _ = predicted(frame, test, models)
        true, dollars = (rest[c].to_numpy().reshape(-1, len(models)) for c in ("quality", "cost_usd"))
        _, route = np.unique(test["dataset"].to_numpy(), return_inverse=True)
        names = {m: k for k, m in enumerate(models)}
        spent = learn.group_by("dataset", "model").agg(pl.col("cost_usd").mean())
        cost = np.full((int(route.max()) + 1, len(models)), np.nan)
        codes = {d: c for c, d in enumerate(sorted(test["dataset"].unique()))}
        for dataset, model, usd in spent.iter_rows():
            if dataset in codes and usd is not None:
                cost[codes[dataset], names[model]] = usd
        keep.mkdir(parents=True, exist_ok=True)
        said_cost = np.where(np.isfinite(cost), cost, np.nanmean(cost, axis=0))[route]
        np.savez(place, quality=true, cost=dollars, said_quality=said, said_cost=said_cost, route=route)
    found = np.load(place)
    return with_policies(name, **{key: found[key] for key in found.files})


def synthetic(seed: int = 0, n: int = 4000, k: int = 8) -> World:
    """Make up requests of three kinds, models of rising price, and predictions that are right to half."""
    rng = np.random.default_rng(seed)
    route, hard = rng.integers(0, 3, n), rng.normal(size=n)
    skill = np.linspace(-0.5, 1.8, k) + rng.normal(0, 0.5, (3, k))[route] - 0.8 * hard[:, None]
    chance = 1 / (1 + np.exp(-skill))
    said = 1 / (1 + np.exp(-(skill * 0.7 + rng.normal(0, 0.4, (n, k)))))
    price = np.geomspace(0.0005, 0.05, k)
    cost = price * rng.lognormal(0, 0.7, (n, 1)) * rng.lognormal(0, 0.3, (n, k))
    said_cost = np.tile(cost.mean(axis=0), (n, 1))
    quality = (rng.random((n, k)) < chance).astype(float)
    return with_policies("synthetic", quality, cost, said, said_cost, route)


def with_policies(name: str, quality: Array, cost: Array, said_quality: Array, said_cost: Array, route: Array) -> World:
    """Add the policies that are judged: greedy at several prices of a dollar, soft ones, single models, mixtures."""
    n, k = quality.shape
    spread = float(np.ptp(said_quality.mean(axis=0)) / max(np.ptp(said_cost.mean(axis=0)), 1e-12))
    found = {f"greedy {share:g}": baselines.greedy(said_quality, said_cost, share * spread) for share in (0, 0.3, 1, 3)}
    table = np.stack([said_quality[route == r].mean(axis=0) for r in range(int(route.max()) + 1)])[route]
    found["category table"] = baselines.greedy(table, said_cost, 0.3 * spread)
    found["best single"] = baselines.single(n, k, int(said_quality.mean(axis=0).argmax()))
    found["cheapest"] = baselines.single(n, k, int(said_cost.mean(axis=0).argmin()))
    found["soft"] = softmax((said_quality - spread * said_cost) / 0.1)
    return World(name, quality, cost, said_quality, said_cost, route, found)


def softmax(value: Array) -> Array:
    """Give probabilities (n, K) that rise with a value (n, K)."""
    raised = np.exp(value - value.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def logger(world: World, kind: str) -> Array:
    """Give the probabilities (n, K) that a log was drawn with."""
    n, k = world.quality.shape
    even = np.full((n, k), 1 / k)
    old = world.said_quality.mean(axis=0) - 0.2 * world.said_cost.mean(axis=0) / world.said_cost.mean()
    if kind == "uniform":
        return even
    if kind == "boltzmann":  # around an older, coarser router
        table = np.stack([world.said_quality[world.route == r].mean(axis=0) for r in range(int(world.route.max()) + 1)])
        return 0.9 * softmax(table[world.route] / 0.1) + 0.1 * even
    if kind == "epsilon":
        return 0.9 * baselines.single(n, k, int(old.argmax())) + 0.1 * even
    by_route = baselines.single(n, k, 0) * 0.0
    best = [int(world.said_quality[world.route == r].mean(axis=0).argmax()) for r in range(int(world.route.max()) + 1)]
    by_route[np.arange(n), np.array(best)[world.route]] = 1.0
    return 0.9 * by_route + 0.1 * even
