"""What the forest engine is measured on: five real LightGBM forests over made-up calls, and the snapshot of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np

from fairlead.publish.compile import compile_trees
from fairlead.publish.pack import pack
from fairlead.scoring.manifest import FORMAT, Column, Endpoint, HeadSpec, Manifest
from fairlead.scoring.request import FEATURE_VERSION
from fairlead.scoring.snapshot import Head, Snapshot
from fairlead.scoring.table import CategoryTable

Array = np.ndarray[Any, Any]
ENDPOINTS, ROUTES, TEAMS = 24, 12, 30
HEADS = {
    "output_tokens": ("exp", {"objective": "quantile", "alpha": 0.5}),
    "output_tokens_p90": ("exp", {"objective": "quantile", "alpha": 0.9}),
    "latency_s": ("exp", {"objective": "quantile", "alpha": 0.5}),
    "latency_p90_s": ("exp", {"objective": "quantile", "alpha": 0.9}),
    "quality": ("sigmoid", {"objective": "binary"}),
}
COLUMNS = [
    *(Column(f"number_{at}", "request") for at in range(30)),
    Column("route", "request", "category"),
    Column("team", "request", "category"),
    Column("endpoint", "endpoint", "category"),
    Column("provider", "endpoint", "category"),
    *(Column(name, "endpoint") for name in ("input_usd", "output_usd", "context")),
    *(Column(name, "state") for name in ("in_flight", "first_token_s", "tokens_per_s", "error_share", "headroom")),
]
OF_REQUEST = np.array([column.owner == "request" for column in COLUMNS])
CODES = [at for at, column in enumerate(COLUMNS) if column.kind == "category"]


def endpoints(rng: np.random.Generator) -> Array:
    """Give what is known of each endpoint: (K, columns)."""
    rows = np.full((ENDPOINTS, len(COLUMNS)), np.nan)
    price = rng.lognormal(0, 1, ENDPOINTS)
    static = [
        np.arange(ENDPOINTS),
        np.arange(ENDPOINTS) % 6,
        price,
        4 * price,
        rng.choice([8, 32, 128, 200], ENDPOINTS),
    ]
    rows[:, ~OF_REQUEST] = np.column_stack((*static, state(rng, ENDPOINTS)))
    return rows


def state(rng: np.random.Generator, count: int) -> Array:
    """Give live state: (count, 5)."""
    return np.column_stack(
        (
            rng.poisson(5, count),
            rng.lognormal(-1, 0.5, count),
            rng.lognormal(4, 0.4, count),
            rng.beta(1, 30, count),
            rng.random(count),
        )
    )


def requests(rng: np.random.Generator, count: int) -> Array:
    """Give what is known of each request: (count, columns); drawn at random, so no branch can be guessed."""
    rows = np.full((count, len(COLUMNS)), np.nan)
    rows[:, :30] = rng.normal(size=(count, 30))
    rows[:, 30] = rng.integers(0, ROUTES, count)
    rows[:, 31] = rng.integers(0, TEAMS, count)
    rows[:, :20][rng.random((count, 20)) < 0.02] = np.nan
    return rows


def grow(folder: Path, rows: int, trees: int, leaves: int) -> list[lgb.Booster]:
    """Train the five forests, or read them where the folder has them."""
    folder.mkdir(parents=True, exist_ok=True)
    names = {head: folder / f"{head}-{rows}-{trees}x{leaves}.txt" for head in HEADS}
    if not all(path.exists() for path in names.values()):
        rng = np.random.default_rng(0)
        x = requests(rng, rows)
        chosen = rng.integers(0, ENDPOINTS, rows)
        x[:, ~OF_REQUEST] = endpoints(rng)[chosen][:, ~OF_REQUEST]
        x[:, -5:] = state(rng, rows)
        known, skill = np.nan_to_num(x), rng.normal(size=(ENDPOINTS, 8))
        tokens = (
            (known[:, :8] * skill[chosen]).sum(axis=1) / 4
            + np.abs(known[:, 8])
            + rng.normal(size=(ROUTES, ENDPOINTS))[known[:, 30].astype(int), chosen]
        )
        seconds = tokens / 2 + np.log(x[:, -4] + np.exp(tokens / 4) / x[:, -3]) + 0.1 * x[:, -5]
        good = tokens / 3 + (known[:, 9:17] * skill[chosen]).sum(axis=1) / 3 + rng.logistic(size=rows) > 0
        noise = rng.normal(size=rows) / 2
        targets = [tokens + noise, tokens + noise, seconds + noise, seconds + noise, good.astype(float)]
        for (head, (_, goal)), target in zip(HEADS.items(), targets, strict=True):
            data = lgb.Dataset(x, target, categorical_feature=CODES, params={"max_bin": 63, "verbosity": -1})
            params = {"num_leaves": leaves, "learning_rate": 0.05, "feature_fraction": 0.5, "max_bin": 63, "seed": 0}
            made = lgb.train({**goal, **params, "verbosity": -1, "num_threads": 2, "deterministic": True}, data, trees)
            made.save_model(names[head])
    return [lgb.Booster(model_file=str(path)) for path in names.values()]


def snapshot(boosters: list[lgb.Booster], trees: int) -> Snapshot:
    """Publish the forests, with tables and prices that a real snapshot has too."""
    rng = np.random.default_rng(1)
    rows = endpoints(np.random.default_rng(2))
    heads = {
        name: Head(
            spec=HeadSpec(name=name, link=link, serve="forest", trees=trees),
            table=CategoryTable(values=rng.normal(size=(ROUTES + 1, ENDPOINTS)) / 9),
            offset=np.zeros(ENDPOINTS),
            scale=np.ones((2, ENDPOINTS)),
        )
        for name, (link, _) in HEADS.items()
    }
    manifest = Manifest(
        format=FORMAT,
        version=1,
        created_at="2026-01-01T00:00:00+00:00",
        feature_version=FEATURE_VERSION,
        columns=COLUMNS,
        categories={
            "route": [f"route {at}" for at in range(ROUTES)],
            "team": [f"team {at}" for at in range(TEAMS)],
            "endpoint": [f"endpoint {at}" for at in range(ENDPOINTS)],
            "provider": [f"provider {at}" for at in range(6)],
        },
        endpoints=[
            Endpoint(name=f"endpoint {at}", provider_name="p", model=f"m{at}", input_usd=1e-6, output_usd=4e-6)
            for at in range(ENDPOINTS)
        ],
        heads=[head.spec for head in heads.values()],
    )
    made = Snapshot(
        manifest=manifest,
        heads=heads,
        forests=pack([compile_trees(one.model_to_string(), "head") for one in boosters], len(COLUMNS)),
        endpoint_rows=rows,
        margin_edges=np.linspace(0.1, 0.9, 9),
        margins=np.full((ENDPOINTS, 10), 0.05),
    )
    return Snapshot.from_bytes(made.to_bytes())
