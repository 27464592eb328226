import itertools

import numpy as np
import pytest
from msgspec.structs import replace
from sklearn.neural_network import MLPClassifier

from fairlead.errors import SnapshotRefusedError
from fairlead.scoring import text as texts
from fairlead.scoring.dense import Dense, DenseHead, Layer, shrunk
from fairlead.scoring.parts import PARTS, Parts, from_arrays, to_arrays
from fairlead.scoring.projection import Projection
from fairlead.scoring.quality import DenseQuality
from fairlead.scoring.snapshot import Snapshot

ENGINES = ["plain", "kernels"]


def single(values) -> np.ndarray:
    return np.asarray(values, np.float32)


@pytest.fixture(params=ENGINES)
def engine(request, monkeypatch):
    module = pytest.importorskip(f"fairlead.scoring.text.{request.param}")
    monkeypatch.setattr(texts, "_engine", module)
    return request.param


def head(layers, inputs: int, endpoints: int) -> DenseHead:
    platt = single([np.ones(endpoints), np.zeros(endpoints)])
    return DenseHead(center=single(np.zeros(inputs)), scale=single(np.ones(inputs)), layers=layers, platt=platt)


def numbers_only(heads: dict[str, DenseHead], inputs: int, endpoints: int, share: float = 1.0) -> Dense:
    columns = np.array([(index, -1) for index in range(inputs)], np.int32)
    return Dense(inputs=columns, heads=heads, mean=single(np.full(endpoints, 0.5)), share=share)


def random_parts(seed: int = 0, inputs: int = 12, endpoints: int = 5) -> Parts:
    random = np.random.default_rng(seed)
    projection = Projection(rows=single(random.normal(size=(64, 6))), idf=single(random.uniform(size=64)))
    sources = [(-1, j) for j in range(6)] + [(0, -1), (1, 0), (1, 1), (2, -1), (0, -1), (1, 2)]
    heads = {}
    for name, sizes in (("mlp", (inputs, 8, endpoints)), ("irt", (inputs, 3, endpoints))):
        layers = tuple(
            Layer(weights=single(random.normal(size=pair)), bias=single(random.normal(size=pair[1])), relu=relu)
            for pair, relu in zip(itertools.pairwise(sizes), (name == "mlp", False), strict=True)
        )
        heads[name] = DenseHead(
            center=single(random.normal(size=inputs)),
            scale=single(random.uniform(0.5, 2, inputs)),
            layers=layers,
            platt=single(random.uniform(0.5, 1.5, (2, endpoints))),
        )
    mean = single(random.uniform(size=endpoints))
    return Parts(
        projection=projection,
        dense=Dense(inputs=np.array(sources, np.int32), heads=heads, mean=mean, share=0.4),
    )


def test_a_head_is_the_network_that_sklearn_fitted(engine):
    random = np.random.default_rng(1)
    rows = random.normal(size=(300, 7))
    labels = (rows @ random.normal(size=(7, 4)) > 0).astype(int)
    network = MLPClassifier((16,), max_iter=30, random_state=0, solver="lbfgs").fit(rows, labels)
    layers = tuple(
        Layer(weights=single(weights), bias=single(bias), relu=number == 0)
        for number, (weights, bias) in enumerate(zip(network.coefs_, network.intercepts_, strict=True))
    )
    predict = DenseQuality(numbers_only({"mlp": head(layers, 7, 4)}, 7, 4), None)

    got = np.array([predict("", row) for row in rows[:50]])

    np.testing.assert_allclose(got, network.predict_proba(rows[:50]), atol=1e-5)


def test_a_head_is_the_item_response_model_one_can_write_by_hand(engine):
    random = np.random.default_rng(2)
    ability, loading, ease = random.normal(size=(6, 3)), random.normal(size=(3, 4)), random.normal(size=4)
    layers = (
        Layer(weights=single(ability), bias=single(np.zeros(3)), relu=False),
        Layer(weights=single(loading), bias=single(ease), relu=False),
    )
    predict = DenseQuality(numbers_only({"irt": head(layers, 6, 4)}, 6, 4), None)
    rows = random.normal(size=(20, 6))

    got = np.array([predict("", row) for row in rows])

    np.testing.assert_allclose(got, 1 / (1 + np.exp(-((rows @ ability) @ loading + ease))), atol=1e-5)


@pytest.mark.parametrize("text", ["", "solve it", "how how many", "文字 и слова", "a " * 500])
@pytest.mark.parametrize("row", [[1.0, 0.0, 2.0], [np.nan, np.nan, np.nan], [np.inf, 7.0, -1e30], [-3.0, 2.0, 0.0]])
def test_numba_and_numpy_predict_the_same(text, row, monkeypatch):
    pytest.importorskip("numba")
    parts = random_parts()
    predict = DenseQuality(parts.dense, parts.projection)
    got = []
    for name in ENGINES:
        monkeypatch.setattr(texts, "_engine", __import__(f"fairlead.scoring.text.{name}", fromlist=["features"]))
        got.append(predict(text, np.array(row)))

    np.testing.assert_allclose(got[0], got[1], atol=1e-5)
    assert all(value.shape == (5,) and np.isfinite(value).all() for value in got)


def test_a_text_is_projected_alike_by_both(monkeypatch):
    projection = random_parts().projection
    got = []
    for name in ENGINES:
        monkeypatch.setattr(texts, "_engine", pytest.importorskip(f"fairlead.scoring.text.{name}"))
        got.append([projection.apply(text) for text in ("", "one", "one two one two three", "x " * 3000)])

    np.testing.assert_allclose(got[0], got[1], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(got[0], axis=1), [0, 1, 1, 1], atol=1e-6)


def test_shrinking_keeps_what_is_common_and_less_of_what_differs():
    quality, mean = np.array([[0.9, 0.5], [0.2, 0.4]]), np.array([0.6, 0.4])

    assert shrunk(quality, mean, 1.0).tolist() == pytest.approx(quality)
    np.testing.assert_allclose(shrunk(quality, mean, 0.0), [[0.8, 0.6], [0.4, 0.2]])
    np.testing.assert_allclose(shrunk(quality, mean, 0.5), [[0.85, 0.55], [0.3, 0.3]])


def test_what_is_not_known_counts_as_average(engine):
    layer = Layer(weights=single([[2.0]]), bias=single([0.0]), relu=False)
    one = replace(head((layer,), 1, 1), center=single([3.0]))
    predict = DenseQuality(numbers_only({"one": one}, 1, 1), None)

    got = [float(predict("", np.array([value]))[0]) for value in (np.nan, 3.0, 4.0)]

    assert got == pytest.approx([0.5, 0.5, 1 / (1 + np.exp(-2))], abs=1e-6)


def test_parts_come_back_as_they_were_published():
    parts = random_parts()

    arrays = to_arrays(parts)

    again = to_arrays(from_arrays(arrays, 5, 3, "snapshot"))
    assert {name: array.tobytes() for name, array in again.items()} == {n: a.tobytes() for n, a in arrays.items()}
    assert to_arrays(PARTS) == {}
    assert from_arrays({}, 5, 3, "snapshot") == PARTS


def test_a_snapshot_carries_them(make_snapshot):
    random = random_parts(endpoints=2)
    sources = random.dense.inputs.copy()
    sources[sources[:, 0] > 1, 0] = 1
    parts = replace(random, dense=replace(random.dense, inputs=sources))

    read = Snapshot.from_bytes(replace(make_snapshot(), parts=parts).to_bytes())

    before, after = (
        DenseQuality(one.dense, one.projection)("solve it", np.array([0.0, 1.0])) for one in (parts, read.parts)
    )
    assert before.tolist() == after.tolist()
    assert Snapshot.from_bytes(make_snapshot().to_bytes()).parts == PARTS


BREAKS = {
    "projection.rows": [np.zeros((63, 6), np.float32), np.zeros(64, np.float32), np.full((64, 6), np.nan, np.float32)],
    "projection.idf": [np.zeros(64), np.full(64, np.inf, np.float32), np.zeros(32, np.float32)],
    "dense.inputs": [
        np.full((12, 2), 3, np.int32),
        np.full((12, 2), -1, np.int32),
        np.full((12, 2), -2, np.int32),
        np.array([(-1, 6)] * 12, np.int32),
        np.zeros((12, 2)),
        np.zeros(12, np.int32),
        np.zeros((11, 2), np.int32),
    ],
    "dense.mean": [np.zeros(4, np.float32), np.full(5, np.nan, np.float32)],
    "dense.share": [single([1.5]), single([np.nan]), np.zeros(2, np.float32)],
    "dense.mlp.center": [np.zeros(11, np.float32), np.full(12, np.inf, np.float32)],
    "dense.mlp.relu": [np.zeros(0, np.uint8), np.zeros(1, np.uint8), np.zeros(3, np.uint8)],
    "dense.mlp.platt": [np.zeros((2, 4), np.float32), np.full((2, 5), np.nan, np.float32)],
    "dense.irt.0.weights": [np.zeros((11, 3), np.float32), np.full((12, 3), np.nan, np.float32), np.zeros((12, 3))],
    "dense.irt.1.bias": [np.zeros(4, np.float32), np.zeros((5, 1), np.float32)],
}


@pytest.mark.parametrize(("key", "array"), [(key, array) for key, arrays in BREAKS.items() for array in arrays])
def test_what_could_not_be_evaluated_is_refused(key, array):
    arrays = {**to_arrays(random_parts()), key: array}

    with pytest.raises(SnapshotRefusedError, match=r"snapshot: .*publish it again"):
        from_arrays(arrays, 5, 3, "snapshot")


@pytest.mark.parametrize("key", [key for key in to_arrays(random_parts()) if key != "dense.inputs"])
def test_what_is_missing_is_refused(key):
    arrays = to_arrays(random_parts())
    del arrays[key]

    with pytest.raises(SnapshotRefusedError, match=r"snapshot: .*publish it again"):
        from_arrays(arrays, 5, 3, "snapshot")
