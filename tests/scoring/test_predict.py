import numpy as np
import pytest
from msgspec.structs import replace

from fairlead import Request, Router
from fairlead.errors import UsageError
from fairlead.scoring import Batch, Predictor, Snapshot
from fairlead.scoring.dense import Dense, DenseHead, Layer
from fairlead.scoring.engine import kind_of
from fairlead.scoring.forest import Forests
from fairlead.scoring.heads import PREDICTED
from fairlead.scoring.manifest import Column
from fairlead.scoring.parts import Parts
from fairlead.scoring.predict import base_tokens, column_values
from fairlead.scoring.projection import Projection


def sigmoid(value):
    return 1 / (1 + np.exp(-np.asarray(value)))


def predicted(snapshot, request, **options):
    return Predictor(snapshot, **options).candidates(Batch.of([request]))


def test_predictions_follow_from_table_forest_and_prices(snapshot):
    got = predicted(snapshot, Request(text="x" * 36, route="maths"))

    tokens_in = 36 / 4 + 1
    assert got.endpoints == ("cheap", "dear")
    assert got.quality[0] == pytest.approx(sigmoid([0.0, 1.0 + 1.0]))
    assert got.cost_usd[0] == pytest.approx([tokens_in * 1e-6 + 150 * 2e-6, tokens_in * 1e-5 + 150 * 4e-5], rel=1e-6)
    assert got.cost_p90_usd[0] == pytest.approx(
        [tokens_in * 1e-6 + 300 * 2e-6, tokens_in * 1e-5 + 300 * 4e-5], rel=1e-6
    )
    assert got.latency_s[0] == pytest.approx([1.0, 2.0])
    assert got.latency_p90_s[0] == pytest.approx([2.0, 2.0])
    assert got.quality_low[0] == pytest.approx([0.5 - 0.3, sigmoid(2.0) - 0.05])


def test_the_category_table_alone_knows_no_forest(snapshot):
    got = predicted(snapshot, Request(route="maths"), tables_only=True)

    assert got.quality[0] == pytest.approx(sigmoid([0.0, 1.0]))


@pytest.mark.parametrize("route", [None, "never seen"])
def test_an_unknown_route_uses_the_last_row(snapshot, route):
    got = predicted(snapshot, Request(route=route))

    assert got.quality[0] == pytest.approx(sigmoid([0.5, 1.5]))


def test_counted_tokens_come_before_estimated_ones(snapshot):
    got = predicted(snapshot, Request(text="x" * 400, route="chat", input_tokens=1000))

    assert got.cost_usd[0, 0] == pytest.approx(1000 * 1e-6 + 300 * 2e-6)


def test_an_endpoint_without_a_price_has_no_known_cost(make_snapshot):
    snapshot = Snapshot.from_bytes(make_snapshot(prices=((None, None), (1e-5, 4e-5))).to_bytes())

    got = predicted(snapshot, Request(route="chat"))

    assert np.isnan(got.cost_usd[0]).tolist() == [True, False]


def test_a_batch_gives_what_single_requests_give(snapshot):
    requests = [Request(text="a" * n, route=route) for n, route in ((3, "maths"), (90, "chat"), (0, None))]

    together = Predictor(snapshot).candidates(Batch.of(requests))

    for row, request in enumerate(requests):
        alone = predicted(snapshot, request)
        assert together.quality[row].tolist() == alone.quality[0].tolist()
        assert together.cost_usd[row].tolist() == alone.cost_usd[0].tolist()


@pytest.mark.parametrize("count", [-1, float("nan"), float("inf"), "many", [3], 10**400])
def test_a_count_that_cannot_be_is_as_good_as_none(snapshot, count):
    asked = Request(text="x" * 36, route="maths", input_tokens=count, tools=count)

    got, plain = predicted(snapshot, asked), predicted(snapshot, Request(text="x" * 36, route="maths"))

    assert got.cost_usd.tolist() == plain.cost_usd.tolist()


@pytest.mark.parametrize("route", [3, ["maths"], {"maths": 1}, b"maths", float("nan")])
def test_a_route_that_is_no_text_is_as_good_as_unknown(snapshot, route):
    got = predicted(snapshot, Request(route=route))

    assert got.quality[0] == pytest.approx(sigmoid([0.5, 1.5]))


def test_where_only_dollars_were_logged_dollars_are_predicted(make_snapshot):
    given = make_snapshot(prices=((None, None), (None, None)))
    heads = {
        name: head
        for name, source in (("cost_usd", "latency_s"), ("cost_usd_p90", "latency_p90_s"))
        for head in [replace(given.heads[source], spec=replace(given.heads[source].spec, name=name))]
    }
    heads["cost_usd"] = replace(heads["cost_usd"], scale=np.array([[3.0, 3.0], [9.0, 9.0]]))
    specs = [head.spec for head in heads.values()]
    manifest = replace(given.manifest, heads=specs)
    snapshot = replace(given, heads=heads, forests=Forests.empty(2), manifest=manifest)

    got = predicted(Snapshot.from_bytes(snapshot.to_bytes()), Request(route="maths"))

    assert got.cost_usd[0] == pytest.approx([3.0, 6.0])
    assert got.cost_p90_usd[0] == pytest.approx([3.0, 6.0])  # never under the mean
    assert all(np.isnan(values).all() for values in (got.quality, got.quality_low, got.latency_s, got.latency_p90_s))
    assert got.eligible.all()


def test_a_snapshot_that_predicts_nothing_still_decides(make_snapshot):
    given = make_snapshot()
    empty = replace(given, heads={}, forests=Forests.empty(2), manifest=replace(given.manifest, heads=[]))

    decision = Router(Snapshot.from_bytes(empty.to_bytes())).decide(Request(id="r"))

    assert (decision.endpoint, decision.ranked[0].quality, decision.ranked[0].cost_usd) == ("cheap", None, None)


KNOWN = PREDICTED[:-1]  # none of these snapshots predicts failures
KINDS = ["numpy", *(["numba"] if kind_of() == "numba" else [])]


def variant(make_snapshot, which):
    given = make_snapshot(prices=((None, None), (1e-5, 4e-5)) if which == "no price" else ((1e-6, 2e-6), (1e-5, 4e-5)))
    heads = dict(given.heads)
    if which == "dollars":
        heads |= {
            name: replace(given.heads[source], spec=replace(given.heads[source].spec, name=name))
            for name, source in (("cost_usd", "latency_s"), ("cost_usd_p90", "latency_p90_s"))
        }
    if which == "quality alone":
        heads = {"quality": given.heads["quality"]}
    if which == "a head of its own":
        heads = {"mood" if name == "quality" else name: head for name, head in heads.items()}
        heads["mood"] = replace(heads["mood"], spec=replace(heads["mood"].spec, name="mood"))
    return replace(given, heads=heads, manifest=replace(given.manifest, heads=[head.spec for head in heads.values()]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("which", ["as it is", "no price", "dollars", "quality alone", "a head of its own"])
def test_one_request_gets_what_a_batch_of_one_gets(make_snapshot, kind, which):
    predictor = Predictor(Snapshot.from_bytes(variant(make_snapshot, which).to_bytes()), kind=kind)
    requests = [
        Request(text="x" * size, route=route, input_tokens=tokens)
        for size, route, tokens in ((36, "maths", None), (0, "chat", 12), (9000, None, -1), (5, "new", float("inf")))
    ]
    for request in requests:
        batch = Batch.of([request])
        route = {"maths": 0.0, "chat": 1.0}.get(request.route, np.nan)
        row = np.array([route, np.nan])
        tokens = np.nan if request.input_tokens is None else float(request.input_tokens)

        got = predictor.one(row, route=route, input_tokens=tokens, base_tokens=float(base_tokens(batch.text)[0]))

        want = predictor.candidates(batch)
        for name, values in zip(KNOWN, got[:-1], strict=True):
            np.testing.assert_allclose(values, getattr(want, name)[0], rtol=1e-12, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("kind", KINDS)
def test_what_other_learners_say_is_added_to_the_forests_sums(snapshot, kind):
    got = Predictor(snapshot, kind=kind).one(np.array([0.0, np.nan]), route=0.0, added=np.array([[0.5, -0.25]]))

    assert got[0] == pytest.approx(sigmoid([0.5, 1.75]))


def test_a_callers_embedding_becomes_columns():
    vectors = [(1.0, 2.0), None, (3.0,), (float("inf"), "x"), (1, 2, 3)]
    batch = Batch.of([Request(embedding=vector) for vector in vectors])

    got = [column_values(batch, Column(f"embedding_{place}", "request"), {"embedding": {"": 2}}) for place in (0, 1)]

    nan = np.nan
    np.testing.assert_array_equal(got, [[1.0, nan, nan, np.inf, nan], [2.0, nan, nan, nan, nan]])
    none = column_values(Batch.of([Request()]), Column("embedding_0", "request"), {"embedding": {"": 2}})
    np.testing.assert_array_equal(none, [nan])


def test_an_embedding_reaches_the_forest(make_snapshot):
    published = make_snapshot()
    columns = [Column("embedding_0", "request"), *published.manifest.columns[1:]]
    snapshot = replace(published, manifest=replace(published.manifest, columns=columns))

    seen = [
        predicted(snapshot, Request(embedding=vector)).quality[0, 1] for vector in ((0.0,), (1.0,), None, (0.0, 0.0))
    ]

    assert seen == pytest.approx(sigmoid([2.5, 1.5, 1.5, 1.5]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "asked",
    [
        {"text": "Prove it.", "route": "maths"},
        {"text": "naïve \ud800 \x00", "route": "chat", "input_tokens": 12},
        {"route": 3, "input_tokens": "many", "tags": {"route": "maths"}},
        {"input_tokens": float("inf")},
        {"tags": {"input_tokens": 7}},
        {},
    ],
    ids=str,
)
def test_a_decisions_predictions_are_those_of_a_replay(make_snapshot, kind, asked):
    predictor, request = Predictor(make_snapshot(), kind=kind), Request(**asked)

    got = predictor.predict(request)

    want = predictor.candidates(Batch.of([request]))
    for name, values in zip(KNOWN, got[:-1], strict=True):
        np.testing.assert_allclose(values, getattr(want, name)[0], rtol=1e-12, atol=1e-12, err_msg=name)


def with_failure(given, link="sigmoid"):
    head = replace(
        given.heads["latency_s"],
        spec=replace(given.heads["latency_s"].spec, name="failure", link=link),
        table=replace(given.heads["latency_s"].table, values=np.log([[0.25, 1.0], [1.0, 4.0], [1.0, 1.0]])),
    )
    heads = {**given.heads, "failure": head}
    return replace(given, heads=heads, manifest=replace(given.manifest, heads=[one.spec for one in heads.values()]))


@pytest.mark.parametrize("kind", KINDS)
def test_a_snapshot_may_predict_how_likely_a_call_is_to_fail(make_snapshot, kind):
    given = make_snapshot(parameters={"failure_price": 10.0, "usd_price": 0.0})
    predictor = Predictor(Snapshot.from_bytes(with_failure(given).to_bytes()), kind=kind)
    request = Request(id="r", route="maths")

    batch, one = predictor.candidates(Batch.of([request])), predictor.predict(request)

    assert batch.failure.tolist() == [[pytest.approx(0.2), pytest.approx(0.5)]]
    np.testing.assert_allclose(one[PREDICTED.index("failure")], batch.failure[0], rtol=1e-12)
    plain = Predictor(given, kind=kind)
    assert plain.candidates(Batch.of([request])).failure is None
    assert np.isnan(plain.predict(request)[PREDICTED.index("failure")]).all()


@pytest.mark.parametrize("engine", KINDS)
def test_a_decision_weighs_the_predicted_failures(make_snapshot, monkeypatch, engine):
    monkeypatch.setenv("FAIRLEAD_ENGINE", engine)
    asked = Request(id="r", route="maths")

    def decided(given, price):
        parameters = {"failure_price": price, "usd_price": 0.0}
        return Router(given, "intelligent", parameters=parameters).decide(asked)

    free, dear = (decided(with_failure(make_snapshot()), price) for price in (0.0, 10.0))
    silent = decided(make_snapshot(), 10.0)

    assert (free.endpoint, dear.endpoint, silent.endpoint) == ("dear", "cheap", "dear")
    assert dear.candidates.failure.tolist() == [[pytest.approx(0.2), pytest.approx(0.5)]]
    assert silent.candidates.failure is None


def with_networks(given, share, *, mean=(0.5, 0.3), reads_text=False):
    random = np.random.default_rng(4)
    inputs = [(0, 0), (0, 1), *([(-1, 0)] if reads_text else [])]
    heads = {}
    for name in ("mlp", "mirt"):
        weights = random.normal(size=(len(inputs), 2)).astype(np.float32)
        heads[name] = DenseHead(
            center=np.zeros(len(inputs), np.float32),
            scale=np.ones(len(inputs), np.float32),
            layers=(Layer(weights=weights, bias=random.normal(size=2).astype(np.float32), relu=False),),
            platt=np.array([[1, 1], [0, 0]], np.float32),
        )
    dense = Dense(inputs=np.array(inputs, np.int32), heads=heads, mean=np.array(mean, np.float32), share=share)
    projection = Projection(rows=np.ones((8, 1), np.float32), idf=np.ones(8, np.float32)) if reads_text else None
    return replace(given, parts=Parts(projection=projection, dense=dense))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("forest", [True, False], ids=["with_a_forest", "networks_alone"])
def test_contrasts_are_shrunk_in_the_mean_of_all_learners(make_snapshot, kind, share, forest):
    given = make_snapshot()
    if not forest:
        table = replace(given.heads["quality"], spec=replace(given.heads["quality"].spec, serve="table", trees=0))
        heads = {**given.heads, "quality": table}
        manifest = replace(given.manifest, heads=[one.spec for one in heads.values()])
        given = replace(given, heads=heads, forests=Forests.empty(2), manifest=manifest)
    predictor = Predictor(Snapshot.from_bytes(with_networks(given, share).to_bytes()), kind=kind)
    requests = [Request(text="solve", route=route) for route in ("maths", "chat", None)]

    got = predictor.candidates(Batch.of(requests))

    alone, networks = predicted_of(given, requests, kind), predictor.snapshot.parts.dense
    rows = np.array([[0.0, np.nan], [1.0, np.nan], [np.nan, np.nan]])
    said = networks.predict(networks.row(rows, np.zeros((3, 0))))
    mixed = (alone + 2 * said) / 3 if forest else said
    common = (mixed - networks.mean).mean(axis=1, keepdims=True)
    want = np.clip(networks.mean + common + share * (mixed - networks.mean - common), 0, 1)
    np.testing.assert_allclose(got.quality, want, atol=1e-6)
    if share == 0:
        np.testing.assert_allclose(np.diff(got.quality, axis=1)[:, 0], -0.2, atol=1e-6)
    margin = np.where(got.quality > 0.7, given.margins[:, 1], given.margins[:, 0])
    np.testing.assert_allclose(got.quality_low, np.clip(got.quality - margin, 0, 1), atol=1e-12)
    for row, request in enumerate(requests):
        one = predictor.predict(request)
        np.testing.assert_allclose(one[:2], [got.quality[row], got.quality_low[row]], rtol=1e-12)


def predicted_of(snapshot, requests, kind):
    return Predictor(snapshot, kind=kind).candidates(Batch.of(requests)).quality


def test_networks_over_columns_alone_need_no_words(make_snapshot):
    batch = Batch.of([Request(text="solve it", route=route) for route in ("maths", "chat", None)])
    columns, texts = (Predictor(with_networks(make_snapshot(), 0.5, reads_text=flag)) for flag in (False, True))

    got = columns.candidates(replace(batch, words=None))

    assert got.quality.tolist() == columns.candidates(batch).quality.tolist()
    with pytest.raises(UsageError, match="these requests come without theirs"):
        texts.candidates(replace(batch, words=None))
