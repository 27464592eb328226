import numpy as np
import pytest

from fairlead.evaluation.simulate import failures, synthetic
from fairlead.evaluation.simulate.timeline import Outage
from fairlead.evaluation.simulate.traffic import LEVELS, Marginals, durations

N = 20_000
START = np.arange(N) * 60_000_000
SOUND = Marginals(failure_share=(0.02,), outages=())


def play(there: np.ndarray | None = None, planned: tuple[Outage, ...] = (), marginals: Marginals = SOUND):
    world = synthetic.make(N, 2, np.random.default_rng(0))
    last, first = durations(world, Marginals(), np.random.default_rng(1))
    rng = np.random.default_rng(3)
    faulty = failures.faults(["one", "two"], START, planned, marginals, rng)
    there = np.ones((N, 2), dtype=bool) if there is None else there
    chosen = np.where(there[np.arange(N), np.arange(N) % 2], np.arange(N) % 2, 0)
    return failures.play(chosen, START, last, first, there, faulty, rng)


def test_failures_come_as_often_as_their_share_says() -> None:
    tries = play()

    failed = tries.failure >= 0
    firsts = tries.number == 0
    assert failed[firsts].mean() == pytest.approx(0.02, abs=0.006)
    assert failed[tries.number == 1].mean() == pytest.approx(0.35, abs=0.1)
    assert np.array_equal(np.unique(tries.request), np.arange(N))
    assert firsts.sum() == N


def test_an_outage_fails_its_share_of_calls_while_it_lasts_and_no_other() -> None:
    begin, end = 2_000 * 60_000_000, 6_000 * 60_000_000

    tries = play(planned=(Outage((1,), begin, end, 0.7),))

    firsts = tries.number == 0
    during = (tries.start_us >= begin) & (tries.start_us < end)
    failed = tries.failure >= 0
    assert failed[firsts & during & (tries.endpoint == 1)].mean() == pytest.approx(0.7, abs=0.04)
    assert failed[firsts & during & (tries.endpoint == 0)].mean() == pytest.approx(0.02, abs=0.015)
    assert failed[firsts & ~during].mean() == pytest.approx(0.02, abs=0.006)
    broken = tries.failure[firsts & during & failed & (tries.endpoint == 1)]
    assert np.bincount(broken, minlength=3) / len(broken) == pytest.approx([0.05, 0.75, 0.2], abs=0.05)


def test_a_fallback_goes_to_an_endpoint_that_can_be_called() -> None:
    there = np.ones((N, 2), dtype=bool)
    there[:, 1] = False

    tries = play(there=there, planned=(Outage((0,), 0, 2 * int(START[-1]), 1.0),))

    assert set(tries.endpoint.tolist()) == {0}
    assert (tries.number == 2).sum() == (tries.number == 0).sum()


def test_outages_are_as_long_and_as_many_as_status_pages_show() -> None:
    days = 20_000.0
    moments = np.array([0, round(days * 86400e6)])

    drawn = failures.faults(["one", "two", "one"], moments, (), Marginals(), np.random.default_rng(0)).outages

    for kind in Marginals().outages:
        mine = [one for one in drawn if one.share == kind.share]
        minutes = np.array([(one.end_us - one.begin_us) / 60e6 for one in mine])
        assert len(mine) == pytest.approx(2 * days * kind.a_day, abs=4 * np.sqrt(2 * days * kind.a_day))
        assert np.quantile(minutes, LEVELS[2:-2]) == pytest.approx(kind.minutes[2:-2], rel=0.2)
    assert {one.places for one in drawn} == {(0, 2), (1,)}
