import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fairlead.scoring.table import CategoryTable


def test_each_route_has_its_row_and_an_unknown_one_the_last() -> None:
    table = CategoryTable(values=np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))

    found = table.lookup(np.array([1.0, 0.0, np.nan, 2.0, -1.0, 99.0]))

    assert found.tolist() == [[3.0, 4.0], [1.0, 2.0], [5.0, 6.0], [5.0, 6.0], [5.0, 6.0], [5.0, 6.0]]


@given(st.lists(st.floats() | st.integers(-2, 4).map(float), max_size=20), st.integers(0, 3))
def test_any_code_finds_a_row(codes: list[float], routes: int) -> None:
    table = CategoryTable(values=np.arange(routes + 1.0)[:, None])

    found = table.lookup(np.array(codes))

    assert found[:, 0].tolist() == [float(int(code)) if 0 <= code < routes else float(routes) for code in codes]


def test_no_requests_give_no_rows() -> None:
    assert CategoryTable(values=np.zeros((3, 4))).lookup(np.zeros(0)).shape == (0, 4)
