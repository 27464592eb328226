import math

import pytest

from fairlead.errors import UsageError
from fairlead.scoring.live import Settings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("decay_s", 0),
        ("eject_s", math.nan),
        ("success_share", 1.5),
        ("jitter", -0.1),
        ("slow_start_share", 0),
        ("slow_start_share", 1.1),
        ("errors_in_a_row", 0),
        ("conversations_max", 0),
        ("refresh_s", -1),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(name, value):
    with pytest.raises(UsageError, match=f"live state: {name} must be"):
        Settings(**{name: value})
