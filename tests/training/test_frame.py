from types import SimpleNamespace
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.scoring.forest import Forests
from fairlead.scoring.manifest import Endpoint
from fairlead.scoring.parts import PARTS
from fairlead.scoring.predict import Batch, Predictor
from fairlead.scoring.request import TEXT_FEATURES
from fairlead.training.frame import folds_of

NAMED = [Endpoint(name=name, provider_name="acme", model=name) for name in ("cheap", "dear")]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from("abcdefghij"), max_size=60), st.integers(2, 5))
def test_groups_never_straddle_folds(groups: list[str], folds: int) -> None:
    group = np.array(groups, dtype=object)

    fold = folds_of(group, folds)

    assert fold.shape == group.shape
    assert all(len(set(fold[group == name].tolist())) == 1 for name in set(groups))
    assert set(fold.tolist()) <= set(range(folds))
    np.testing.assert_array_equal(fold, folds_of(group, folds))


def test_folds_hold_about_as_many_groups_each() -> None:
    fold = folds_of(np.arange(1001).astype(str), 4)

    assert sorted(np.bincount(fold).tolist()) == [250, 250, 250, 251]


def test_rows_are_laid_out_as_the_snapshot_lays_them_out(make_frame: Any) -> None:
    frame = make_frame(6)
    snapshot = SimpleNamespace(
        endpoint_rows=frame.endpoint_rows(),
        endpoints=frame.endpoints,
        heads={},
        forest_heads=(),
        forests=Forests.empty(len(frame.columns)),
        parts=PARTS,
        margin_edges=np.zeros(0),
        margins=np.ones((2, 1)),
        manifest=SimpleNamespace(columns=frame.columns, categories=frame.categories, endpoints=NAMED),
    )

    everywhere = Predictor(snapshot).rows(frame.batch).reshape(6, 2, -1)

    mine = frame.rows()
    state = [column.owner == "state" for column in frame.columns]
    served = everywhere[np.arange(6), frame.endpoint]
    np.testing.assert_array_equal(mine[:, np.logical_not(state)], served[:, np.logical_not(state)])
    np.testing.assert_array_equal(mine[:, state][:, 0], frame.state["load"])
    np.testing.assert_array_equal(served[:, state][:, 0], np.array([0.25, 0.75])[frame.endpoint])


def test_what_a_predictor_did_not_ask_for_is_not_there(make_frame: Any) -> None:
    import msgspec

    frame = msgspec.structs.replace(make_frame(6), hidden=frozenset({"text_words_log", "load"}))

    shown = np.isfinite(frame.rows()).all(axis=0)

    assert dict(zip([column.name for column in frame.columns], shown.tolist(), strict=True)) == {
        "text_bytes_log": True,
        "text_words_log": False,
        "route": True,
        "endpoint": True,
        "load": False,
    }


def test_taking_rows_takes_all_of_them_alike(make_frame: Any) -> None:
    frame = make_frame(10)
    keep = np.array([7, 2])

    part = frame.take(keep)

    assert part.ids.tolist() == ["0-7", "0-2"]
    np.testing.assert_array_equal(part.rows(), frame.rows()[keep])
    assert {name: values.tolist() for name, values in part.targets.items()} == {
        name: values[keep].tolist() for name, values in frame.targets.items()
    }
    assert (part.group.tolist(), part.time.tolist()) == (["0-7", "0-2"], [7.0, 2.0])


def test_rows_are_aligned_with_another_vocabulary(make_frame: Any) -> None:
    frame = make_frame(40)
    other = SimpleNamespace(
        endpoints=["dear", "new"],
        providers=["other", "third"],
        models=["dear", "new"],
        columns=[column for column in frame.columns if column.name != "load"],
        categories={"endpoint": ["dear", "new"], "route": ["maths"]},
    )

    part = frame.aligned(other)

    assert part.endpoints == ("dear", "new")
    assert part.ids.tolist() == frame.ids[frame.endpoint == 1].tolist()
    assert set(part.endpoint.tolist()) == {0}
    maths = frame.batch.scalars["route"][frame.endpoint == 1] == "maths"
    np.testing.assert_array_equal(part.route, np.where(maths, 0.0, np.nan))


def test_a_route_that_was_never_seen_has_no_code(make_frame: Any) -> None:
    import msgspec

    frame = make_frame(3)
    batch = Batch(text=frame.batch.text, scalars={"route": np.array(["maths", "poems", None], dtype=object)})

    np.testing.assert_array_equal(msgspec.structs.replace(frame, batch=batch).route, [1.0, np.nan, np.nan])


def test_the_typical_request_has_medians_of_numbers_and_the_most_frequent_categories(make_frame: Any) -> None:
    frame = make_frame(5)
    frame.batch.scalars["route"][:] = ["maths", "chat", "maths", None, "maths"]

    typical = frame.typical()

    words = float(np.median(frame.batch.text[:, TEXT_FEATURES.index("text_words_log")].astype(np.float64)))
    length = float(frame.batch.text[0, TEXT_FEATURES.index("text_bytes_log")])
    np.testing.assert_array_equal(typical, [length, words, 1.0, np.nan, np.nan])


def test_what_most_requests_do_not_have_is_not_typical(make_frame: Any) -> None:
    frame = make_frame(4)
    frame.batch.scalars["route"][:] = ["maths", None, None, "unheard of"]

    assert np.isnan(frame.typical()[2])
