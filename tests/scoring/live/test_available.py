import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from msgspec.structs import replace

from fairlead.scoring import View
from fairlead.scoring.live import available


def _view(here, waits):
    return replace(View.unknown(len(here)), available=np.array(here), returns_in_s=np.array(waits, dtype=float))


def test_what_is_out_is_left_out():
    usable, forced = available(np.array([True, True, False]), _view([False, True, True], [30, 0, 0]))

    assert usable.tolist() == [False, True, False]
    assert not forced


def test_where_all_are_out_the_first_to_come_back_stays_and_it_says_so():
    usable, forced = available(np.array([True, True, True]), _view([False] * 3, [30, 7, 9]))

    assert usable.tolist() == [False, True, False]
    assert forced


def test_several_that_come_back_together_stay_together():
    usable, forced = available(np.array([True, True, True]), _view([False] * 3, [7, 7, 9]))

    assert (usable.tolist(), bool(forced)) == ([True, True, False], True)


def test_a_view_that_cannot_tell_who_comes_back_first_keeps_all():
    view = replace(_view([False] * 2, [0, 0]), returns_in_s=None)

    usable, forced = available(np.array([[True, True], [False, True]]), view)

    assert (usable.tolist(), forced.tolist()) == ([[True, True], [False, True]], [True, True])


@given(st.data(), st.integers(1, 6), st.integers(1, 5))
def test_whatever_is_out_something_eligible_stays(data, requests, endpoints):
    eligible = data.draw(arrays.arrays(bool, (requests, endpoints)))
    here = data.draw(arrays.arrays(bool, endpoints))
    waits = data.draw(arrays.arrays(float, endpoints, elements=st.floats(0, 300)))

    usable, forced = available(eligible, _view(here, waits))

    assert not (usable & ~eligible).any()
    assert (usable.any(axis=-1) == eligible.any(axis=-1)).all()
    assert (forced == (eligible.any(axis=-1) & ~(eligible & here).any(axis=-1))).all()
    assert not (usable & ~here)[~forced].any()
