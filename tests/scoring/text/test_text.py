import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fairlead.scoring import text as texts
from fairlead.scoring.text import MAX_BYTES, TEXT_FEATURES, plain, tables
from fairlead.scoring.text.names import FAMILIES

kernels = pytest.importorskip("fairlead.scoring.text.kernels", reason="numba is not installed")

PIECES = [
    *"aB1 \n\t.?!,:;\"'`([{)]}<=/\\_é中ก\x00\x80\ud800\U0001f600“",
    *("\r\n", "```", "how many", "step by step", "  - ", "A) ", "https://", "def f(x):", "文字", "naïve", "Привет мир"),
    *("a" * 15, "a" * 16, "a" * 17, "a" * 16 + "b", "probability", "select selects"),
]
ANY_TEXT = st.one_of(
    st.text(st.characters(codec=None), min_size=1, max_size=200),
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=80).map("".join),
)


def both(data: bytes) -> list[tuple[bytes, bytes]]:
    return [tuple(part.tobytes() for part in engine.features(data)) for engine in (plain, kernels)]


@settings(max_examples=400, deadline=None)
@given(ANY_TEXT)
@example("\ud800")
@example("a中a中")
@example("how how many many")
def test_numba_gives_the_bits_that_numpy_gives(text):
    data = text.encode("utf-8", "surrogatepass")

    by_numpy, by_numba = both(data)

    assert by_numpy == by_numba
    assert plain.words(data).tobytes() == kernels.words(data).tobytes() == by_numpy[1]


@pytest.mark.parametrize("end", range(MAX_BYTES - 3, MAX_BYTES + 1))
@pytest.mark.parametrize("unit", ["a", "a ", "\n", "中", "é", "😀", "?", "7", "a中", "word " * 300 + "\n"])
def test_they_agree_up_to_the_limit_and_where_it_cuts_a_character(unit, end):
    data = (unit * (MAX_BYTES // len(unit.encode()) + 1)).encode()[:end]

    by_numpy, by_numba = both(data)

    assert by_numpy == by_numba


def test_many_different_words_agree():
    data = " ".join(f"w{number}" for number in range(9_000)).encode()

    by_numpy, by_numba = both(data)

    assert by_numpy == by_numba


@pytest.mark.parametrize("engine", [plain, kernels])
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hello, WORLD-2", ["hello", "world", "2"]),
        ("naïve Straße", ["naïve", "straße"]),
        ("用Python写 code", ["用", "python", "写", "code"]),
        ("สวัสดี नमस्ते", ["สวัสดี", "नमस्ते"]),
        ("“ok”—no", ["“", "ok", "”", "—", "no"]),
        ("...", []),
    ],
)
def test_words_are_those_a_reader_would_see(engine, text, words):
    found = engine.words(text.encode())

    assert found.tolist() == [tables.code(word) for word in words]


def test_no_two_keywords_share_a_slot():
    slots = {tables.code(word.decode()) >> tables.SLOT_SHIFT for word in tables.KEYWORDS}

    assert len(slots) == len(tables.KEYWORDS) == sum(len(words.split()) for words in FAMILIES.values())
    assert max(map(len, tables.KEYWORDS)) <= tables.WORD_BYTES


@pytest.mark.parametrize(("wanted", "module"), [("numpy", "plain"), ("", "kernels")])
def test_the_environment_says_which_engine_reads(wanted, module):
    code = "from fairlead.scoring import text; print(text.engine().__name__)"
    environment = {**os.environ, "FAIRLEAD_ENGINE": wanted}

    said = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)

    assert said.stdout.strip() == f"fairlead.scoring.text.{module}"


def test_importing_fairlead_does_not_import_numba():
    code = "import sys, fairlead.scoring; print('numba' in sys.modules)"

    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert said.stdout.strip() == "False"


def test_nothing_is_read_of_no_text():
    features, words = texts.read("")

    assert (features.shape, features.any(), len(words)) == ((len(TEXT_FEATURES),), np.False_, 0)
