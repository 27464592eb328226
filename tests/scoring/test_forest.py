from typing import Any

import lightgbm as lgb
import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.errors import SnapshotRefusedError
from fairlead.publish.compile import compile_forest
from fairlead.scoring.forest import FIELDS, Forest

KZERO = float(np.float32(1e-35))
CORNERS = (
    *(sign * value for sign in (1, -1) for value in (0.0, 5e-324, 1e-300, 5e-36, KZERO, 2e-35, 1.0, 1e9, 1e300, np.inf)),
    *(np.nan, -0.5, -2.0, 0.5, 79.0, 80.0, 200.0, 4.999, 2.0**31 - 1, 2.0**31, -(2.0**31), 2.0**40),
)
OBJECTIVES = ("regression", "quantile", "binary", "cross_entropy")
MISSING = {"nan": {}, "none": {"use_missing": False}, "zero": {"zero_as_missing": True}}


def _grow(objective: str, leaves: int, missing: dict[str, Any], rounds: int = 8) -> lgb.Booster:
    rng = np.random.default_rng(leaves)
    n = 400
    x = np.column_stack(
        (
            rng.normal(size=n),
            rng.choice([0.0, 0.0, 1.0, 2.0, 5.0], n),
            rng.lognormal(0, 20, n) * rng.choice([-1, 1], n),
            rng.integers(0, 80, n),
            rng.integers(0, 5, n),
        )
    )
    x[rng.random(n) < 0.1, 0] = np.nan
    x[rng.random(n) < 0.1, 3] = np.nan
    y = np.nan_to_num(x[:, 0]) + (x[:, 3] % 7 > 3) + (x[:, 2] > 0) * 0.5 + x[:, 1] * 0.3 + rng.normal(0, 0.1, n)
    if objective in {"binary", "cross_entropy"}:
        y = (y > np.median(y)).astype(float)
    common = {"verbosity": -1, "num_threads": 1, **missing}
    params = {"objective": objective, "num_leaves": leaves, "min_data_in_leaf": 3, "min_data_per_group": 3}
    params |= {"cat_smooth": 1, "max_cat_to_onehot": 4, "deterministic": True, "seed": 1, **common}
    return lgb.train(params, lgb.Dataset(x, y, categorical_feature=[3, 4], params=common), rounds)


def _difference(booster: lgb.Booster, forest: Forest, rows: np.ndarray) -> float:
    expected = booster.predict(rows, raw_score=True, num_threads=1)
    return float(np.abs(forest.raw(rows) - expected).max())


@pytest.mark.parametrize("leaves", [2, 7, 64])
@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("missing", MISSING)
def test_a_forest_answers_as_its_booster_does(missing: str, objective: str, leaves: int) -> None:
    booster = _grow(objective, leaves, MISSING[missing])
    forest = compile_forest(booster.model_to_string(), "it")
    forest.check(5, "it")
    cuts = forest.threshold.tolist()
    edges = [float(np.nextafter(cut, way)) for cut in cuts for way in (np.inf, -np.inf)]
    value = st.one_of(st.sampled_from(CORNERS), st.sampled_from(cuts + edges), st.floats(), st.integers(-3, 90).map(float))

    @settings(max_examples=12, deadline=None, derandomize=True, database=None)
    @given(st.lists(st.lists(value, min_size=5, max_size=5), min_size=1, max_size=30))
    def holds(rows: list[list[float]]) -> None:
        assert _difference(booster, forest, np.array(rows)) <= 1e-12

    holds()


@pytest.mark.parametrize("missing", MISSING)
def test_every_corner_in_every_column_agrees_with_the_booster(missing: str) -> None:
    booster = _grow("regression", 64, MISSING[missing], rounds=20)
    forest = compile_forest(booster.model_to_string(), "it")
    values = np.concatenate((CORNERS, forest.threshold, np.nextafter(forest.threshold, np.inf)))
    rows = np.random.default_rng(0).choice(values, (4000, 5))

    assert _difference(booster, forest, rows) <= 1e-12


def test_a_tree_that_is_a_single_leaf_adds_its_leaf() -> None:
    x = np.arange(40.0).reshape(20, 2)
    params = {"objective": "regression", "min_data_in_leaf": 100, "verbosity": -1, "num_threads": 1}
    booster = lgb.train(params, lgb.Dataset(x, np.full(20, 3.5), params={"verbosity": -1}), 3)

    forest = compile_forest(booster.model_to_string(), "it")

    assert (len(forest.roots) >= 1, len(forest.feature)) == (True, 0)
    assert forest.raw(x).tolist() == booster.predict(x, raw_score=True).tolist()


def test_rows_are_summed_in_blocks_of_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    forest = compile_forest(_grow("regression", 7, {}).model_to_string(), "it")
    rows = np.random.default_rng(0).normal(size=(100, 5))
    whole = forest.raw(rows)

    monkeypatch.setattr("fairlead.scoring.forest._BLOCK", 20)

    assert forest.raw(rows).tolist() == whole.tolist()


def test_no_rows_give_no_sums_and_no_trees_give_zero() -> None:
    forest = compile_forest(_grow("regression", 7, {}).model_to_string(), "it")
    empty = Forest(**{part: np.zeros(part == "set_start", kind) for part, kind in FIELDS.items()})

    assert (forest.raw(np.zeros((0, 5))).tolist(), empty.raw(np.zeros((2, 5))).tolist()) == ([], [0.0, 0.0])
    empty.check(0, "it")


def _with(part: str, index: int, value: float) -> Any:
    def damage(forest: Forest) -> Forest:
        array = getattr(forest, part).copy()
        array[index] = value
        return msgspec.structs.replace(forest, **{part: array})

    return damage


def _shorter(part: str) -> Any:
    return lambda forest: msgspec.structs.replace(forest, **{part: getattr(forest, part)[:-1]})


def _flat(part: str) -> Any:
    return lambda forest: msgspec.structs.replace(forest, **{part: getattr(forest, part)[:, None]})


def _category(value: float) -> Any:
    return lambda forest: _with("threshold", int(np.flatnonzero(forest.decision & 1)[0]), value)(forest)


DAMAGE = {
    **{f"shorter {part}": (_shorter(part), "unequal length") for part in ("threshold", "decision", "left", "right")},
    "feature below": (_with("feature", 0, -1), "feature out of range"),
    "feature above": (_with("feature", 0, 5), "feature out of range"),
    "left loops": (_with("left", 1, 0), "not below its parent"),
    "right loops": (_with("right", 1, 1), "not below its parent"),
    "left above": (_with("left", 0, 10_000), "child out of range"),
    "right below": (_with("right", 0, -10_000), "child out of range"),
    "root above": (_with("roots", 0, 10_000), "root out of range"),
    "root below": (_with("roots", 0, -10_000), "root out of range"),
    "leaf nan": (_with("leaf", 0, np.nan), "not finite"),
    "leaf inf": (_with("leaf", 0, np.inf), "not finite"),
    "threshold nan": (_with("threshold", 0, np.nan), "not finite"),
    "sets fall": (_with("set_start", 1, 10_000), "out of order"),
    "sets begin late": (_with("set_start", 0, 1), "out of order"),
    "sets end early": (_with("set_start", -1, 0), "out of order"),
    "words cut off": (_shorter("set_words"), "out of order"),
    "no set bounds": (lambda forest: msgspec.structs.replace(forest, set_start=np.zeros(0, np.int32)), "out of order"),
    "set below": (_category(-1), "category set out of range"),
    "set above": (_category(1e6), "category set out of range"),
    **{f"{part} of two dimensions": (_flat(part), "not a list") for part in FIELDS},
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_check_refuses_damage_and_names_the_forest(damage: str) -> None:
    forest = compile_forest(_grow("regression", 31, {}).model_to_string(), "it")
    spoil, fault = DAMAGE[damage]

    with pytest.raises(SnapshotRefusedError, match=rf"forest latency_s: .*{fault}.*; publish the snapshot again"):
        spoil(forest).check(5, "latency_s")
