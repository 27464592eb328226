import threading

import lightgbm as lgb
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fairlead.errors import UsageError
from fairlead.publish.compile import compile_trees
from fairlead.publish.pack import pack
from fairlead.scoring.engine import Engine, kind_of
from fairlead.scoring.forest import Forests
from fairlead.scoring.manifest import Column
from fairlead.scoring.trees import Node, Tree

OWNERS = ("request", "request", "request", "endpoint", "state", "request", "endpoint")
COLUMNS = [Column(f"column {at}", owner, "category" if at > 4 else "number") for at, owner in enumerate(OWNERS)]
OF_REQUEST = np.array([owner == "request" for owner in OWNERS])
CATEGORIES = 40
KINDS = ["numpy", *(["numba"] if kind_of() == "numba" else [])]
SETTINGS = {
    "regression": {"objective": "regression", "num_leaves": 31},
    "quantile of few leaves": {"objective": "quantile", "alpha": 0.9, "num_leaves": 2},
    "binary of 64 leaves": {"objective": "binary", "num_leaves": 64},
    "cross entropy": {"objective": "cross_entropy", "num_leaves": 15},
    "zero as missing": {"objective": "regression", "num_leaves": 32, "zero_as_missing": True},
    "no missing values": {"objective": "regression", "num_leaves": 31, "use_missing": False},
    "leaves too large to round": {"objective": "regression", "num_leaves": 31, "learning_rate": 1.0, "scale": 1e9},
}
# A forest's sum is as exact as its leaves: what a float64 holds of them, or a millionth.
EXACT = {"leaves too large to round": 1e-4}


def grown(seed, rows=1200, trees=12, scale=1.0, **chosen):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, len(OWNERS)))
    x[rng.random(x.shape) < 0.1] = np.nan
    x[rng.random(x.shape) < 0.1] = 0.0
    x[:, 5:] = rng.integers(0, CATEGORIES, (rows, 2))
    x[::11, 5] = np.nan
    effect = rng.normal(size=(2, CATEGORIES))[[0, 1], np.nan_to_num(x[:, 5:]).astype(int)].prod(axis=1)
    known = np.nan_to_num(x)
    y = known[:, 0] * effect + known[:, 3] * known[:, 1] + known[:, 4] ** 2 + rng.normal(size=rows) / 4
    label = (y > 0.5).astype(float) if chosen.get("objective") in {"binary", "cross_entropy"} else y * scale
    data = {"verbosity": -1, "min_data_per_group": 5, "max_bin": chosen.pop("max_bin", 255)}
    common = {"verbosity": -1, "num_threads": 1, "seed": 1, "deterministic": True, "cat_smooth": 1}
    made = lgb.Dataset(x, label, categorical_feature=[5, 6], params=data)
    return lgb.train({**common, **chosen, **data}, made, trees)


def packed(*boosters):
    return pack([compile_trees(one.model_to_string(), "head") for one in boosters], len(OWNERS))


def expected(boosters, requests, endpoints):
    rows = np.where(OF_REQUEST, requests[:, None, :], endpoints[None, :, :]).reshape(-1, len(OWNERS))
    sums = [one.predict(rows, raw_score=True, num_threads=1) for one in boosters]
    return np.stack(sums, axis=1).reshape(len(requests), len(endpoints), -1).swapaxes(1, 2)


@pytest.fixture(scope="module", params=SETTINGS, ids=lambda name: name.replace(" ", "_"))
def pair(request):
    boosters = [grown(3, **SETTINGS[request.param]), grown(4, **SETTINGS[request.param])]
    return boosters, packed(*boosters), EXACT.get(request.param, 1e-6)


@pytest.fixture(scope="module")
def small():
    boosters = [grown(5, trees=6, num_leaves=31), grown(6, trees=6, num_leaves=7, objective="quantile", alpha=0.5)]
    return boosters, packed(*boosters)


ordinary = st.floats(-4, 4) | st.sampled_from([0.0, -0.0, np.nan])
extreme = st.sampled_from([1e300, -1e300, np.inf, -np.inf, 1e-300, 1e-20])
KZERO = float(np.float32(1e-35))  # what LightGBM takes for zero, itself included
TINY = [
    sign * size for sign in (1, -1) for size in (5e-324, 1e-300, 5e-36, 1e-35, KZERO, np.nextafter(KZERO, 1), 2e-35)
]
category = st.sampled_from([*range(-3, CATEGORIES + 70), np.nan, 1e6, 2**31 - 1.0, -0.5, 4.999])


@st.composite
def rows(draw, count):
    numbers = draw(arrays(np.float64, (count, 5), elements=ordinary | extreme | st.sampled_from(TINY)))
    codes = draw(arrays(np.float64, (count, 2), elements=category))
    return np.column_stack((numbers, codes))


@pytest.mark.parametrize("kind", KINDS)
@given(requests=rows(5), endpoints=rows(4))
@settings(max_examples=30, deadline=None)
def test_an_engine_gives_what_its_boosters_predict(pair, kind, requests, endpoints):
    boosters, forests, exact = pair
    engine = Engine(forests, COLUMNS, endpoints, kind=kind)

    together = engine.raw_batch(requests, threads=2)

    assert np.abs(together - expected(boosters, requests, endpoints)).max() <= exact
    assert np.stack([engine.raw(one) for one in requests]).tobytes() == together.tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_tiny_numbers_and_the_thresholds_themselves_go_the_boosters_way(pair, kind):
    boosters, forests, exact = pair
    cuts = forests.thresholds
    values = np.concatenate((cuts, np.nextafter(cuts, np.inf), np.nextafter(cuts, -np.inf)))
    values = np.concatenate((values, np.repeat([*TINY, 0.0, np.nan, 2.0**31, -(2.0**31), -0.5, 4.999], 20)))
    drawn = np.random.default_rng(0).choice(values, (200, len(OWNERS)))

    got = Engine(forests, COLUMNS, drawn[:20], kind=kind).raw_batch(drawn)

    assert np.abs(got - expected(boosters, drawn, drawn[:20])).max() <= exact


@given(
    seed=st.integers(0, 99),
    scale=st.sampled_from([1e-6, 1.0, 30.0]),
    chosen=st.fixed_dictionaries(
        {
            "num_leaves": st.integers(2, 64),
            "learning_rate": st.sampled_from([0.03, 0.3, 1.0]),
            "max_bin": st.sampled_from([3, 63, 255]),
            "min_data_in_leaf": st.sampled_from([1, 20]),
            "zero_as_missing": st.booleans(),
            "use_missing": st.booleans(),
            "linear_tree": st.just(False),
            "objective": st.sampled_from(["regression", "regression_l1", "quantile"]),
            "boosting": st.sampled_from(["gbdt", "dart"]),
        }
    ),
)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_forest_is_followed_by_both_engines(seed, scale, chosen):
    boosters = [grown(seed, rows=300, trees=5, scale=scale, **chosen), grown(seed + 1, rows=300, trees=2, num_leaves=9)]
    forests = packed(*boosters)
    rng = np.random.default_rng(seed)
    drawn = rng.choice([*forests.thresholds, 0.0, np.nan, 1.0, *range(-2, CATEGORIES + 2)], (60, len(OWNERS)))

    got = {kind: Engine(forests, COLUMNS, drawn[:9], kind=kind).raw_batch(drawn) for kind in KINDS}

    assert max(np.abs(one - expected(boosters, drawn, drawn[:9])).max() for one in got.values()) <= 1e-6
    assert np.ptp(list(got.values()), axis=0).max() <= 1e-12


@pytest.mark.parametrize("kind", KINDS)
def test_new_state_gives_what_an_engine_made_with_it_gives(small, kind):
    _, forests = small
    rng = np.random.default_rng(0)
    endpoints, requests = rng.normal(size=(5, len(OWNERS))), rng.normal(size=(20, len(OWNERS)))
    engine = Engine(forests, COLUMNS, endpoints, kind=kind)
    before = engine.raw_batch(requests)

    for place, value in ((2, 1.5), (0, np.nan), (2, -3.0)):
        endpoints[place, 4] = value
        engine.set_state(place, {"column 4": value})

    fresh = Engine(forests, COLUMNS, endpoints, kind=kind)
    assert engine.raw_batch(requests).tobytes() == fresh.raw_batch(requests).tobytes()
    assert engine.raw_batch(requests).tobytes() != before.tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_readers_see_one_state_or_the_other_and_no_mixture(small, kind):
    _, forests = small
    endpoints = np.random.default_rng(0).normal(size=(8, len(OWNERS)))
    endpoints[:, 6] = range(8)
    request = np.random.default_rng(1).normal(size=len(OWNERS))
    engine = Engine(forests, COLUMNS, endpoints, kind=kind)
    states = (0.1, 2.5)
    whole = set()
    for value in states:
        endpoints[:, 4] = value
        whole |= {sums.tobytes() for sums in Engine(forests, COLUMNS, endpoints, kind=kind).raw(request).T.copy()}
    for place in range(8):
        engine.set_state(place, {"column 4": states[0]})
    done, seen, failures = threading.Event(), set(), []

    def read():
        try:
            while not done.is_set():
                seen.update(sums.tobytes() for sums in engine.raw(request).T.copy())
        except Exception as fault:
            failures.append(fault)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for turn in range(400):
        engine.set_state(turn % 8, {"column 4": states[turn // 8 % 2]})
    done.set()
    for reader in readers:
        reader.join()

    assert (failures, seen - whole) == ([], set())
    assert len(seen) > 2


def test_a_column_that_is_no_state_cannot_be_set(small):
    engine = Engine(small[1], COLUMNS, np.zeros((2, len(OWNERS))), kind="numpy")

    with pytest.raises(UsageError, match="no state column is named 'column 0'; this snapshot has column 4"):
        engine.set_state(0, {"column 0": 1.0})


@pytest.mark.parametrize("kind", KINDS)
def test_a_forest_of_single_leaves_gives_their_sum(kind):
    x, y = np.zeros((30, len(OWNERS))), np.full(30, 7.0)
    booster = lgb.train({"verbosity": -1, "num_threads": 1}, lgb.Dataset(x, y, params={"verbosity": -1}), 1)

    engine = Engine(packed(booster, booster), COLUMNS, x[:3], kind=kind)

    assert engine.raw(x[0]).tolist() == [[7.0] * 3] * 2
    assert engine.raw_batch(x[:4]).tolist() == [[[7.0] * 3] * 2] * 4


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("owner", ["request", "endpoint", "state"])
def test_forests_of_one_owner_alone_need_no_other(small, kind, owner):
    boosters, forests = small
    columns = [Column(column.name, owner, column.kind) for column in COLUMNS]
    drawn = np.random.default_rng(0).normal(size=(6, len(OWNERS)))

    got = Engine(forests, columns, drawn, kind=kind).raw_batch(drawn)

    alone = np.stack([one.predict(drawn, raw_score=True, num_threads=1) for one in boosters])
    want = alone.T[:, :, None] if owner == "request" else alone[None]
    assert np.abs(got - want).max() <= 1e-6


@pytest.mark.parametrize("kind", KINDS)
def test_a_set_that_holds_no_category_sends_all_to_the_right(kind):
    node = Node(column=0, threshold=0.0, categories=frozenset(), default_left=False, missing=0, left=-1, right=-2)
    forests = pack([[Tree(root=0, nodes=[node], values=[1.0, 2.0])]], 1)

    engine = Engine(forests, [Column("team", "request", "category")], np.zeros((1, 1)), kind=kind)

    codes = np.array([[0.0], [-0.5], [1.0], [np.nan], [-1.0], [1e9], [np.inf]])
    assert engine.raw_batch(codes).ravel().tolist() == [2.0] * 7
    assert [float(engine.raw(code)[0, 0]) for code in codes] == [2.0] * 7


def test_no_forest_gives_no_sum_and_no_request_no_row(small):
    engine = Engine(Forests.empty(2), COLUMNS[:2], np.zeros((3, 2)))

    assert (engine.kind, engine.raw(np.zeros(2)).shape) == ("numpy", (0, 3))
    for kind in KINDS:
        none = Engine(small[1], COLUMNS, np.zeros((3, len(OWNERS))), kind=kind).raw_batch(np.zeros((0, len(OWNERS))))
        assert none.shape == (0, 2, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_any_layout_are_read_and_short_ones_refused(small, kind):
    engine = Engine(small[1], COLUMNS, np.zeros((3, len(OWNERS))), kind=kind)
    drawn = np.random.default_rng(0).integers(0, 9, (4, len(OWNERS)))

    assert engine.raw_batch(np.asfortranarray(drawn)).tobytes() == engine.raw_batch(drawn.astype(float)).tobytes()
    assert engine.raw(drawn[1]).tobytes() == engine.raw(drawn[1].astype(np.float64)).tobytes()
    with pytest.raises((ValueError, IndexError)):
        engine.raw(np.zeros(2))


def test_the_engine_may_be_chosen_by_name(small, monkeypatch):
    monkeypatch.setenv("FAIRLEAD_ENGINE", "numpy")
    assert Engine(small[1], COLUMNS, np.zeros((1, len(OWNERS)))).kind == "numpy"
    monkeypatch.setenv("FAIRLEAD_ENGINE", "abacus")
    with pytest.raises(UsageError, match="no engine is named 'abacus'; FAIRLEAD_ENGINE may be numba or numpy"):
        kind_of()


def test_without_numba_numpy_is_the_engine_and_asking_for_numba_says_what_to_install(monkeypatch):
    monkeypatch.delenv("FAIRLEAD_ENGINE", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)

    assert kind_of() == "numpy"
    with pytest.raises(UsageError, match=r"install fairlead\[fast\]"):
        kind_of("numba")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("others", [0, 1700], ids=["most_trees_look_at_it", "few_trees_look_at_it"])
def test_a_column_of_many_thresholds_is_searched_to_the_right_one(kind, others):
    """More thresholds than are counted one by one, in tables with all trees and with some."""

    def stump(column, threshold):
        node = Node(column, threshold, categories=None, default_left=True, missing=2, left=-1, right=-2)
        return Tree(root=0, nodes=[node], values=[0.0, 1.0])

    cuts = np.arange(300.0) - 100
    trees = [*(stump(0, cut) for cut in cuts), *(stump(1 + at % 20, 0.5) for at in range(others))]
    columns = [Column(f"column {at}", "request") for at in range(21)]
    engine = Engine(pack([trees], 21), columns, np.zeros((2, 21)), kind=kind)
    values = [*cuts, *(cuts + 0.5), -1e9, 1e9, np.nan, -np.inf, np.inf, 0.0, 1e-40]
    rows = np.zeros((len(values), 21))
    rows[:, 0] = values

    got = engine.raw_batch(rows)

    want = [
        0.0 if np.isnan(value) else float((cuts < (0.0 if abs(value) < 1e-35 else value)).sum()) for value in values
    ]
    assert got[:, 0].tolist() == [[count] * 2 for count in want]
    assert [engine.raw(row).tolist() for row in rows] == got.tolist()
