from typing import Any

import numpy as np
import pytest

from fairlead.training.recency import forecast

HOUR = 3600.0


def calls(rows: int = 4000, seed: int = 0) -> tuple[Any, Any, Any, Any]:
    """Calls at four endpoints of two models; each endpoint has a level and a spread, and all slow down halfway."""
    rng = np.random.default_rng(seed)
    begun, group = np.sort(rng.random(rows)) * 400 * HOUR, rng.integers(0, 4, rows)
    level, spread = np.array([0.0, 0.1, 1.0, 1.2])[group], np.array([0.1, 0.1, 0.5, 0.5])[group]
    value = level + spread * rng.normal(size=rows) + 0.4 * (begun > 200 * HOUR)
    return value, group, group // 2, begun


@pytest.mark.parametrize("alpha", [0.5, 0.9, 0.95])
def test_a_quantile_covers_its_share_although_all_slow_down(alpha: float) -> None:
    value, group, parent, begun = calls()

    told = forecast(value, group, parent, begun, begun + np.exp(value), alpha, 24 * HOUR)

    late = begun > 100 * HOUR
    assert np.mean(value[late] <= told[late]) == pytest.approx(alpha, abs=0.03)


def test_each_endpoint_has_its_own_level_and_spread() -> None:
    value, group, parent, begun = calls()
    early = begun < 200 * HOUR

    p50, p90 = (forecast(value, group, parent, begun, begun, alpha, 48 * HOUR) for alpha in (0.5, 0.9))

    late = early & (begun > 150 * HOUR)
    levels = [float(np.median(p50[late & (group == k)])) for k in range(4)]
    widths = [float(np.median((p90 - p50)[late & (group == k)])) for k in range(4)]
    assert levels == pytest.approx([0.0, 0.1, 1.0, 1.2], abs=0.12)
    assert widths[2] > 2.5 * widths[0]


def test_calls_that_had_not_ended_are_not_known() -> None:
    value, group, parent, begun = calls(600)
    ended, cut = begun + 2 * HOUR, 200 * HOUR
    other = np.where(ended < cut, value, 9.0)

    first, second = (forecast(one, group, parent, begun, ended, 0.9) for one in (value, other))

    past = begun < cut
    assert first[past].tolist()[5:] == second[past].tolist()[5:]
    assert np.isnan(first[0])
    assert (first[~past] != second[~past]).any()
