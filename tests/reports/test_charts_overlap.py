import re

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.evaluation import seen
from fairlead.evaluation.seen import Overlap
from fairlead.reports.charts_overlap import effective, overlap


def widths(page: str) -> list[float]:
    return [float(found) for found in re.findall(r'<svg[^>]* width="([\d.]+)"', page)]


def test_weights_and_endpoints_are_drawn_for_a_page_and_a_telephone() -> None:
    weights = seen.weights(np.r_[np.zeros(50), np.ones(40), np.full(2, 30.0)])
    endpoints = [
        Overlap(endpoint="openai/gpt-big", logged_share=0.9, wanted_share=0.2, ess=321.0),
        Overlap(endpoint="a\u202eb", logged_share=0.1, wanted_share=0.8, ess=7.0),
    ]

    page = str(overlap(weights, endpoints))

    assert page.count("<svg") == 2
    for text in ("openai/gpt-big", "321", "none", "0.3 to 1", "of the answer"):
        assert page.count(f">{text}<") == 2, text
    assert "\u202e" not in page
    assert widths(page)[0] <= 1000
    assert widths(page)[1] <= 380


def test_effective_sample_sizes_are_drawn_from_none_to_millions() -> None:
    rows = [
        {"name": "trained policy (intelligent)", "ess": 2_345_678.0, "told": True, "is_candidate": True},
        {"name": "always the cheapest", "ess": 0.0, "told": False, "is_candidate": False},
    ]

    page = str(effective(rows))

    assert page.count("<svg") == 2
    for text in ("trained policy (intelligent)", "2,345,678", "0", "always the cheapest"):
        assert page.count(f">{text}<") == 2, text
    assert widths(page)[0] <= 1000
    assert widths(page)[1] <= 380


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=60))
def test_bins_hold_every_request_and_all_weight(values: list[float]) -> None:
    weight = np.array(values)
    weights = seen.weights(weight)

    if weight.sum() == 0:
        assert weights == []
        return
    assert abs(sum(one.requests_share for one in weights) - 1) < 1e-12
    assert abs(sum(one.weight_share for one in weights) - 1) < 1e-9
    assert weights[0].requests_share > 0
    assert weights[-1].weight_share > 0
