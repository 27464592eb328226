from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.errors import ReadError
from fairlead.evaluation.simulate import synthetic
from fairlead.evaluation.simulate.shapes import SHAPES, shape_of, shaped
from fairlead.evaluation.simulate.traffic import Marginals, Rhythm, arrivals, durations

TRACES = Path(__file__).parents[3].parent / "shared" / "data" / "traces"
MONDAY = datetime(2026, 10, 5, tzinfo=UTC)


def moments_of(n: int, days: float, seed: int, gaps: tuple[float, ...] | None = None) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return arrivals(n, Rhythm.of(days, MONDAY, Marginals(), rng), rng, gaps)


@given(
    n=st.integers(0, 300),
    days=st.floats(0.001, 40),
    seed=st.integers(0, 2**32),
    gaps=st.sampled_from([None, SHAPES["azure-code"].gaps]),
)
def test_arrivals_are_in_order_and_inside_their_days(
    n: int, days: float, seed: int, gaps: tuple[float, ...] | None
) -> None:
    moments = moments_of(n, days, seed, gaps)

    assert len(moments) == n
    assert (np.diff(moments) >= 0).all()
    if n:
        assert MONDAY.timestamp() * 1e6 <= moments[0]
        assert moments[-1] <= (MONDAY.timestamp() + days * 86400) * 1e6 + 1


def test_weekends_and_nights_are_quiet() -> None:
    moments = moments_of(20_000, 28, 0) / 1e6

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


def test_shapes_are_read_from_traces() -> None:
    if not TRACES.exists():
        pytest.skip("../shared is absent: no traces to read shapes from")

    read, built_in = Marginals.of(TRACES), Marginals()

    assert read.hour == pytest.approx(built_in.hour, abs=1)
    assert read.window == pytest.approx(built_in.window, rel=0.01)
    assert read.ttft == pytest.approx(built_in.ttft, rel=0.01)
    assert read.speed == pytest.approx(built_in.speed, rel=0.01)
    assert max(read.failure_share) < 0.3
    for kind, known in zip(read.outages, built_in.outages, strict=True):
        assert (kind.a_day, kind.share) == pytest.approx((known.a_day, known.share), rel=0.01)
        assert kind.minutes == pytest.approx(known.minutes, rel=0.01)


@pytest.mark.parametrize("name", SHAPES)
def test_lengths_and_gaps_are_read_from_traces(name: str) -> None:
    if not TRACES.exists():
        pytest.skip("../shared is absent: no traces to read shapes from")

    read = shape_of(name, TRACES)

    assert read is not None
    assert read.tokens_in == pytest.approx(SHAPES[name].tokens_in, rel=0.001)
    assert read.tokens_out == pytest.approx(SHAPES[name].tokens_out, rel=0.001)
    assert read.gaps == (None if SHAPES[name].gaps is None else pytest.approx(SHAPES[name].gaps, rel=0.001))


def test_a_shaped_world_has_the_lengths_of_the_trace_and_keeps_its_order() -> None:
    plain = synthetic.make(4_000, 3, np.random.default_rng(0))

    world = shaped(plain, SHAPES["azure-conv"])

    assert np.median(world.tokens_out) == pytest.approx(129, rel=0.02)
    assert np.quantile(world.tokens_in, 0.9) == pytest.approx(2734, rel=0.02)
    longer = plain.tokens_out[:, 0] > plain.tokens_out[:, 1] + 5
    assert (world.tokens_out[longer, 0] >= world.tokens_out[longer, 1]).all()
    price = world.endpoints[0]
    assert world.cost_usd[:, 0] == pytest.approx(
        (world.tokens_in[:, 0] * price.input_usd + world.tokens_out[:, 0] * price.output_usd) / 1e6, abs=1e-12
    )


def test_bursty_gaps_are_more_uneven_than_chance() -> None:
    even, bursty = (np.diff(moments_of(8_000, 0.08, 1, gaps)) for gaps in (None, SHAPES["azure-code"].gaps))

    assert even.std() / even.mean() == pytest.approx(1, abs=0.15)
    assert bursty.std() / bursty.mean() > 3


def test_the_rate_is_one_on_average() -> None:
    rhythm = Rhythm.of(7, MONDAY, Marginals(), np.random.default_rng(0))
    every_minute = round(MONDAY.timestamp() * 1e6) + np.arange(7 * 1440) * 60_000_000

    assert rhythm.at(every_minute).mean() == pytest.approx(1, abs=1e-9)


def test_a_folder_without_the_traces_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=r"hour_of_day\.parquet: not readable .* leave the traces out"):
        Marginals.of(tmp_path)
