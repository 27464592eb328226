import lightgbm as lgb
import numpy as np
import pytest

from fairlead.errors import ModelError
from fairlead.publish.compile import compile_trees
from fairlead.publish.pack import pack
from fairlead.scoring.engine import Engine
from fairlead.scoring.manifest import Column
from fairlead.scoring.trees import trees_of

X = np.random.default_rng(0).normal(size=(240, 3))


def grown(label=X[:, 0], **params):
    common = {"verbosity": -1, "num_threads": 1, "min_data_in_leaf": 5}
    data = lgb.Dataset(X, label, params={"verbosity": -1, "linear_tree": params.get("linear_tree", False)})
    return lgb.train({**common, **params}, data, 3).model_to_string()


@pytest.mark.parametrize("classes", [3, 12])
def test_several_outputs_a_tree_are_refused(classes):
    text = grown(np.arange(len(X)) % classes, objective="multiclass", num_class=classes)

    with pytest.raises(ModelError, match="quality: not a LightGBM text model with one tree an iteration"):
        compile_trees(text, "quality")


@pytest.mark.parametrize("text", ["", "\n", "tree\nversion=v4", '{"a": 1}', "forest\nnum_tree_per_iteration=1\n"])
def test_what_is_no_lightgbm_text_is_refused(text):
    with pytest.raises(ModelError, match="not a LightGBM text model"):
        compile_trees(text, "quality")


def test_linear_trees_are_refused():
    with pytest.raises(ModelError, match="quality: linear trees cannot be published; set linear_tree=false"):
        compile_trees(grown(linear_tree=True), "quality")


def test_averaged_trees_are_refused():
    text = grown(boosting="rf", bagging_freq=1, bagging_fraction=0.5)

    with pytest.raises(ModelError, match="quality: a random forest's average cannot be published"):
        compile_trees(text, "quality")


@pytest.mark.parametrize("line", ["leaf_value=", "threshold=", "decision_type=", "num_leaves=", "left_child="])
def test_a_damaged_text_is_refused(line):
    text = grown()

    for damaged in (text.replace(line, "lost="), text.replace(line, f"{line}x ")):
        with pytest.raises(ModelError, match="quality: a damaged LightGBM text model"):
            compile_trees(damaged, "quality")


def test_trees_of_more_leaves_than_a_mask_has_bits_are_refused():
    text = grown(num_leaves=65, min_data_in_leaf=1)

    with pytest.raises(ModelError, match="quality: a tree of 65 leaves, 64 can be published; set num_leaves lower"):
        compile_trees(text, "quality")


def test_children_that_form_no_tree_are_refused():
    text = grown(num_leaves=4)
    line = next(line for line in text.splitlines() if line.startswith("left_child="))

    for children in ("0 0 0", "1 2 1", "-1 -1 -1", "5 -2 -3"):
        with pytest.raises(ModelError, match="quality: a damaged LightGBM text model"):
            compile_trees(text.replace(line, f"left_child={children}", 1), "quality")


def test_boosting_with_dropped_trees_is_still_a_sum():
    text = grown(boosting="dart", drop_rate=0.9)

    forests = pack([compile_trees(text, "quality")], 3)

    expected = lgb.Booster(model_str=text).predict(X, raw_score=True, num_threads=1)
    got = Engine(forests, [Column(name, "request") for name in "abc"], np.zeros((1, 3)), kind="numpy").raw_batch(X)
    assert np.abs(got[:, 0, 0] - expected).max() <= 1e-6


def test_what_was_packed_is_found_again_tree_by_tree():
    rng = np.random.default_rng(0)
    x = np.column_stack((X, rng.integers(0, 40, len(X))))
    label = X[:, 0] + 9 * rng.normal(size=40)[x[:, 3].astype(int)]
    params = {"verbosity": -1, "num_threads": 1, "min_data_in_leaf": 2, "min_data_per_group": 2, "cat_smooth": 0}
    data = lgb.Dataset(x, label, categorical_feature=[3], params=params)
    heads = [
        compile_trees(lgb.train({**params, "num_leaves": leaves}, data, 6).model_to_string(), "quality")
        for leaves in (2, 31, 64)
    ]

    forests = pack(heads, 4)

    assert any(node.categories for head in heads for tree in head for node in tree.nodes)
    for place, head in enumerate(heads):
        found = trees_of(forests, place)
        assert [(tree.root, tree.nodes) for tree in found] == [(tree.root, tree.nodes) for tree in head]
        values = np.concatenate([tree.values for tree in head])
        assert np.abs(np.concatenate([tree.values for tree in found]) - values).max() <= 1e-7
