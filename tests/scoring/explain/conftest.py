import numpy as np
import pytest
from msgspec.structs import replace

from fairlead.publish.pack import pack
from fairlead.scoring.manifest import FORMAT, Column, Endpoint, HeadSpec, Manifest
from fairlead.scoring.request import FEATURE_VERSION
from fairlead.scoring.snapshot import Head, Snapshot
from fairlead.scoring.table import CategoryTable
from fairlead.scoring.trees import Node, Tree

COLUMNS = [
    Column("route", "request", "category"),
    Column("text_bytes_log", "request"),
    Column("text_family_sql", "request"),
    Column("tools", "request"),
    Column("customer_tier", "request", "category"),
    Column("endpoint", "endpoint", "category"),
]
NAMES = ("small", "middle", "large", "unpriced")


def grown(rng, count=12, leaves=8):
    """Random trees over COLUMNS: numbers, categories, missing values."""
    trees = []
    for _ in range(count):
        nodes = []
        for at in range(leaves - 1):  # a chain: left is a leaf, right the next node
            column = int(rng.integers(0, len(COLUMNS)))
            is_set = COLUMNS[column].kind == "category"
            chosen = [code for code in range(4) if rng.random() < 0.5]
            nodes.append(
                Node(
                    column=column,
                    threshold=0.0 if is_set else float(rng.choice([0.5, 1.0, 2.0, 3.0, 4.0, 5.0])),
                    categories=frozenset(chosen) if is_set else None,
                    default_left=not is_set and bool(rng.integers(0, 2)),
                    missing=0 if is_set else int(rng.integers(0, 3)),
                    left=-1 - at,
                    right=at + 1 if at < leaves - 2 else -2 - at,
                )
            )
        trees.append(Tree(root=0, nodes=nodes, values=(rng.normal(size=leaves) / 10).tolist()))
    return trees


def snapshot_of(seed=0, reference=True):
    """A snapshot of four endpoints whose quality, tokens and latency come from random forests and tables."""
    rng = np.random.default_rng(seed)
    heads, forests = {}, []
    for name, link, level in (
        ("quality", "sigmoid", 0.5),
        ("input_tokens", "exp", 0.0),
        ("output_tokens", "exp", 5.0),
        ("output_tokens_p90", "exp", 6.0),
        ("latency_s", "exp", 0.5),
        ("latency_p90_s", "exp", 1.5),
    ):
        serve = "table" if name == "input_tokens" else "forest"
        if serve == "forest":
            forests.append(grown(rng))
        heads[name] = Head(
            spec=HeadSpec(name=name, link=link, serve=serve),
            table=CategoryTable(values=level + rng.normal(size=(3, len(NAMES))) / 4),
            offset=rng.normal(size=len(NAMES)) / 10,
            scale=1 + rng.random((2, len(NAMES))) / 2,
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
        forests=pack(forests, len(COLUMNS)),
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
