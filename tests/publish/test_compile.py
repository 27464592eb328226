import lightgbm as lgb
import numpy as np
import pytest

from fairlead.errors import ModelError
from fairlead.publish.compile import compile_forest

X = np.random.default_rng(0).normal(size=(240, 3))


def grown(label=X[:, 0], **params):
    common = {"verbosity": -1, "num_threads": 1, "min_data_in_leaf": 5}
    data = lgb.Dataset(X, label, params={"verbosity": -1, "linear_tree": params.get("linear_tree", False)})
    return lgb.train({**common, **params}, data, 3).model_to_string()


@pytest.mark.parametrize("classes", [3, 12])
def test_several_outputs_a_tree_are_refused(classes):
    text = grown(np.arange(len(X)) % classes, objective="multiclass", num_class=classes)

    with pytest.raises(ModelError, match="quality: not a LightGBM text model with one tree an iteration"):
        compile_forest(text, "quality")


@pytest.mark.parametrize("text", ["", "\n", "tree\nversion=v4", '{"a": 1}', "forest\nnum_tree_per_iteration=1\n"])
def test_what_is_no_lightgbm_text_is_refused(text):
    with pytest.raises(ModelError, match="not a LightGBM text model"):
        compile_forest(text, "quality")


def test_linear_trees_are_refused():
    with pytest.raises(ModelError, match="quality: linear trees cannot be published; set linear_tree=false"):
        compile_forest(grown(linear_tree=True), "quality")


def test_averaged_trees_are_refused():
    text = grown(boosting="rf", bagging_freq=1, bagging_fraction=0.5)

    with pytest.raises(ModelError, match="quality: a random forest's average cannot be published"):
        compile_forest(text, "quality")


@pytest.mark.parametrize("line", ["leaf_value=", "threshold=", "decision_type=", "num_leaves=", "left_child="])
def test_a_damaged_text_is_refused(line):
    text = grown()

    for damaged in (text.replace(line, "lost="), text.replace(line, f"{line}x ")):
        with pytest.raises(ModelError, match="quality: a damaged LightGBM text model"):
            compile_forest(damaged, "quality")


def test_boosting_with_dropped_trees_is_still_a_sum():
    text = grown(boosting="dart", drop_rate=0.9)

    forest = compile_forest(text, "quality")

    expected = lgb.Booster(model_str=text).predict(X, raw_score=True, num_threads=1)
    assert np.abs(forest.raw(X) - expected).max() <= 1e-12


def test_trees_lie_behind_one_another_in_the_arrays():
    text = grown(num_leaves=4)

    forest = compile_forest(text, "quality")

    assert forest.roots.tolist() == [0, 3, 6]
    assert (len(forest.feature), len(forest.leaf), forest.set_start.tolist()) == (9, 12, [0])
    forest.check(3, "quality")
