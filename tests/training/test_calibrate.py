import numpy as np
import pytest

from fairlead.training import calibrate


@pytest.mark.parametrize("alpha", [0.5, 0.9])
def test_offsets_cover_as_asked_on_rows_that_were_held_out(alpha: float) -> None:
    shares = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        endpoint = rng.integers(0, 3, 3000)
        residual = rng.normal(endpoint * 0.5, 1, 3000)
        seen, held = slice(0, 1500), slice(1500, None)

        shift = calibrate.offsets(residual[seen], endpoint[seen], 3, alpha)

        shares.append([(residual[held] <= shift[k])[endpoint[held] == k].mean() for k in range(3)])
    # Shrinking towards the pooled shift costs an endpoint a little of its own coverage.
    np.testing.assert_allclose(np.mean(shares, axis=0), alpha, atol=0.04)
    assert np.mean(shares) == pytest.approx(alpha, abs=0.01)


def test_an_endpoint_without_rows_gets_everyones_shift() -> None:
    residual = np.arange(100.0)

    shift = calibrate.offsets(residual, np.zeros(100, dtype=int), 2, 0.9)

    np.testing.assert_allclose(shift, [90.0, 90.0])


def test_no_residual_at_all_shifts_nothing() -> None:
    np.testing.assert_array_equal(calibrate.offsets(np.zeros(0), np.zeros(0, dtype=int), 2, 0.9), np.zeros(2))


def test_smearing_turns_medians_into_means() -> None:
    rng = np.random.default_rng(0)
    endpoint = rng.integers(0, 2, 40_000)
    spread = np.array([0.2, 0.8])[endpoint]
    actual = np.exp(rng.normal(1.0, spread))

    factor = calibrate.smearing(actual, np.full(40_000, np.exp(1.0)), endpoint, 3)

    pooled = actual.mean() / np.exp(1.0)
    np.testing.assert_allclose(factor, [np.exp(0.02), np.exp(0.32), pooled], rtol=0.02)


def test_smearing_of_nothing_is_one() -> None:
    np.testing.assert_array_equal(calibrate.smearing(np.zeros(0), np.zeros(0), np.zeros(0, dtype=int), 2), np.ones(2))


def world(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predictions that promise too much at endpoint 0, the true chance, and endpoints."""
    predicted, endpoint = rng.uniform(0.3, 0.95, n), rng.integers(0, 3, n)
    true = np.clip(predicted - np.array([0.1, 0.0, -0.03])[endpoint], 0, 1)
    return predicted, true, endpoint


def test_margins_are_lower_bounds_of_the_mean_in_all_but_one_bin_in_twenty() -> None:
    broken = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        predicted, true, endpoint = world(rng, 1500)
        actual = (rng.random(1500) < true).astype(float)
        edges, margins = calibrate.margins(predicted, actual, endpoint, 3)
        predicted, true, endpoint = world(rng, 60_000)
        which = np.searchsorted(edges, predicted)
        low = np.clip(predicted - margins[endpoint, which], 0, 1)

        for k in range(3):
            for b in range(len(edges) + 1):
                mine = (endpoint == k) & (which == b)
                broken.append(true[mine].mean() < low[mine].mean())
    assert len(broken) == 1800
    assert np.mean(broken) <= 0.08


def test_margins_without_rows_promise_nothing() -> None:
    edges, margins = calibrate.margins(np.zeros(0), np.zeros(0), np.zeros(0, dtype=int), 2)

    assert edges.shape == (0,)
    np.testing.assert_array_equal(margins, np.ones((2, 1)))


def test_a_bin_without_failures_still_has_width_and_one_without_rows_more() -> None:
    predicted = np.full(200, 0.99)

    edges, margins = calibrate.margins(predicted, np.ones(200), np.zeros(200, dtype=int), 2)

    assert 0 < margins[0, 0] < 0.05 < margins[1, 0]
    assert edges.tolist() == [0.99]
