import numpy as np
import pytest
from msgspec.structs import replace

from fairlead.scoring.forest import Forest
from fairlead.scoring.manifest import FORMAT, Column, Endpoint, HeadSpec, Manifest
from fairlead.scoring.request import FEATURE_VERSION
from fairlead.scoring.snapshot import Head, Snapshot
from fairlead.scoring.table import CategoryTable

COLUMNS = [
    Column("route", "request", "category"),
    Column("text_bytes_log", "request"),
    Column("text_family_sql", "request"),
    Column("tools", "request"),
    Column("customer_tier", "request", "category"),
    Column("endpoint", "endpoint", "category"),
]
NAMES = ("small", "middle", "large", "unpriced")


def grown(rng, trees=12, leaves=8):
    """A forest of random trees over COLUMNS: numbers, categories, missing values."""
    parts = {name: [] for name in ("roots", "feature", "threshold", "decision", "left", "right", "leaf", "words")}
    for _ in range(trees):
        first, first_leaf = len(parts["feature"]), len(parts["leaf"])
        parts["roots"].append(first)
        for node in range(leaves - 1):  # a chain: left is a leaf, right the next node
            column = int(rng.integers(0, len(COLUMNS)))
            parts["feature"].append(column)
            if COLUMNS[column].kind == "category":
                parts["threshold"].append(len(parts["words"]))
                parts["words"].append(int(rng.integers(0, 16)))
                parts["decision"].append(1)
            else:
                parts["threshold"].append(float(rng.choice([0.5, 1.0, 2.0, 3.0, 4.0, 5.0])))
                parts["decision"].append(int(rng.integers(0, 2)) * 2 + int(rng.integers(0, 3)) * 4)
            parts["left"].append(-1 - (first_leaf + node))
            parts["right"].append(first + node + 1 if node < leaves - 2 else -1 - (first_leaf + node + 1))
        parts["leaf"] += (rng.normal(size=leaves) / 10).tolist()
    return Forest(
        roots=np.array(parts["roots"], np.int32),
        feature=np.array(parts["feature"], np.int32),
        threshold=np.array(parts["threshold"], np.float64),
        decision=np.array(parts["decision"], np.uint8),
        left=np.array(parts["left"], np.int32),
        right=np.array(parts["right"], np.int32),
        leaf=np.array(parts["leaf"]),
        set_start=np.arange(len(parts["words"]) + 1, dtype=np.int32),
        set_words=np.array(parts["words"], np.uint32),
    )


def snapshot_of(seed=0, reference=True):
    """A snapshot of four endpoints whose quality, tokens and latency come from random forests and tables."""
    rng = np.random.default_rng(seed)
    heads = {}
    for name, link, level in (
        ("quality", "sigmoid", 0.5),
        ("input_tokens", "exp", 0.0),
        ("output_tokens", "exp", 5.0),
        ("output_tokens_p90", "exp", 6.0),
        ("latency_s", "exp", 0.5),
        ("latency_p90_s", "exp", 1.5),
    ):
        forest = None if name == "input_tokens" else grown(rng)
        heads[name] = Head(
            spec=HeadSpec(name=name, link=link, serve="table" if forest is None else "forest"),
            table=CategoryTable(values=level + rng.normal(size=(3, len(NAMES))) / 4),
            offset=rng.normal(size=len(NAMES)) / 10,
            scale=1 + rng.random((2, len(NAMES))) / 2,
            forest=forest,
        )
    prices = ((1e-6, 4e-6), (3e-6, 9e-6), (8e-6, 3e-5), (None, None))
    manifest = Manifest(
        format=FORMAT,
        version=1,
        created_at="2026-01-01T00:00:00+00:00",
        feature_version=FEATURE_VERSION,
        columns=COLUMNS,
        categories={"route": ["chat", "maths"], "customer_tier": ["free", "paid"], "endpoint": list(NAMES)},
        endpoints=[
            Endpoint(name=name, provider_name="acme", model=name, input_usd=pair[0], output_usd=pair[1])
            for name, pair in zip(NAMES, prices, strict=True)
        ],
        heads=[head.spec for head in heads.values()],
    )
    own = np.full((len(NAMES), len(COLUMNS)), np.nan)
    own[:, -1] = range(len(NAMES))
    made = Snapshot(
        manifest=manifest,
        heads=heads,
        endpoint_rows=own,
        margin_edges=np.zeros(0),
        margins=np.full((len(NAMES), 1), 0.1),
        reference=np.array([0.0, 4.0, 0.0, np.nan, 0.0, np.nan]) if reference else None,
    )
    return Snapshot.from_bytes(made.to_bytes())


@pytest.fixture(scope="session")
def make():
    return snapshot_of


@pytest.fixture(scope="session")
def snapshots():
    return [snapshot_of(seed) for seed in range(6)]


@pytest.fixture
def priced():
    """Three endpoints, all with a price."""
    whole = snapshot_of()
    ends = [replace(end, input_usd=2e-6, output_usd=6e-6) if end.input_usd is None else end
            for end in whole.manifest.endpoints]  # fmt: skip
    return replace(whole, manifest=replace(whole.manifest, endpoints=ends))
