import numpy as np
import pytest
from msgspec.structs import replace

from fairlead.errors import SnapshotRefusedError
from fairlead.scoring.checks import check
from fairlead.scoring.forest import FIELDS, WIDE, Forests

# Two heads over three columns: a tree of three leaves and a single leaf; a tree of four wide leaves.
SOUND = Forests(
    trees=np.array([2, 1], np.uint32),
    exponent=np.array([-2, WIDE], np.int16),
    leaves=np.array([3, 1, 4], np.uint8),
    middle=np.array([0.5, 1.0, 0.0]),
    cut=np.array([0, 3, 1, 2, 4], np.uint16),
    shape=np.array([0, 1, 0, 0, 1], np.uint16),
    thresholds=np.array([0.5, 2.0, -1.0]),
    threshold_start=np.array([0, 2, 3, 3], np.uint32),
    sets=np.array([0, 0, 0, 2], np.uint32),
    set_width=np.array([0, 0, 1], np.uint16),
    set_words=np.array([0b101, 0b1], np.uint32),
    narrow=np.array([1, 2, 3, 0], np.int32),
    wide=np.array([1.0, 2.0, 3.0, 4.0]),
)


def test_sound_forests_pass():
    check(SOUND, 2, 3)


@pytest.mark.parametrize(
    ("field", "value", "fault"),
    [
        ("trees", [3, 1], "another number of trees than its heads have"),
        ("trees", [2], "another number of heads than the manifest names"),
        ("exponent", [-2], "another number of heads than the manifest names"),
        ("exponent", [-2, -2], "another number of leaves than its trees have"),
        ("exponent", [901, WIDE], "a leaf out of range"),
        ("leaves", [3, 0, 4], "a tree without leaves, or with more than 64"),
        ("leaves", [3, 65, 4], "a tree without leaves, or with more than 64"),
        ("leaves", [3, 2, 4], "another number of nodes than its trees have"),
        ("middle", [0.5, 1.0], "another number of middles than trees"),
        ("middle", [0.5, np.nan, 0.0], "a leaf that is not finite"),
        ("wide", [1.0, np.inf, 3.0, 4.0], "a leaf that is not finite"),
        ("wide", [1.0], "another number of leaves than its trees have"),
        ("narrow", [1, 2, 3], "another number of leaves than its trees have"),
        ("narrow", [1, 1 << 27, 3, 0], "a leaf out of range"),
        ("narrow", [1, -(1 << 31), 3, 0], "a leaf out of range"),
        ("cut", [0, 3, 1, 2, 5], "a cut out of range"),
        ("cut", [0, 3, 1, 2], "another number of nodes than its trees have"),
        ("shape", [0, 1, 0, 0], "another number of nodes than its trees have"),
        ("shape", [1, 0, 0, 0, 1], "nodes that form no tree"),
        ("shape", [0, 2, 0, 0, 1], "nodes that form no tree"),
        ("shape", [0, 1, 0, 1, 1], "nodes that form no tree"),
        ("shape", [3 << 7, 1, 0, 0, 1], "a missing type that is not known"),
        ("shape", [0xFFC0, 1, 0, 0, 1], "a missing type that is not known"),
        ("thresholds", [0.5, np.nan, -1.0], "a threshold that is no number"),
        ("thresholds", [0.5, 0.5, -1.0], "thresholds out of order"),
        ("thresholds", [0.5, 2.0], "another number of thresholds than its columns have"),
        ("threshold_start", [0, 2, 1, 3], "threshold_start out of order"),
        ("threshold_start", [1, 2, 3, 3], "threshold_start out of order"),
        ("threshold_start", [0, 2, 3], "threshold_start out of order"),
        ("sets", [0, 2, 0, 2], "sets out of order"),
        ("sets", [], "sets out of order"),
        ("sets", [0, 0, 1, 2], "another number of category sets than its columns have"),
        ("set_width", [0, 0, 2], "another number of category sets than its columns have"),
        ("set_width", [0, 0], "another number of columns than the manifest names"),
        ("set_width", [0, 60000, 1], "a category out of range"),
        ("set_words", [1], "another number of category sets than its columns have"),
        *((field, np.zeros((2, 2)), "is not a list of") for field in FIELDS),
        *((field, np.zeros(1, np.complex64), "is not a list of") for field in FIELDS),
    ],
)
def test_damaged_forests_are_refused_with_the_fault(field, value, fault):
    value = value if isinstance(value, np.ndarray) else np.array(value, FIELDS[field])

    with pytest.raises(SnapshotRefusedError, match=f"forests: .*{fault}"):
        check(replace(SOUND, **{field: value}), 2, 3)


def test_forests_of_another_shape_than_the_manifest_are_refused():
    with pytest.raises(SnapshotRefusedError, match="another number of heads"):
        check(SOUND, 3, 3)
    with pytest.raises(SnapshotRefusedError, match="another number of columns"):
        check(SOUND, 2, 4)


@pytest.mark.parametrize("nodes", [1, 2, 3, 4])
def test_as_many_shapes_pass_as_there_are_binary_trees(nodes):
    passed = 0
    for number in range((nodes + 1) ** nodes):
        shape = [number // (nodes + 1) ** place % (nodes + 1) for place in range(nodes)]
        one = replace(
            Forests.empty(1),
            trees=np.array([1], np.uint32),
            exponent=np.array([0], np.int16),
            leaves=np.array([nodes + 1], np.uint8),
            middle=np.zeros(1),
            cut=np.zeros(nodes, np.uint16),
            shape=np.array(shape, np.uint16),
            thresholds=np.zeros(1),
            threshold_start=np.array([0, 1], np.uint32),
            narrow=np.zeros(nodes + 1, np.int32),
        )
        try:
            check(one, 1, 1)
            passed += 1
        except SnapshotRefusedError:
            continue

    assert passed == [1, 2, 5, 14][nodes - 1]  # Catalan's numbers
