import datetime
from decimal import Decimal

import lightgbm as lgb
import numpy as np
import pytest
from msgspec.structs import replace

from fairlead.errors import GateError, ModelError, UsageError
from fairlead.ingest import prices
from fairlead.publish import assemble, audit, audit_rows, endpoints_of
from fairlead.scoring import Request, Router, Snapshot
from fairlead.scoring.manifest import Column, Endpoint
from fairlead.scoring.request import FEATURE_VERSION
from fairlead.training.predictor import TrainedHead, TrainedPredictor
from fairlead.training.spec import Gate, HeadPlan, Spec

NOON = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)
ENDPOINTS = [Endpoint(name=name, provider_name="acme", model=name) for name in ("cheap", "dear")]
COLUMNS = [
    Column("route", "request", "category"),
    Column("tools", "request"),
    Column("endpoint", "endpoint", "category"),
]


@pytest.fixture(scope="module")
def booster():
    rng = np.random.default_rng(0)
    x = np.column_stack((rng.integers(0, 2, 600), rng.normal(size=600), rng.integers(0, 2, 600))).astype(float)
    y = x[:, 0] * x[:, 2] + x[:, 1] + rng.normal(size=600) / 10
    params = {"verbosity": -1, "num_threads": 1, "deterministic": True, "num_leaves": 7}
    data = lgb.Dataset(x, y, categorical_feature=[0, 2], params={"verbosity": -1, "min_data_per_group": 5})
    return lgb.train(params, data, 10).model_to_string()


def trained(plan, booster="", until=NOON, margins=None, **changes):
    head = TrainedHead(
        plan=plan,
        link="sigmoid" if plan.alpha is None else "exp",
        serve="forest" if booster else "table",
        trees=10 if booster else 0,
        metrics={},
        booster=booster,
        table=np.zeros((3, 2)),
        offset=np.zeros(2),
        scale=np.ones((2, 2)),
    )
    predictor = TrainedPredictor(
        spec=Spec(features=[], heads=[plan], gate=Gate(metric="brier"), name=plan.target),
        feature_version=FEATURE_VERSION,
        trained_from=0.0,
        trained_until=until.timestamp(),
        rows=600,
        columns=COLUMNS,
        categories={"route": ["chat", "maths"], "endpoint": ["cheap", "dear"]},
        endpoints=["cheap", "dear"],
        providers=["acme", "acme"],
        models=["cheap", "dear"],
        heads=[head],
        endpoint_rows=np.array([[np.nan, np.nan, 0.0], [np.nan, np.nan, 1.0]]),
        margin_edges=None if margins is None else np.array([0.5]),
        margins=margins,
    )
    return replace(predictor, **changes)


def quality(booster, **changes):
    return trained(HeadPlan(name="quality", target="quality"), booster, **changes)


def latency(**changes):
    return trained(HeadPlan(name="latency_s", target="duration_s", alpha=0.5), **changes)


def assembled(*predictors, policy="intelligent", parameters=None):
    made = assemble(
        list(predictors), ENDPOINTS, policy=policy, parameters=parameters or {}, version=7, lineage={"run": "r"}
    )
    return Snapshot.from_bytes(made.to_bytes())


def test_predictors_become_one_snapshot(booster):
    margins = np.array([[0.2, 0.1], [0.3, 0.1]])
    later = NOON + datetime.timedelta(hours=1)
    state = np.array([[np.nan, 5.0, 0.0], [np.nan, 6.0, 1.0]])

    got = assembled(quality(booster, margins=margins), latency(until=later, endpoint_rows=state))

    assert (got.manifest.version, got.manifest.policy, got.endpoints) == (7, "intelligent", ("cheap", "dear"))
    assert {name: head.spec.serve for name, head in got.heads.items()} == {"quality": "forest", "latency_s": "table"}
    assert got.manifest.lineage == {"run": "r", "trained_until": "2026-01-01T13:00:00+00:00"}
    assert got.margins.tolist() == margins.tolist()
    assert got.endpoint_rows[:, 1:].tolist() == state[:, 1:].tolist()  # the newest state


def test_without_margins_no_quality_is_certain(booster):
    decision = Router(assembled(quality(booster))).decide(Request(id="r"))

    assert {one.quality_low for one in decision.ranked} == {0.0}


@pytest.mark.parametrize(
    "changes",
    [
        {"endpoints": ["cheap", "other"]},
        {"models": ["cheap", "other"]},
        {"columns": COLUMNS[:2]},
        {"categories": {"route": ["chat"], "endpoint": ["cheap", "dear"]}},
        {"feature_version": FEATURE_VERSION + 1},
    ],
)
def test_predictors_that_do_not_fit_together_are_refused(booster, changes):
    with pytest.raises(GateError, match="duration_s and quality were trained on different endpoints, routes"):
        assembled(quality(booster), latency(**changes))


def test_a_policy_that_cannot_be_built_is_refused(booster):
    with pytest.raises(UsageError, match="usd_price must be"):
        assembled(quality(booster), parameters={"usd_price": -1.0})


def test_a_damaged_booster_is_refused(booster):
    with pytest.raises(ModelError, match="quality: a damaged LightGBM text model"):
        assembled(quality(booster.replace("leaf_value=", "lost=")))


def test_the_audit_follows_the_booster_and_catches_a_leaf_that_is_off(booster):
    predictor = quality(booster)
    snapshot = assembled(predictor, latency())
    rows = audit_rows(snapshot)
    narrow = snapshot.forests.narrow.copy()
    narrow[0] += int(1e-4 / 2.0 ** int(snapshot.forests.exponent[0]))
    tampered = replace(snapshot, forests=replace(snapshot.forests, narrow=narrow))

    assert audit(snapshot, [predictor], rows) <= 1e-6
    with pytest.raises(GateError, match=r"quality: the compiled forest differs from its booster by 1.00e-04 in numpy"):
        audit(tampered, [predictor], rows)


def test_audit_rows_reach_every_split_and_what_was_never_seen(booster):
    snapshot = assembled(quality(booster))

    rows = audit_rows(snapshot)

    cuts = snapshot.forests.thresholds
    assert rows.shape == (2000, 3)
    assert set(cuts) <= set(rows[:, 1])
    assert {-1.0, 0.0, 1.0, 2.0, 3.0} == set(rows[np.isfinite(rows[:, 0]), 0])
    assert np.isnan(rows).any(axis=0).all()
    assert rows.tobytes() == audit_rows(snapshot).tobytes()


def test_endpoints_carry_the_price_in_force_when_they_were_trained(booster, tmp_path):
    (tmp_path / "prices.csv").write_text(
        "provider_name,model,region,service_tier,min_input_tokens,valid_from,input,output,cache_read,cache_creation,"
        "cache_creation_1h,reasoning,catalog,catalog_version,retrieved_at,context_window,max_output_tokens\n"
        "acme,cheap,,standard,0,2025-01-01,1,2,,,,,us,1,2025-01-01,,\n"
        "acme,cheap,,standard,0,2026-02-01,8,9,,,,,us,1,2026-02-01,,\n"
    )

    got = endpoints_of(quality(booster), prices.read(tmp_path / "prices.csv"))

    assert [(one.name, one.input_usd, one.output_usd) for one in got] == [
        ("cheap", float(Decimal("1e-6")), float(Decimal("2e-6"))),
        ("dear", None, None),
    ]
