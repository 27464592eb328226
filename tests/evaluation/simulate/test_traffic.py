from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.errors import ReadError
from fairlead.evaluation.simulate import failures, synthetic
from fairlead.evaluation.simulate.traffic import Marginals, arrivals, durations

TRACES = Path(__file__).parents[3].parent / "shared" / "data" / "traces"
MONDAY = datetime(2026, 10, 5, tzinfo=UTC)


@given(n=st.integers(0, 300), days=st.floats(0.001, 40), seed=st.integers(0, 2**32))
def test_arrivals_are_in_order_and_inside_their_days(n: int, days: float, seed: int) -> None:
    moments = arrivals(n, days, MONDAY, Marginals(), np.random.default_rng(seed))

    assert len(moments) == n
    assert (np.diff(moments) >= 0).all()
    if n:
        assert MONDAY.timestamp() * 1e6 <= moments[0]
        assert moments[-1] <= (MONDAY.timestamp() + days * 86400) * 1e6 + 1


def test_weekends_and_nights_are_quiet() -> None:
    moments = arrivals(20_000, 28, MONDAY, Marginals(), np.random.default_rng(0)) / 1e6

    weekday = ((moments // 86400 + 3) % 7).astype(int)
    hour = ((moments // 3600) % 24).astype(int)
    per_day = np.bincount(weekday, minlength=7)
    per_hour = np.bincount(hour, minlength=24)
    assert per_day[5:].max() < 0.7 * per_day[:5].min()
    assert per_hour[7] < 0.15 * per_hour[14]


def test_the_first_token_comes_before_the_last_and_measured_durations_stay() -> None:
    world = synthetic.make(300, 4, np.random.default_rng(0))
    world.duration_s[:, 1] = 2.5

    last, first = durations(world, Marginals(), np.random.default_rng(1))

    assert (last[:, 1] == 2.5).all()
    assert (first > 0).all()
    assert (first < last).all()
    assert np.quantile(last[:, 0], 0.99) > 3 * np.median(last[:, 0])


def test_failures_come_as_often_as_their_share_says() -> None:
    world = synthetic.make(20_000, 2, np.random.default_rng(0))
    last, first = durations(world, Marginals(), np.random.default_rng(1))
    start = np.arange(20_000) * 60_000_000
    marginals = Marginals(failure_share=(0.02,))

    tries = failures.play(start % 2, start, last, first, marginals, np.random.default_rng(3))

    failed = tries.failure >= 0
    firsts = tries.number == 0
    assert failed[firsts].mean() == pytest.approx(0.02, abs=0.006)
    assert failed[tries.number == 1].mean() == pytest.approx(0.35, abs=0.1)
    assert np.array_equal(np.unique(tries.request), np.arange(20_000))
    assert firsts.sum() == 20_000


def test_shapes_are_read_from_traces() -> None:
    if not TRACES.exists():
        pytest.skip("../shared is absent: no traces to read shapes from")

    read, built_in = Marginals.of(TRACES), Marginals()

    assert read.hour == pytest.approx(built_in.hour, abs=1)
    assert read.window == pytest.approx(built_in.window, rel=0.01)
    assert read.ttft == pytest.approx(built_in.ttft, rel=0.01)
    assert read.speed == pytest.approx(built_in.speed, rel=0.01)
    assert max(read.failure_share) < 0.3


def test_a_folder_without_the_traces_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=r"hour_of_day\.parquet: not readable .* leave the traces out"):
        Marginals.of(tmp_path)
