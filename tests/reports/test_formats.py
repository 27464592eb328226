import math
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.reports import formats

WRITERS = [
    formats.money,
    formats.count,
    formats.share,
    formats.short,
    formats.signed_share,
    formats.points,
    formats.score,
]


@pytest.mark.parametrize("write", [*WRITERS, formats.seconds, formats.signed])
@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf])
def test_what_is_not_known_is_no_data(write, value) -> None:
    assert write(value) == "no data"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.000012, "$0.000012"),
        (0.0042, "$0.0042"),
        (0.1, "$0.10"),
        (0.999, "$1.00"),
        (12.345, "$12.35"),
        (999.994, "$999.99"),
        (1234.5, "$1,234"),
        (1_234_567.2, "$1,234,567"),
        (-0.5, "−$0.50"),
        (0, "$0"),
    ],
)
def test_money_has_the_digits_it_deserves(value: float, text: str) -> None:
    assert formats.money(value) == text


@given(st.floats(min_value=1e-12, max_value=1e12))
def test_money_is_never_written_as_nothing_and_is_near_the_amount(value: float) -> None:
    text = formats.money(value)

    assert re.fullmatch(r"\$[\d,]+(\.\d+)?", text)
    assert float(text[1:].replace(",", "")) == pytest.approx(value, rel=0.051)


@given(st.lists(st.floats(min_value=-1e9, max_value=1e9) | st.none(), min_size=1))
def test_a_column_of_money_has_one_number_of_decimals(values: list[float | None]) -> None:
    places = formats.decimals(values)

    written = [formats.money(value, places) for value in values if value is not None]
    assert {len(text.partition(".")[2]) for text in written} <= {places}


@given(st.text(max_size=200) | st.text(st.characters(categories=["Cc", "Cf", "Cs", "Co"]), max_size=200))
def test_nothing_hides_in_a_name(text: str) -> None:
    shown = formats.visible(text)

    assert not {unicodedata.category(char) for char in shown} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    shown.encode("utf-8")


@given(st.floats(min_value=0, max_value=1e8))
def test_a_time_is_short(value: float) -> None:
    assert len(formats.seconds(value)) <= 10
