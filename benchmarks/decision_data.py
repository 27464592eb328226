"""What whole decisions are measured on: prompts of real text, and forests that look at all of their features."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
from forest_data import ENDPOINTS, HEADS, ROUTES

from fairlead.publish.compile import compile_trees
from fairlead.publish.pack import pack
from fairlead.scoring.dense import Dense, DenseHead, Layer
from fairlead.scoring.manifest import FORMAT, Column, Endpoint, HeadSpec, Manifest
from fairlead.scoring.parts import Parts
from fairlead.scoring.projection import Projection
from fairlead.scoring.request import FEATURE_VERSION, TEXT_FEATURES, text_features
from fairlead.scoring.snapshot import Head, Snapshot
from fairlead.scoring.table import CategoryTable

Array = np.ndarray[Any, Any]
WIDTH, BUCKETS, HIDDEN = 128, 8192, 64
COLUMNS = [
    *(Column(name, "request") for name in TEXT_FEATURES),
    Column("route", "request", "category"),
    Column("tools", "request"),
    Column("endpoint", "endpoint", "category"),
    Column("provider", "endpoint", "category"),
    *(Column(name, "endpoint") for name in ("input_usd", "output_usd", "context")),
]


def prompts(count: int, seed: int) -> list[str]:
    """Cut prompts out of this repository's texts: 439 characters in the middle, as long-tailed as real ones are."""
    root = Path(__file__).parents[1]
    files = sorted(path for kind in ("*.md", "*.py", "*.sql") for path in root.glob(f"[!.]*/**/{kind}"))
    whole = "\n".join(path.read_text(encoding="utf-8") for path in [root / "README.md", *files] if path.is_file())
    rng = np.random.default_rng(seed)
    sizes = np.clip(np.exp(np.log(439) + 0.9 * rng.standard_normal(count)), 20, 8000).astype(int)
    return [whole[at : at + size] for at, size in zip(rng.integers(0, len(whole) - 8000, count), sizes, strict=True)]


def _endpoints() -> Array:
    rng = np.random.default_rng(3)
    price = rng.lognormal(0, 1, ENDPOINTS)
    own = [np.arange(ENDPOINTS), np.arange(ENDPOINTS) % 6, price, 4 * price, rng.choice([8, 32, 128], ENDPOINTS)]
    return np.column_stack(own)


def grow(folder: Path, rows: int = 60_000, trees: int = 200, leaves: int = 31) -> list[str]:
    """Train the five forests, or read them where the folder has them; as LightGBM's text."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{head}-{rows}-{trees}x{leaves}-{FEATURE_VERSION}.txt" for head in HEADS]
    if not all(path.exists() for path in paths):
        rng = np.random.default_rng(0)
        text = np.array([text_features(prompt) for prompt in prompts(rows // 4, 1)], dtype=np.float64)
        text = text[rng.integers(0, len(text), rows)]
        chosen, route = rng.integers(0, ENDPOINTS, rows), rng.integers(0, ROUTES, rows)
        x = np.column_stack((text, route, rng.integers(0, 4, rows), _endpoints()[chosen]))
        z = (text - text.mean(axis=0)) / (text.std(axis=0) + 1e-9)
        skill = rng.normal(size=(ENDPOINTS, z.shape[1]))
        tokens = (z * skill[chosen]).sum(axis=1) / 12 + rng.normal(size=(ROUTES, ENDPOINTS))[route, chosen]
        seconds = tokens / 2 + rng.normal(size=ENDPOINTS)[chosen]
        good = tokens / 3 + (np.tanh(z) * skill[::-1][chosen]).sum(axis=1) / 9 + rng.logistic(size=rows) > 0
        targets = [tokens, tokens, seconds, seconds, good]
        codes = [at for at, column in enumerate(COLUMNS) if column.kind == "category"]
        for path, (_, goal), target in zip(paths, HEADS.values(), targets, strict=True):
            noisy = target + 0.0 if target.dtype == bool else target + rng.normal(size=rows) / 2
            data = lgb.Dataset(x, noisy, categorical_feature=codes, params={"max_bin": 63, "verbosity": -1})
            given = {"num_leaves": leaves, "learning_rate": 0.05, "feature_fraction": 0.5, "max_bin": 63, "seed": 0}
            lgb.train({**goal, **given, "verbosity": -1, "num_threads": 2}, data, trees).save_model(path)
    return [path.read_text() for path in paths]


def snapshot(texts: list[str], *, dense: bool = False) -> Snapshot:
    """Publish the forests with tables and prices; `dense` adds a projection of the text and two networks over it."""
    rng = np.random.default_rng(1)
    heads = {
        name: Head(
            spec=HeadSpec(name=name, link=link, serve="forest", trees=200),  # type: ignore[arg-type]
            table=CategoryTable(values=rng.normal(size=(ROUTES + 1, ENDPOINTS)) / 9),
            offset=np.zeros(ENDPOINTS),
            scale=np.ones((2, ENDPOINTS)),
        )
        for name, (link, _) in HEADS.items()
    }
    names = [f"provider-{at % 6}/model-{at:02}" for at in range(ENDPOINTS)]
    manifest = Manifest(
        format=FORMAT,
        version=1,
        created_at="2026-01-01T00:00:00+00:00",
        feature_version=FEATURE_VERSION,
        columns=COLUMNS,
        categories={
            "route": [f"route {at}" for at in range(ROUTES)],
            "endpoint": names,
            "provider": [f"provider-{at}" for at in range(6)],
        },
        endpoints=[
            Endpoint(name=name, provider_name=name.split("/")[0], model=name, input_usd=1e-6, output_usd=4e-6)
            for name in names
        ],
        heads=[head.spec for head in heads.values()],
        parameters={"usd_price": 20.0, "second_price": 0.01, "temperature": 0.02, "exploration": 0.1},
    )
    rows = np.full((ENDPOINTS, len(COLUMNS)), np.nan)
    rows[:, -5:] = _endpoints()
    made = Snapshot(
        manifest=manifest,
        heads=heads,
        forests=pack([compile_trees(text, "head") for text in texts], len(COLUMNS)),
        endpoint_rows=rows,
        margin_edges=np.linspace(0.1, 0.9, 9),
        margins=np.full((ENDPOINTS, 10), 0.05),
        parts=_parts(rng) if dense else Parts(),
    )
    return Snapshot.from_bytes(made.to_bytes())


def _parts(rng: np.random.Generator) -> Parts:
    own = [(at, -1) for at in range(len(TEXT_FEATURES) + 2) if COLUMNS[at].kind == "number"]
    inputs = np.array([*((-1, at) for at in range(WIDTH)), *own], dtype=np.int32)

    def layer(rows: int, columns: int, relu: bool) -> Layer:
        weights = (rng.normal(size=(rows, columns)) / np.sqrt(rows)).astype(np.float32)
        return Layer(weights=weights, bias=np.zeros(columns, np.float32), relu=relu)

    def head(*layers: Layer) -> DenseHead:
        size = len(inputs)
        platt = np.array([np.ones(ENDPOINTS), np.zeros(ENDPOINTS)], np.float32)
        return DenseHead(center=np.zeros(size, np.float32), scale=np.ones(size, np.float32), layers=layers, platt=platt)

    networks = {
        "mlp": head(layer(len(inputs), HIDDEN, True), layer(HIDDEN, ENDPOINTS, False)),
        "mirt": head(layer(len(inputs), 8, False), layer(8, ENDPOINTS, False)),
    }
    mean = np.full(ENDPOINTS, 0.6, np.float32)
    return Parts(
        projection=Projection(
            rows=(rng.normal(size=(BUCKETS, WIDTH)) / 30).astype(np.float32), idf=np.ones(BUCKETS, np.float32)
        ),
        dense=Dense(inputs=inputs, heads=networks, mean=mean, share=0.5),
    )
