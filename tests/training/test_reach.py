from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from fairlead.training.quality.reach import by_reach, reach_of

N = 6000


def told(make_frame: Any, chance: Any, outcome: Any, seed: int = 0) -> tuple[Any, np.ndarray[Any, Any]]:
    """A frame whose labels came with `chance(words, route)`, and how good each answer was."""
    seen: dict[str, Any] = {}

    def quality(rng: Any, words: Any, route: Any, endpoint: Any) -> Any:
        seen.update(words=words, route=route)
        return rng.random(len(words)) < outcome(words, endpoint)

    frame = make_frame(N, seed=seed, outcome=quality)
    true = frame.targets["quality"].copy()
    gets = np.random.default_rng(seed + 1).random(N) < chance(seen["words"], seen["route"])
    frame = replace(
        frame,
        targets={**frame.targets, "quality": np.where(gets, true, np.nan)},
        askable=np.ones(N, dtype=bool),
        propensity=np.full(N, np.nan),
    )
    return frame, true


def mostly_long(words: Any, route: Any) -> Any:
    return np.where(words > 0, 0.6, 0.1)


def bent(words: Any, endpoint: Any) -> Any:
    return np.where(endpoint == 0, 0.5, np.clip(0.9 - 0.8 * np.abs(words), 0.02, 1))


def test_who_gets_feedback_is_found_by_route_and_by_request(make_frame: Any):
    frame, _ = told(make_frame, lambda words, route: np.where(route == 0, 0.4, 0.1), bent)

    found = reach_of(frame)

    assert (found.lowest, found.share, found.highest) == pytest.approx((0.1, 0.25, 0.4), abs=0.02)
    labelled = np.isfinite(frame.targets["quality"])
    assert found.weight[labelled].mean() == pytest.approx(1.0)
    ratio = found.weight[labelled & (frame.route == 1)].mean() / found.weight[labelled & (frame.route == 0)].mean()
    assert ratio == pytest.approx(4.0, rel=0.1)


def test_the_mean_over_all_requests_is_found_from_uneven_feedback(make_frame: Any):
    frame, true = told(make_frame, mostly_long, lambda words, endpoint: 0.5 + 0.3 * np.tanh(words))

    found = reach_of(frame)

    seen = np.isfinite(frame.targets["quality"])
    plain = frame.targets["quality"][seen].mean()
    weighed = np.average(frame.targets["quality"][seen], weights=found.weight[seen])
    assert abs(plain - true.mean()) > 0.1
    assert abs(weighed - true.mean()) < 0.04


def test_weights_are_used_where_they_make_the_error_over_all_requests_smaller(make_frame: Any):
    frame, _ = told(make_frame, mostly_long, bent)

    found = by_reach(frame, 4)

    assert found.weight is not None
    assert "are used make the squared error over all requests smaller by +" in found.said[-1]


def test_weights_that_cannot_help_are_not_used(make_frame: Any):
    frame, _ = told(make_frame, mostly_long, lambda words, endpoint: np.where(endpoint == 0, 0.5, 0.7))

    found = by_reach(frame, 4)

    assert found.weight is None
    assert "weights against that are not used, since they would make" in found.said[-1]


def test_even_feedback_and_too_little_of_it_change_nothing(make_frame: Any):
    even, _ = told(make_frame, lambda words, route: np.full(N, 0.3), bent)

    assert by_reach(even, 4).weight is None
    assert by_reach(even, 4).said[-1].endswith("by route: evenly enough")
    assert by_reach(even.take(np.arange(100)), 4).said == ()
    assert by_reach(replace(even, askable=None), 4).said == ()


def test_a_column_that_nobody_sends_is_no_obstacle(make_frame: Any):
    frame, _ = told(make_frame, mostly_long, bent)
    text = frame.batch.text.copy()
    text[:, 5] = np.nan

    found = reach_of(replace(frame, batch=replace(frame.batch, text=text)))
    empty = reach_of(replace(frame, batch=replace(frame.batch, text=np.full_like(text, np.nan))))

    assert found.weight is not None
    assert empty is not None


def test_a_request_whose_feedback_may_still_come_counts_neither_way(make_frame: Any):
    frame, _ = told(make_frame, lambda words, route: np.full(N, 0.5), bent)
    young = np.arange(N) >= N // 2
    quality = np.where(young, np.nan, frame.targets["quality"])
    frame = replace(frame, targets={**frame.targets, "quality": quality}, askable=~young)

    assert reach_of(frame).share == pytest.approx(0.5, abs=0.02)
