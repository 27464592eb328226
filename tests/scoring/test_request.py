import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.scoring import request as requests
from fairlead.scoring.request import MAX_BYTES, TEXT_FEATURES, Request, text_features

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()))


def _named(text: str) -> dict[str, float]:
    return dict(zip(TEXT_FEATURES, text_features(text).tolist(), strict=True))


@settings(deadline=None)
@given(ANY_TEXT, st.sampled_from([1, 1, 1, 3000]))
def test_any_text_gives_finite_features_and_always_the_same(text: str, times: int) -> None:
    features = text_features(text * times)

    assert (features.dtype, features.shape) == (np.float32, (len(TEXT_FEATURES),))
    assert np.isfinite(features).all()
    assert features.tobytes() == text_features(text * times).tobytes()


@pytest.mark.parametrize("text", ["", "\x00", "\ud800", "\udfff\ud800", "?" * 100_000, "\n" * 100_000, "é" * 70_000])
def test_texts_at_the_edge_give_finite_features(text: str) -> None:
    assert np.isfinite(text_features(text)).all()


def test_there_are_as_many_features_as_documented_and_each_has_one_name() -> None:
    assert (len(TEXT_FEATURES), len(set(TEXT_FEATURES))) == (21 + 30 + 25 + 32, 108)


def test_no_text_has_no_features_but_one_line_and_no_question() -> None:
    kept = {name: value for name, value in _named("").items() if value}

    assert kept == {"text_lines_log": pytest.approx(math.log(2))}


def test_a_small_text_has_the_features_that_are_counted_by_hand() -> None:
    found = _named("Is 12 ok?\n yes")

    kept = {name: round(value, 5) for name, value in found.items() if value and "_hash_" not in name}

    entropy = -sum(n / 14 * math.log2(n / 14) for n in (1, 2, 3, 1, 1, 1, 1, 1, 1, 1, 1))  # I s space 1 2 o k ? \n y e
    assert kept == {
        "text_bytes_log": round(math.log(15), 5),
        "text_chars_log": round(math.log(15), 5),
        "text_words_log": round(math.log(5), 5),
        "text_lines_log": round(math.log(3), 5),
        "text_longest_line_log": round(math.log(10), 5),
        "text_longest_word_log": round(math.log(4), 5),
        "text_mean_word_length": 2.25,
        "text_distinct_words_share": 1.0,
        "text_distinct_bytes_log": round(math.log(12), 5),
        "text_entropy_bits": pytest.approx(entropy, abs=1e-5),
        "text_digits_share": round(2 / 14, 5),
        "text_upper_share": round(1 / 14, 5),
        "text_lower_share": round(6 / 14, 5),
        "text_space_share": round(4 / 14, 5),
        "text_symbol_share": round(1 / 14, 5),
        "text_numbers_log": round(math.log(2), 5),
        "text_longest_number_log": round(math.log(3), 5),
        "text_indented_lines_log": round(math.log(2), 5),
        "text_symbol_63": round(math.log(2), 5),
    }


def test_the_hashed_words_are_fixed_for_ever() -> None:
    found = _named("solve solve")

    kept = {name: round(value, 6) for name, value in found.items() if value and "_hash_" in name}

    assert kept == HASHED


HASHED = {"text_hash_0": 0.0}


@given(st.text(min_size=1, max_size=50), ANY_TEXT)
@settings(deadline=None, max_examples=30)
def test_text_beyond_the_limit_changes_only_the_length(start: str, beyond: str) -> None:
    whole = (start * MAX_BYTES).encode("utf-8", "surrogatepass")[:MAX_BYTES].decode("utf-8", "ignore")
    whole += "x" * (MAX_BYTES - len(whole.encode()))

    short, long = _named(whole), _named(whole + "y" + beyond)

    assert [name for name in TEXT_FEATURES if short[name] != long[name]] in ([], ["text_bytes_log"])
    size = len((whole + "y" + beyond).encode("utf-8", "surrogatepass"))
    assert long["text_bytes_log"] == pytest.approx(math.log1p(size), rel=1e-6)


def test_words_count_whatever_their_case_or_place() -> None:
    upper, lower = _named("SELECT a FROM b"), _named("select a from b")

    assert upper["text_family_sql"] == lower["text_family_sql"] == pytest.approx(math.log(3))
    assert [upper[name] for name in TEXT_FEATURES if "_hash_" in name] == [
        lower[name] for name in TEXT_FEATURES if "_hash_" in name
    ]


def test_a_scalar_is_a_tag_or_a_field_or_nothing() -> None:
    request = Request(id="r", route="maths", tools=2, tags={"app": "tutor", "route": "tagged"})

    found = [request.scalar(name) for name in ("route", "tools", "team", "app", "nobody")]

    assert found == ["tagged", 2, None, "tutor", None]


def test_a_request_without_an_id_gets_one_of_its_own() -> None:
    assert len({Request().id for _ in range(100)}) == 100


def test_the_version_says_so_when_features_change() -> None:
    text = "Prove that 2 + 2 = 4.\n\tdef f(x): return x\nهل? ```json {\"a\": 1}```" * 3

    sums = round(float(np.abs(text_features(text).astype(np.float64)).sum()), 3)

    assert (requests.FEATURE_VERSION, sums) == (1, SUM), "features changed: raise FEATURE_VERSION, then this number"


SUM = 0.0
