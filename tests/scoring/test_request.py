import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead import Request
from fairlead.scoring.predict import Batch
from fairlead.scoring.request import FEATURE_VERSION, MAX_BYTES, TEXT_FEATURES, text_features


def named(text: str) -> dict[str, float]:
    return dict(zip(TEXT_FEATURES, text_features(text).tolist(), strict=True))


def test_a_small_prompt_has_the_features_one_can_count():
    got = named("What is 12 + 30?\n  Answer in JSON.")

    assert round(np.expm1(got["text_bytes_log"])) == 34
    assert round(np.expm1(got["text_words_log"])) == 7
    assert round(np.expm1(got["text_lines_log"])) == 2
    assert round(np.expm1(got["text_numbers_log"])) == 2
    assert round(np.expm1(got[f"text_symbol_{ord('?')}"])) == 1
    assert round(np.expm1(got["text_family_json"])) == 1
    assert round(np.expm1(got["text_indented_lines_log"])) == 1
    assert got["text_ends_with_question"] == 0.0


def test_no_text_has_no_features_but_is_a_vector():
    got = named("")

    assert set(got) == set(TEXT_FEATURES)
    assert {name for name, value in got.items() if value} <= {"text_lines_log"}


def test_a_small_prompt_has_these_features_and_no_others():
    got = {name: value for name, value in named("Is 12 ok?\n yes").items() if value and "_hash_" not in name}

    seen = np.array([3, 2, *[1] * 9]) / 14  # white space, s, and nine bytes that come once
    assert got == pytest.approx(
        {
            "text_bytes_log": math.log(15),
            "text_chars_log": math.log(15),
            "text_words_log": math.log(5),
            "text_lines_log": math.log(3),
            "text_longest_line_log": math.log(10),
            "text_longest_word_log": math.log(4),
            "text_mean_word_length": 9 / 4,
            "text_distinct_words_share": 1.0,
            "text_distinct_bytes_log": math.log(12),
            "text_entropy_bits": -(seen * np.log2(seen)).sum(),
            "text_digits_share": 2 / 14,
            "text_upper_share": 1 / 14,
            "text_lower_share": 6 / 14,
            "text_space_share": 4 / 14,
            "text_symbol_share": 1 / 14,
            "text_numbers_log": math.log(2),
            "text_longest_number_log": math.log(3),
            "text_indented_lines_log": math.log(2),
            "text_symbol_63": math.log(2),
        },
        rel=1e-6,
    )


@given(st.text(st.characters(codec=None), max_size=300))
def test_any_text_gives_finite_numbers_and_the_same_again(text):
    first = text_features(text)

    assert first.shape == (len(TEXT_FEATURES),)
    assert first.dtype == np.float32
    assert np.isfinite(first).all()
    assert first.tobytes() == text_features(text).tobytes()


@pytest.mark.parametrize(
    "text", ["\x00", "\ud800", "\udfff\ud800", "?" * 200_000, "\n" * 100_000, "é" * 70_000, "7" * 70_000]
)
def test_texts_at_the_edges_give_finite_numbers(text):
    assert np.isfinite(text_features(text)).all()


def test_features_are_those_of_their_version():
    text = 'Prove that 2 + 2 = 4.\n\tdef f(x): return x\n왜? ```json {"a": 1}```' * 3

    total = float(text_features(text).sum(dtype=np.float64))
    words = {name: value for name, value in named("solve solve").items() if value and "_hash_" in name}

    # When one of these changes, snapshots of before must not be read any more: raise FEATURE_VERSION.
    assert (FEATURE_VERSION, len(TEXT_FEATURES), round(total, 3)) == (1, 109, 65.965)
    assert words == pytest.approx({"text_hash_20": -2 / math.sqrt(3), "text_hash_25": 1 / math.sqrt(3)})


def test_words_count_whatever_their_case():
    upper, lower = named("SELECT X FROM Y"), named("select x from y")

    assert {name for name in upper if upper[name] != lower[name]} == {"text_upper_share", "text_lower_share"}
    assert round(np.expm1(upper["text_family_sql"])) == 2


def test_a_request_without_an_id_gets_its_own():
    assert len({Request().id for _ in range(100)}) == 100


def test_beyond_the_limit_only_the_length_counts():
    long, longer = "a b? " * (MAX_BYTES // 5 + 1), "a b? " * (MAX_BYTES // 2)

    before, after = named(long[:MAX_BYTES] + "x"), named(longer[:MAX_BYTES] + "xyz" * 999)

    assert {name for name in before if before[name] != after[name]} == {"text_bytes_log"}


def test_a_tag_is_a_scalar_like_any_field():
    request = Request(text="", route="maths", tools=2, tags={"tag_plan": "pro"})

    assert [request.scalar(name) for name in ("route", "tools", "tag_plan", "none")] == ["maths", 2, "pro", None]


def test_a_batch_holds_what_single_requests_hold():
    requests = [Request(text="one"), Request(text="two", route="r", tags={"tag_plan": "pro"})]

    batch = Batch.of(requests)

    assert batch.text.tolist() == [text_features("one").tolist(), text_features("two").tolist()]
    assert batch.scalars["route"].tolist() == [None, "r"]
    assert batch.scalars["tag_plan"].tolist() == [None, "pro"]
    assert len(Batch.of([])) == 0
