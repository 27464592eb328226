from datetime import UTC, datetime

import numpy as np
import pytest

from fairlead.errors import UsageError
from fairlead.evaluation.simulate.load import TOKEN_GROWTH, TTFT_GROWTH, Load, Met, meet, stretched
from fairlead.evaluation.simulate.traffic import Marginals, Rhythm, arrivals

MONDAY = datetime(2026, 10, 5, tzinfo=UTC)


def met_by(load: Load, n: int = 40_000, usual_s: float = 4.0) -> Met:
    rng = np.random.default_rng(0)
    rhythm = Rhythm.of(7, MONDAY, Marginals(), rng)
    found = meet(load, arrivals(n, rhythm, rng), np.array([usual_s]), rhythm, rng)
    assert found is not None
    return found


def test_there_are_as_many_in_flight_as_asked_for_and_more_of_them_in_busy_hours() -> None:
    rng = np.random.default_rng(1)
    rhythm = Rhythm.of(7, MONDAY, Marginals(), rng)
    every_minute = round(MONDAY.timestamp() * 1e6) + np.arange(7 * 1440) * 60_000_000

    found = meet(Load(in_flight=6, slots=16), every_minute, np.array([3.0, 3.0]), rhythm, rng)

    assert found is not None
    assert found.in_flight.mean() == pytest.approx(6, rel=0.02)
    by_rate = np.argsort(rhythm.at(every_minute))
    quiet, busy = found.in_flight[by_rate[:2_000]].mean(), found.in_flight[by_rate[-2_000:]].mean()
    assert busy > 4 * quiet


def test_nobody_waits_while_a_slot_is_free_and_a_queue_takes_the_time_of_those_before() -> None:
    found = met_by(Load(in_flight=8, slots=8))

    before = found.in_flight - 8 + 1
    assert (found.wait_s[before <= 0] == 0).all()
    assert (found.wait_s[before > 0] > 0).all()
    for queue in (1, 4, 8):  # the wait of M/M/c for who meets this queue: Erlang, mean queue x 4 s / 8
        waits = found.wait_s[before == queue]
        assert abs(waits.mean() - queue * 4 / 8) < 4 * waits.std() / np.sqrt(len(waits))


def test_no_load_changes_nothing() -> None:
    last, first = np.array([[3.0, 2.0]]), np.array([[1.0, 0.5]])
    rhythm = Rhythm.of(1, MONDAY, Marginals(), np.random.default_rng(0))

    assert meet(Load(), np.array([0]), last.mean(axis=0), rhythm, np.random.default_rng(0)) is None
    assert stretched(last, first, np.ones((1, 2)), None) == (last, first)


def test_calls_in_flight_stretch_the_first_token_and_the_others() -> None:
    alone = np.array([[3.0, 3.0]]), np.array([[1.0, 1.0]])
    met = Met(np.array([[0, 4]]), np.array([[0.0, 2.0]]))

    last, first = stretched(*alone, np.array([[1.0, 2.0]]), met)

    assert first[0].tolist() == pytest.approx([1.0, 2 * (1 + 4 * TTFT_GROWTH) + 2])
    assert (last - first)[0].tolist() == pytest.approx([2.0, 2 * 2 * (1 + 4 * TOKEN_GROWTH)])


@pytest.mark.parametrize(
    ("load", "fault"),
    [
        (Load(in_flight=-1), "load: -1 calls in flight, 16 slots"),
        (Load(in_flight=1, slots=0), "load: 1 calls in flight, 0 slots"),
        (Load(in_flight=float("nan")), "load: nan calls in flight"),
        (Load(in_flight=20, slots=16), "load: 20 calls in flight on average and 16 slots; give more slots"),
    ],
)
def test_a_load_that_cannot_be_is_refused(load: Load, fault: str) -> None:
    rhythm = Rhythm.of(1, MONDAY, Marginals(), np.random.default_rng(0))

    with pytest.raises(UsageError) as refusal:
        meet(load, np.array([0]), np.array([1.0]), rhythm, np.random.default_rng(0))

    assert fault in str(refusal.value)
