import lightgbm as lgb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fairlead.errors import SnapshotRefusedError
from fairlead.publish.compile import compile_forest
from fairlead.scoring.forest import FIELDS, Forest

NUMBERS, CATEGORIES = 4, 40
SETTINGS = {
    "regression": {"objective": "regression", "num_leaves": 31},
    "quantile of few leaves": {"objective": "quantile", "alpha": 0.9, "num_leaves": 2},
    "binary of 64 leaves": {"objective": "binary", "num_leaves": 64},
    "cross entropy": {"objective": "cross_entropy", "num_leaves": 15},
    "zero as missing": {"objective": "regression", "num_leaves": 31, "zero_as_missing": True},
    "no missing values": {"objective": "regression", "num_leaves": 31, "use_missing": False},
}


@pytest.fixture(scope="module", params=SETTINGS, ids=lambda name: name.replace(" ", "_"))
def pair(request):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(1500, NUMBERS + 1))
    x[rng.random(x.shape) < 0.1] = np.nan
    x[rng.random(x.shape) < 0.1] = 0.0
    x[:, NUMBERS] = rng.integers(0, CATEGORIES, len(x))
    x[::11, NUMBERS] = np.nan
    effect = rng.normal(size=CATEGORIES)[np.nan_to_num(x[:, NUMBERS]).astype(int)]
    y = np.nan_to_num(x[:, 0]) * effect + np.nan_to_num(x[:, 1]) ** 2 + rng.normal(size=len(x)) / 4
    chosen = SETTINGS[request.param]
    label = (y > 0.5).astype(float) if chosen["objective"] in {"binary", "cross_entropy"} else y
    data = lgb.Dataset(x, label, categorical_feature=[NUMBERS], params={"verbosity": -1, "min_data_per_group": 5})
    common = {"verbosity": -1, "num_threads": 1, "seed": 1, "deterministic": True, "cat_smooth": 1}
    booster = lgb.train({**common, **chosen}, data, 25)
    return booster, compile_forest(booster.model_to_string(), request.param)


ordinary = st.floats(-4, 4) | st.sampled_from([0.0, -0.0, np.nan])
extreme = st.sampled_from([1e300, -1e300, np.inf, -np.inf, 1e-300, 1e-20])
KZERO = float(np.float32(1e-35))  # what LightGBM takes for zero, itself included
TINY = [
    sign * size for sign in (1, -1) for size in (5e-324, 1e-300, 5e-36, 1e-35, KZERO, np.nextafter(KZERO, 1), 2e-35)
]
category = st.sampled_from([*range(-3, CATEGORIES + 70), np.nan, 1e6, 2**31 - 1.0])


@given(
    numbers=arrays(np.float64, (12, NUMBERS), elements=ordinary | extreme),
    codes=st.lists(category, min_size=12, max_size=12),
)
@settings(max_examples=60, deadline=None)
def test_a_forest_gives_what_its_booster_predicts(pair, numbers, codes):
    booster, forest = pair
    rows = np.column_stack((numbers, np.array(codes, dtype=np.float64)))

    expected = booster.predict(rows, raw_score=True, num_threads=1)

    assert np.abs(forest.raw(rows) - expected).max() <= 1e-9


def test_tiny_numbers_and_the_thresholds_themselves_go_the_boosters_way(pair):
    booster, forest = pair
    cuts = np.concatenate([forest.threshold, *(np.nextafter(forest.threshold, way) for way in (np.inf, -np.inf))])
    values = np.concatenate((cuts, np.repeat([*TINY, 0.0, np.nan, 2.0**31, -(2.0**31), -0.5, 4.999], 20)))
    rows = np.random.default_rng(0).choice(values, (4000, NUMBERS + 1))

    expected = booster.predict(rows, raw_score=True, num_threads=1)

    assert np.abs(forest.raw(rows) - expected).max() <= 1e-12


def test_a_forest_without_trees_adds_nothing():
    empty = Forest(**{field: np.zeros(int(field == "set_start"), kind) for field, kind in FIELDS.items()})

    empty.check(0, "empty")

    assert empty.raw(np.zeros((2, 5))).tolist() == [0.0, 0.0]


def test_a_compiled_forest_passes_its_own_check(pair):
    _, forest = pair

    forest.check(NUMBERS + 1, "forest")


def test_a_forest_of_a_single_leaf_gives_that_leaf():
    x, y = np.zeros((30, 1)), np.full(30, 7.0)
    booster = lgb.train({"verbosity": -1, "num_threads": 1}, lgb.Dataset(x, y, params={"verbosity": -1}), 1)

    forest = compile_forest(booster.model_to_string(), "leaf")

    assert forest.raw(np.array([[1.0], [np.nan]])).tolist() == booster.predict([[1.0], [np.nan]]).tolist()


def test_many_rows_are_summed_in_blocks(pair, monkeypatch):
    _, forest = pair
    rows = np.random.default_rng(0).normal(size=(500, NUMBERS + 1))
    whole = forest.raw(rows)
    monkeypatch.setattr("fairlead.scoring.forest._BLOCK", 64)

    assert forest.raw(rows).tolist() == whole.tolist()
    assert forest.raw(rows[:0]).tolist() == []


def small() -> dict[str, np.ndarray]:
    return {
        "roots": np.array([0], np.int32),
        "feature": np.array([0, 1], np.int32),
        "threshold": np.array([0.5, 0.0]),
        "decision": np.array([2, 1], np.uint8),
        "left": np.array([1, -1], np.int32),
        "right": np.array([-2, -3], np.int32),
        "leaf": np.array([1.0, 2.0, 3.0]),
        "set_start": np.array([0, 1], np.int32),
        "set_words": np.array([0b101], np.uint32),
    }


def test_a_hand_made_forest_sends_categories_by_their_bit():
    forest = Forest(**small())
    forest.check(2, "hand-made")

    got = forest.raw(np.array([[0.0, 0], [0.0, 1], [0.0, 2], [0.0, 99], [0.0, np.nan], [1.0, 0]]))

    assert got.tolist() == [1.0, 3.0, 1.0, 3.0, 3.0, 2.0]


@pytest.mark.parametrize(
    ("field", "value", "fault"),
    [
        ("left", np.array([0, -1], np.int32), "a child that is not below its parent"),
        ("right", np.array([-9, -3], np.int32), "a child out of range"),
        ("right", np.array([7, -3], np.int32), "a child out of range"),
        ("roots", np.array([5], np.int32), "a root out of range"),
        ("feature", np.array([0, 2], np.int32), "a feature out of range"),
        ("feature", np.array([-1, 1], np.int32), "a feature out of range"),
        ("leaf", np.array([1.0, np.nan, 3.0]), "a leaf or threshold that is not finite"),
        ("threshold", np.array([0.5, 1.0]), "a category set out of range"),
        ("set_start", np.array([0, 2], np.int32), "category sets out of order"),
        ("decision", np.array([2], np.uint8), "nodes of unequal length"),
        ("threshold", np.array([0.5]), "nodes of unequal length"),
        ("left", np.array([-1], np.int32), "nodes of unequal length"),
        ("roots", np.array([-4], np.int32), "a root out of range"),
        ("left", np.array([1, 1], np.int32), "a child that is not below its parent"),
        ("right", np.array([0, -3], np.int32), "a child that is not below its parent"),
        ("leaf", np.array([1.0, np.inf, 3.0]), "a leaf or threshold that is not finite"),
        ("threshold", np.array([np.nan, 0.0]), "a leaf or threshold that is not finite"),
        ("threshold", np.array([0.5, -1.0]), "a category set out of range"),
        ("set_start", np.array([1, 1], np.int32), "category sets out of order"),
        ("set_start", np.array([0, 3, 1], np.int32), "category sets out of order"),
        ("set_start", np.zeros(0, np.int32), "category sets out of order"),
        ("set_words", np.zeros(0, np.uint32), "category sets out of order"),
        *((field, np.zeros((2, 2)), "an array that is not a list") for field in FIELDS),
    ],
)
def test_a_damaged_forest_is_refused_by_name(field, value, fault):
    damaged = Forest(**{**small(), field: value})

    with pytest.raises(SnapshotRefusedError, match=f"forest quality: {fault}"):
        damaged.check(2, "quality")
