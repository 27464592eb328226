import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fairlead import Request
from fairlead.scoring.predict import Batch
from fairlead.scoring.request import MAX_BYTES, TEXT_FEATURES, text_features


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


@given(st.text(st.characters(codec=None), max_size=300))
def test_any_text_gives_finite_numbers_and_the_same_again(text):
    first = text_features(text)

    assert first.shape == (len(TEXT_FEATURES),)
    assert first.dtype == np.float32
    assert np.isfinite(first).all()
    assert first.tobytes() == text_features(text).tobytes()


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
