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
    assert {name for name, value in got.items() if value} == set()


def logs(**counts: int) -> dict[str, float]:
    return {f"text_{name}": math.log1p(count) for name, count in counts.items()}


def test_a_small_prompt_has_these_features_and_no_others():
    got = {name: value for name, value in named("Is 12 ok?\n yes").items() if value and "_hash_" not in name}

    assert got == pytest.approx(
        {
            **logs(bytes_log=14, chars_log=14, words_log=4, lines_log=2, longest_line_log=9, distinct_bytes_log=11),
            **logs(indented_lines_log=1, capital_lines_log=1, question_lines_log=1, sentences_log=1, numbers_log=1),
            **logs(symbol_63=1),
            "text_mean_word_length": 9 / 4,
            "text_distinct_words_share": 1.0,
            "text_digits_share": 2 / 14,
            "text_upper_share": 1 / 14,
            "text_lower_share": 6 / 14,
            "text_space_share": 4 / 14,
            "text_symbol_share": 1 / 14,
        },
        rel=1e-6,
    )


def test_other_scripts_have_features_too():
    got = {n: v for n, v in named("用Python写函数。Привет, мир!").items() if v and "_hash_" not in n}

    assert got == pytest.approx(
        {
            **logs(bytes_log=42, chars_log=23, words_log=8, lines_log=1, longest_line_log=42, distinct_bytes_log=30),
            **logs(question_lines_log=1, sentences_log=1, commas_log=1, symbol_33=1, symbol_44=1, family_python=1),
            "text_mean_word_length": 39 / 8,
            "text_distinct_words_share": 1.0,
            "text_upper_share": 1 / 42,
            "text_lower_share": 5 / 42,
            "text_space_share": 1 / 42,
            "text_symbol_share": 2 / 42,
            "text_foreign_share": 28 / 42,
            "text_wide_share": 5 / 42,
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
    weighed = float(text_features(text).astype(np.float64) @ np.arange(len(TEXT_FEATURES)))
    words = {name: value for name, value in named("solve solve x").items() if value and "_hash_" in name}

    # When one of these changes, snapshots of before must not be read any more: raise FEATURE_VERSION.
    assert (FEATURE_VERSION, len(TEXT_FEATURES), round(total, 3), round(weighed, 1)) == (2, 134, 76.314, 5335.1)
    assert words == pytest.approx(logs(hash_30=2, hash_9=1))


def test_words_count_whatever_their_case():
    upper, lower = named("SELECT X JOIN Y"), named("select x join y")

    same = ("_hash_", "_family_", "words", "_symbol_", "space")
    assert {n: v for n, v in upper.items() if any(part in n for part in same)} == {
        n: v for n, v in lower.items() if any(part in n for part in same)
    }
    assert round(np.expm1(upper["text_family_sql"])) == 2


def test_a_request_without_an_id_gets_its_own():
    assert len({Request().id for _ in range(100)}) == 100


def test_beyond_the_limit_only_the_length_counts():
    long, longer = "a b? " * (MAX_BYTES // 5 + 1), "a b? " * (MAX_BYTES // 2)

    before, after = named(long[:MAX_BYTES] + "x"), named(longer[:MAX_BYTES] + "xyz" * 999)

    assert {name for name in before if before[name] != after[name]} == {"text_bytes_log", "text_chars_log"}


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
