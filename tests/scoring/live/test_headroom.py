import math

import pytest

from fairlead.errors import UsageError
from fairlead.scoring.live import Limit
from fairlead.scoring.live.headroom import Headroom, left


def test_the_tighter_of_two_limits_counts():
    limit = Limit(requests_per_minute=100, tokens_per_minute=1000)

    assert left(limit, requests=50, tokens=100) == 0.5
    assert left(limit, requests=10, tokens=750) == 0.25
    assert left(limit, requests=1000, tokens=0) == 0.0
    assert left(Limit(), requests=1000, tokens=1e9) == 1.0
    assert left(None, requests=1000, tokens=1e9) == 1.0


def test_what_a_header_said_refills_within_a_minute():
    headroom = Headroom()
    headroom.report(0.0, now=100)

    assert [headroom.reported(at) for at in (100, 115, 160, 999)] == [0.0, 0.25, 1.0, 1.0]


@pytest.mark.parametrize(("said", "kept"), [(-1.0, 0.0), (7.0, 1.0), (math.nan, 1.0), (math.inf, 1.0)])
def test_a_header_that_makes_no_sense_is_bounded_or_passed_over(said, kept):
    headroom = Headroom()

    headroom.report(said, now=0)

    assert headroom.reported(0) == kept


@pytest.mark.parametrize("limit", [0, -1, math.nan, math.inf])
def test_a_limit_must_be_a_number_above_zero(limit):
    with pytest.raises(UsageError, match="requests_per_minute must be a number above 0"):
        Limit(requests_per_minute=limit)
