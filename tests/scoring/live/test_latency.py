from math import exp, isnan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.scoring.live.latency import PeakEwma


def test_nothing_is_known_before_the_first_call():
    assert isnan(PeakEwma(10).at(5.0))


def test_a_slow_call_counts_at_once_and_in_full():
    latency = PeakEwma(10)
    latency.observe(1.0, now=0)

    latency.observe(20.0, now=0.001)

    assert latency.at(0.001) == 20.0


def test_a_quick_call_counts_by_the_time_that_has_passed():
    latency = PeakEwma(10)
    latency.observe(20.0, now=0)

    latency.observe(1.0, now=10)

    assert latency.at(10) == pytest.approx(20 * exp(-1) + 1 * (1 - exp(-1)))


def test_without_calls_it_falls_by_its_time_constant():
    latency = PeakEwma(10)
    latency.observe(8.0, now=0)

    assert [latency.at(at) for at in (0, 10, 30)] == pytest.approx([8.0, 8 * exp(-1), 8 * exp(-3)])


def test_time_that_goes_back_changes_nothing():
    latency = PeakEwma(10)
    latency.observe(8.0, now=100)

    assert latency.at(50) == 8.0


@given(st.lists(st.tuples(st.floats(0, 1e3), st.floats(0, 60)), min_size=1))
def test_it_never_leaves_what_was_seen(calls):
    latency, now = PeakEwma(10), 0.0

    for seconds, pause in calls:
        now += pause
        latency.observe(seconds, now)
        assert 0 <= latency.at(now) <= max(one for one, _ in calls) * (1 + 1e-9)
