import numpy as np
import polars as pl
import pytest

from fairlead.evaluation.adjusted import Adjusted, adjusted
from fairlead.evaluation.simulate import policy, synthetic


@pytest.fixture(scope="module")
def confounded() -> tuple[pl.DataFrame, dict[str, dict[str, float]]]:
    """A log whose router gives every route to whom it believes best there, exploring with 20 %; and the truth."""
    world = synthetic.make(20_000, 5, np.random.default_rng(1))
    rng = np.random.default_rng(2)
    chances = policy.probabilities("epsilon", world, 0.2, rng)
    chosen = policy.choose(chances, rng)
    rows, names = np.arange(len(world)), [one.name for one in world.endpoints]
    duration = 0.5 + world.tokens_out / np.array([one.tokens_per_s for one in world.endpoints])
    log = pl.DataFrame(
        {
            "request_id": [f"r{row}" for row in rows],
            "event_id": [f"e{row}" for row in rows],
            "endpoint": [names[place] for place in chosen],
            "route": world.dataset,
            "propensity": chances[rows, chosen],
            "quality": world.quality[rows, chosen],
            "cost_usd": world.cost_usd[rows, chosen],
            "duration_s": duration[rows, chosen],
        }
    )
    truth = {
        "quality": world.expected if world.expected is not None else world.quality,
        "cost_usd": world.cost_usd,
        "duration_s": duration,
    }
    means = {metric: dict(zip(names, cells.mean(axis=0), strict=True)) for metric, cells in truth.items()}
    return log, means


def test_adjusted_means_are_right_where_raw_ones_are_off_by_a_tenth(confounded):
    log, truth = confounded

    found = [one for one in adjusted(log) if one.metric == "quality"]
    raw = [abs(one.raw - truth["quality"][one.endpoint]) for one in found]
    off = [abs(one.value - truth["quality"][one.endpoint]) for one in found]

    assert len(found) == 5
    assert {one.method for one in found} == {"doubly robust"}
    assert max(raw) > 0.1
    assert max(off) < 0.03


def test_intervals_hold_the_truth_of_every_metric(confounded):
    log, truth = confounded

    found = adjusted(log)
    held = [one.low <= truth[one.metric][one.endpoint] <= one.high for one in found]

    assert len(found) == 15
    assert sum(held) >= 14


def test_without_propensities_the_mix_of_routes_is_taken_out_and_no_interval_is_shown(confounded):
    log, truth = confounded

    found = _quality(adjusted(log.with_columns(pl.lit(None, dtype=pl.Float64).alias("propensity"))))
    worst = max(found.values(), key=lambda one: abs(one.raw - truth["quality"][one.endpoint]))

    assert {(one.method, one.low, one.high) for one in found.values()} == {("by route", None, None)}
    assert abs(worst.value - truth["quality"][worst.endpoint]) < 0.5 * abs(worst.raw - truth["quality"][worst.endpoint])


def test_a_random_log_is_left_as_it_is():
    rng = np.random.default_rng(0)
    n = 4000
    endpoint = rng.integers(0, 2, n)
    log = pl.DataFrame(
        {
            "request_id": [f"r{row}" for row in range(n)],
            "event_id": [f"e{row}" for row in range(n)],
            "endpoint": [("a", "b")[place] for place in endpoint],
            "route": ["only"] * n,
            "propensity": [0.5] * n,
            "quality": (rng.random(n) < np.where(endpoint == 0, 0.9, 0.7)).astype(np.float64),
            "cost_usd": [None] * n,
            "duration_s": [None] * n,
        },
        schema_overrides={"cost_usd": pl.Float64, "duration_s": pl.Float64},
    )

    found = _quality(adjusted(log))

    assert found["a"].value == pytest.approx(found["a"].raw, abs=0.01)
    assert found["b"].value == pytest.approx(found["b"].raw, abs=0.01)


def test_an_endpoint_with_a_handful_of_requests_is_left_out_and_an_empty_log_says_nothing(confounded):
    log, _ = confounded
    few = pl.concat([log.head(500), log.head(5).with_columns(pl.lit("rare").alias("endpoint"))])

    assert "rare" not in {one.endpoint for one in adjusted(few)}
    assert adjusted(log.head(0)) == []


def _quality(found: list[Adjusted]) -> dict[str, Adjusted]:
    return {one.endpoint: one for one in found if one.metric == "quality"}
