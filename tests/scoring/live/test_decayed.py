import pytest

from fairlead.scoring.live.decayed import Decayed


def test_a_steady_stream_settles_at_its_rate_times_the_constant():
    counts = Decayed(60)

    for second in range(600):
        counts.add(1, 50, now=second)

    assert counts.at(600) == pytest.approx((60, 3000), rel=0.02)


def test_what_is_taken_back_never_leaves_less_than_nothing():
    counts = Decayed(60)
    counts.add(1, 10, now=0)

    counts.add(-5, -3, now=0)

    assert counts.at(0) == (0, 7)
