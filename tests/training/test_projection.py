import numpy as np
import pytest

from fairlead.errors import EvidenceError
from fairlead.scoring import text as texts
from fairlead.training.projection import fit

TEXTS = [f"solve {n} + {n} = ? step by step" for n in range(40)] + [
    f"translate sentence {n} into french, please, and explain the grammar" for n in range(40)
]


@pytest.mark.parametrize("engine", ["plain", "kernels"])
def test_what_scoring_applies_is_what_training_saw(engine, monkeypatch):
    module = pytest.importorskip(f"fairlead.scoring.text.{engine}")
    monkeypatch.setattr(texts, "_engine", module)

    projection, vectors = fit([*TEXTS, ""], dimensions=16, buckets=1 << 12)

    assert vectors.shape == (81, 16)
    applied = np.array([projection.apply(text) for text in [*TEXTS, ""]])
    np.testing.assert_allclose(applied, vectors, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(applied[:-1], axis=1), 1.0, atol=1e-5)
    assert not applied[-1].any()


def test_texts_that_are_alike_get_vectors_that_are_alike():
    _, vectors = fit(TEXTS, dimensions=8)

    alike = vectors @ vectors.T

    assert alike[:40, :40].mean() > 0.6 > 0.2 > alike[:40, 40:].mean()


def test_repeated_texts_count_once():
    once, _ = fit(TEXTS, dimensions=8)
    often, _ = fit([*TEXTS, *TEXTS[:1] * 50], dimensions=8)

    assert once.idf.tolist() == often.idf.tolist()
    np.testing.assert_allclose(once.rows, often.rows, atol=1e-5)


def test_too_few_texts_are_an_error_that_says_so():
    with pytest.raises(EvidenceError, match="too few texts"):
        fit(["one"])
