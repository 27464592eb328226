import numpy as np
import pytest

from fairlead import Request
from fairlead.scoring import Batch, Predictor, Snapshot


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
