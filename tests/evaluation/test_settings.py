import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fairlead.errors import ReadError
from fairlead.evaluation import settings


@pytest.mark.parametrize("bandit", [False, True], ids=["full", "logged"])
def test_settings_are_compared_on_first_days_and_valued_on_later_ones(make_evidence, bandit):
    evidence = make_evidence(bandit=bandit)

    found = settings.measure(evidence)

    assert found.chosen_requests + found.confirmed_requests == len(evidence)
    assert found.confirmed_from.timestamp() == pytest.approx(evidence.time[found.chosen_requests], abs=1e-3)
    assert any(one.optimal for one in found.settings)
    assert not all(one.optimal for one in found.settings)
    told = [one for one in found.settings if one.quality]
    assert all(one.quality.low <= one.quality.value <= one.quality.high for one in told)
    near = [abs(one.quality.value - one.chosen_quality) / one.quality.standard_error for one in told]
    assert np.median(near) < 2.5


def test_the_optimal_ones_trade_cost_time_and_quality(make_evidence):
    best = [one for one in settings.measure(make_evidence()).settings if one.optimal]
    rows = np.array([(one.chosen_cost_usd, one.chosen_p95_s, -one.chosen_quality) for one in best])

    assert {"second_price"} <= {name for one in best for name in one.parameters}
    for row in rows:
        others = rows[(rows != row).any(axis=1)]
        assert not ((others <= row).all(axis=1)).any()


def test_a_frontier_is_kept_as_json_and_read_again(make_evidence, tmp_path):
    found = settings.measure(make_evidence(n=600))

    path = settings.write(tmp_path, found)

    assert path.name == "frontier.json"
    assert settings.read(tmp_path) == found
    assert settings.read(tmp_path / "nowhere") is None


def test_a_damaged_frontier_says_how_to_mend_it(tmp_path):
    (tmp_path / settings.NAME).write_text("{")

    with pytest.raises(ReadError, match=r"frontier.json: no frontier .*`fairlead publish --frontier` makes it anew"):
        settings.read(tmp_path)


@given(arrays(np.float64, (12, 3), elements=st.integers(0, 4).map(float)))
def test_optimal_rows_are_those_that_no_other_beats(costs):
    kept = settings.optimal(costs)

    for place, row in enumerate(costs):
        beaten = ((costs <= row).all(axis=1) & (costs < row).any(axis=1)).any()
        assert kept[place] == (not beaten)
