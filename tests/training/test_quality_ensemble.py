from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from fairlead.publish import assemble
from fairlead.scoring.manifest import Column, Endpoint
from fairlead.scoring.predict import Batch, Predictor
from fairlead.scoring.request import TEXT_FEATURES
from fairlead.scoring.snapshot import Snapshot
from fairlead.scoring.text import read as read_text
from fairlead.training import calibrate, predictor
from fairlead.training.frame import Frame
from fairlead.training.quality import FittedQuality, fit_quality
from fairlead.training.quality.inputs import inputs_of
from fairlead.training.quality.labels import labels_of
from fairlead.training.spec import Gate, HeadPlan, Params, Spec

PLAN = HeadPlan(name="quality", target="quality")
FAST = Params(rounds=40, learning_rate=0.1)
NAMES = ("cheap", "middle", "dear")
TOPICS = {"sum": "add the numbers up to a total", "poem": "write a verse about the sea and its waves"}


def rows(prompts: int = 320, *, signal: float = 2.5, words: bool = True, seed: int = 0) -> Frame:
    """A full matrix: what a text is about says which endpoint answers it; routes say nothing but how hard it is."""
    rng = np.random.default_rng(seed)
    topic = rng.integers(0, 2, prompts)
    texts = [f"{list(TOPICS.values())[one]} {rng.integers(1000)} {rng.integers(1000)}" for one in topic]
    found = [read_text(text) for text in texts]
    route = rng.choice(["one", "other"], prompts)
    skill = np.array([[-1, 0, 1], [1, 0, -1]])[topic] * signal / 2
    chance = 1 / (1 + np.exp(-(skill + 0.3 + 0.5 * (route == "one")[:, None])))
    quality = (rng.random(chance.shape) < chance).astype(float)
    which, endpoint = np.repeat(np.arange(prompts), 3), np.tile(np.arange(3), prompts)
    return Frame(
        ids=np.array([f"{seed}-{one}" for one in which]),
        batch=Batch(
            text=np.array([found[one][0] for one in which], np.float32),
            scalars={"route": route.astype(object)[which]},
            words=tuple(found[one][1] for one in which) if words else None,
        ),
        endpoint=endpoint,
        endpoints=NAMES,
        providers=NAMES,
        models=NAMES,
        columns=[
            *(Column(name, "request") for name in TEXT_FEATURES),
            Column("route", "request", "category"),
            Column("endpoint", "endpoint", "category"),
        ],
        categories={"route": ["one", "other"], "endpoint": list(NAMES)},
        targets={"quality": quality.ravel(), "cost_usd": np.array([1e-3, 2e-3, 4e-3])[endpoint]},
        group=np.array([f"{seed}-{one}" for one in which]),
        time=np.arange(3.0 * prompts),
        propensity=np.full(3 * prompts, np.nan),
        state={},
        state_now={},
    )


@pytest.fixture(scope="module")
def learned() -> tuple[Frame, FittedQuality]:
    frame = rows()
    return frame, fit_quality(frame, PLAN, FAST, every_endpoint=False)


def snapshot_of(frame: Frame, head: FittedQuality) -> Snapshot:
    edges = calibrate.margins(head.oof_own, frame.targets["quality"], frame.endpoint, 3)
    trained = predictor.collect(frame, Spec(features=[], heads=[PLAN], gate=Gate(metric="brier")), [head], edges)
    ends = [Endpoint(name=name, provider_name=name, model=name) for name in NAMES]
    made = assemble([trained], ends, policy="intelligent", parameters={}, version=1, lineage={})
    return Snapshot.from_bytes(made.to_bytes(), "made")


def test_the_mean_of_learners_beats_the_table_and_says_why(learned: tuple[Frame, FittedQuality]):
    _, head = learned

    assert head.metrics["gain_low"] > 0
    assert head.metrics["loss"] < head.metrics["loss_table"]
    assert head.metrics["share"] >= 0.5
    assert "over the zero router" in head.reason
    assert head.parts is not None
    assert head.parts.dense is not None
    assert sorted(head.parts.dense.heads) == ["irt", "lowrank", "mlp"]
    assert head.parts.projection is not None


def test_a_snapshot_predicts_new_requests_with_what_was_learned(learned: tuple[Frame, FittedQuality]):
    frame, head = learned
    new = rows(200, seed=9)
    first = np.arange(0, 600, 3)
    snapshot = snapshot_of(frame, head)

    quality = Predictor(snapshot).candidates(new.take(first).batch).quality

    actual = new.targets["quality"].reshape(-1, 3)
    mean = frame.targets["quality"].reshape(-1, 3).mean(axis=0)
    assert ((quality - actual) ** 2).mean() < ((mean - actual) ** 2).mean() - 0.02
    assert abs(((quality - actual) ** 2).mean() - head.metrics["loss"]) < 0.03


def test_a_route_never_seen_keeps_the_order_of_the_means(learned: tuple[Frame, FittedQuality]):
    frame, head = learned
    part = rows(50, seed=4).take(np.arange(0, 150, 3))
    batch = replace(part.batch, scalars={"route": np.full(50, "new", object)})

    quality = Predictor(snapshot_of(frame, head)).candidates(batch).quality

    inside = (quality > 0) & (quality < 1)
    mean = labels_of(frame, 4).mean
    whole = inside.all(axis=1)
    assert whole.any()
    assert np.allclose(np.diff(quality[whole], axis=1), np.diff(mean), atol=1e-5)


def test_training_and_scoring_lay_out_the_same_inputs(learned: tuple[Frame, FittedQuality]):
    frame, head = learned
    dense, projection = head.parts.dense, head.parts.projection
    part = frame.take(labels_of(frame, 4).row)
    inputs = inputs_of(part)

    projected = np.array([projection.of(words) for words in part.batch.words])
    row = dense.row(part.request_columns(), projected)

    one = dense.heads["mlp"]
    standard = np.nan_to_num((row - one.center) * one.scale)
    assert np.array_equal(dense.inputs, inputs.layout)
    assert np.allclose(standard, inputs.value, atol=1e-3)


def test_a_predictor_is_read_as_it_was_written(learned: tuple[Frame, FittedQuality], tmp_path: Path):
    frame, head = learned
    trained = predictor.collect(frame, Spec(features=[], heads=[PLAN], gate=Gate(metric="brier")), [head], None)

    predictor.write(trained, tmp_path)
    back = predictor.read(tmp_path).heads[0]

    assert back.reason == head.reason
    assert np.array_equal(back.parts.dense.routes, head.parts.dense.routes)
    assert np.array_equal(back.parts.projection.rows, head.parts.projection.rows)
    said = [predictor.own_predictions(trained, one, frame) for one in (trained.heads[0], back)]
    assert np.allclose(said[0], said[1], atol=1e-6)
    assert np.corrcoef(1 / (1 + np.exp(-said[0])), head.oof_own)[0, 1] > 0.8


def test_without_words_the_columns_alone_are_read():
    head = fit_quality(rows(words=False), PLAN, FAST, every_endpoint=False)

    assert head.parts is not None
    assert head.parts.projection is None
    assert not head.parts.dense.reads_text


def test_what_says_nothing_of_the_endpoints_is_not_kept():
    head = fit_quality(rows(signal=0.0, seed=3), PLAN, FAST, every_endpoint=False)

    assert head.metrics["share"] == 0
    assert head.reason.startswith("quality.share 0")


def test_few_requests_leave_the_table_or_the_forest_alone():
    head = fit_quality(rows(100), PLAN, FAST, every_endpoint=False)

    assert head.parts is None
    assert head.reason.startswith("quality.share 0: no networks, 100 labelled requests, 200 are needed")


def test_one_label_a_request_gives_predictions_of_every_endpoint():
    frame = rows(1200)
    kept = np.arange(1200) * 3 + np.random.default_rng(77).integers(0, 3, 1200)
    log = replace(frame.take(kept), propensity=np.full(1200, 1 / 3))

    head = fit_quality(log, PLAN, FAST)

    assert head.oof.shape == (1200, 3)
    assert head.metrics["loss"] < head.metrics["loss_endpoint_mean"]
    assert head.metrics["slope_low"] > 0


def test_what_was_rarely_tried_weighs_more_and_not_without_bound():
    frame = replace(rows(4).take(np.arange(0, 12, 3)), propensity=np.array([0.5, 0.5, 0.25, 0.001]))

    labels = labels_of(frame, 2)

    weight = labels.weight.sum(axis=1)[labels.request]
    assert weight[2] == pytest.approx(2 * weight[0])
    assert weight[3] == pytest.approx(5 * np.median([2, 2, 4, 1000]) / 2 * weight[0])
