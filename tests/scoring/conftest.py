import numpy as np
import pytest

from fairlead.publish.pack import pack
from fairlead.scoring.manifest import FORMAT, Column, Endpoint, HeadSpec, Manifest
from fairlead.scoring.request import FEATURE_VERSION
from fairlead.scoring.snapshot import Head, Snapshot
from fairlead.scoring.table import CategoryTable
from fairlead.scoring.trees import Node, Tree


def _head(name, link, table, serve="table", offset=(0.0, 0.0), scale=((1.0, 1.0), (1.0, 1.0))):
    return Head(
        spec=HeadSpec(name=name, link=link, serve=serve, trees=int(serve == "forest")),
        table=CategoryTable(values=np.array(table, dtype=np.float64)),
        offset=np.array(offset),
        scale=np.array(scale),
    )


def _snapshot(version=1, policy="intelligent", parameters=None, prices=((1e-6, 2e-6), (1e-5, 4e-5))):
    # One tree: route code 0 (maths) at endpoint code 1 (dear) gains 1 in logits.
    tree = Tree(
        root=1,
        nodes=[
            Node(column=1, threshold=0.0, categories=frozenset([1]), default_left=False, missing=0, left=-1, right=-2),
            Node(column=0, threshold=0.5, categories=None, default_left=False, missing=2, left=0, right=-3),
        ],
        values=[1.0, 0.0, 0.0],
    )
    routes = ["maths", "chat"]
    names = (("cheap", prices[0]), ("dear", prices[1]))
    manifest = Manifest(
        format=FORMAT,
        version=version,
        created_at="2026-01-01T00:00:00+00:00",
        feature_version=FEATURE_VERSION,
        columns=[Column("route", "request", "category"), Column("endpoint", "endpoint", "category")],
        categories={"route": routes, "endpoint": ["cheap", "dear"]},
        endpoints=[
            Endpoint(name=name, provider_name="acme", model=name, input_usd=pair[0], output_usd=pair[1])
            for name, pair in names
        ],
        heads=[],
        policy=policy,
        parameters={"usd_price": 10.0} if parameters is None else parameters,
    )
    log = np.log
    heads = [
        _head("quality", "sigmoid", [[0.0, 1.0], [2.0, 2.0], [0.5, 1.5]], "forest"),
        _head("input_tokens", "exp", np.zeros((3, 2))),
        _head("output_tokens", "exp", log([[100, 100], [200, 200], [150, 150]]), scale=((1.5, 1.5), (9, 9))),
        _head("output_tokens_p90", "exp", log([[300, 300], [400, 400], [350, 350]])),
        _head("latency_s", "exp", log([[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]])),
        _head("latency_p90_s", "exp", log([[2.0, 1.0], [2.0, 5.0], [2.0, 4.0]])),
    ]
    from msgspec.structs import replace

    return Snapshot(
        manifest=replace(manifest, heads=[head.spec for head in heads]),
        heads={head.spec.name: head for head in heads},
        forests=pack([[tree]], 2),
        endpoint_rows=np.array([[np.nan, 0.0], [np.nan, 1.0]]),
        margin_edges=np.array([0.7]),
        margins=np.array([[0.3, 0.1], [0.2, 0.05]]),
    )


@pytest.fixture(scope="session")
def make_snapshot():
    return _snapshot


@pytest.fixture
def snapshot():
    return Snapshot.from_bytes(_snapshot().to_bytes())
