from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest

from fairlead.scoring.forest import Forest
from fairlead.scoring.manifest import FORMAT, Column, Endpoint, HeadSpec, Manifest
from fairlead.scoring.request import FEATURE_VERSION
from fairlead.scoring.snapshot import Head, Snapshot
from fairlead.scoring.table import CategoryTable

NAMES = ("good", "cheap", "unpriced")


def _stump() -> Forest:
    """More than two tools: +1, else -1; and on endpoint "cheap" (code 1): +0.5, else 0."""
    return Forest(
        roots=np.array([0, 1], np.int32),
        feature=np.array([1, 2], np.int32),
        threshold=np.array([2.0, 0.0]),
        decision=np.array([2 + 8, 1], np.uint8),
        left=np.array([-1, -3], np.int32),
        right=np.array([-2, -4], np.int32),
        leaf=np.array([-1.0, 1.0, 0.5, 0.0]),
        set_start=np.array([0, 1], np.int32),
        set_words=np.array([0b10], np.uint32),
    )


def _head(name: str, link: Any, table: Any, **changes: Any) -> Head:
    forest = changes.get("forest")
    return Head(
        spec=HeadSpec(name=name, link=link, serve="forest" if forest else "table", trees=2 if forest else 0),
        table=CategoryTable(values=np.array(table, dtype=np.float64)),
        offset=np.array(changes.get("offset", (0.0, 0.0, 0.0))),
        scale=np.array(changes.get("scale", np.ones((2, 3)))),
        forest=forest,
    )


@pytest.fixture
def make() -> Callable[..., Snapshot]:
    """A function that makes a snapshot of three endpoints and two routes, small enough to compute by hand."""

    def snapshot(*, sha256: bool = True, heads: dict[str, Head] | None = None, **changes: Any) -> Snapshot:
        found = heads or {
            "quality": _head(
                "quality",
                "sigmoid",
                [[2.0, 1.0, 0.0], [1.0, 0.0, -1.0], [0.5, 0.25, 0.0]],
                forest=_stump(),
                offset=(0.1, 0.2, 0.3),
            ),
            "input_tokens": _head("input_tokens", "exp", np.zeros((3, 3))),
            "output_tokens": _head(
                "output_tokens", "exp", np.log([[100.0, 50, 20], [200, 90, 30], [10, 10, 10]]), scale=[[2.0] * 3, [9.0] * 3]
            ),
            "output_tokens_p90": _head("output_tokens_p90", "exp", np.log(np.full((3, 3), 300.0))),
            "latency_s": _head("latency_s", "exp", np.log(np.tile([2.0, 1.0, 0.5], (3, 1)))),
            "latency_p90_s": _head("latency_p90_s", "exp", np.log(np.tile([1.0, 4.0, 5.0], (3, 1)))),
        }
        manifest = Manifest(
            format=FORMAT,
            version=changes.pop("version", 1),
            created_at="2026-01-01T00:00:00+00:00",
            feature_version=changes.pop("feature_version", FEATURE_VERSION),
            columns=[
                Column("route", "request", "category"),
                Column("tools", "request"),
                Column("endpoint", "endpoint", "category"),
                Column("errors_share", "state"),
            ],
            categories={"route": ["chat", "maths"], "endpoint": list(NAMES)},
            endpoints=[
                Endpoint(name="good", provider_name="p", model="good", input_usd=1e-5, output_usd=1e-4),
                Endpoint(name="cheap", provider_name="p", model="cheap", input_usd=1e-6, output_usd=1e-5),
                Endpoint(name="unpriced", provider_name="q", model="unpriced"),
            ],
            heads=[head.spec for head in found.values()],
            policy=changes.pop("policy", "intelligent"),
            parameters=changes.pop("parameters", {"usd_price": 1.0}),
            lineage={"quality": "version 1"},
        )
        made = Snapshot(
            manifest=msgspec.structs.replace(manifest, **changes),
            heads=found,
            endpoint_rows=np.array([[np.nan, np.nan, k, 0.01 * k] for k in range(3)]),
            margin_edges=np.array([0.5]),
            margins=np.array([[0.3, 0.1], [0.2, 0.05], [0.9, 0.4]]),
        )
        return Snapshot.from_bytes(made.to_bytes()) if sha256 else made

    return snapshot


@pytest.fixture
def tiny(make: Callable[..., Snapshot]) -> Snapshot:
    return make()
