from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from fairlead.errors import ModelError
from fairlead.scoring.request import TEXT_FEATURES
from fairlead.training.failure import fit_failure
from fairlead.training.spec import HeadPlan, Params

FAILURE = HeadPlan(name="failure", target="failed")
FAST = Params(rounds=40, learning_rate=0.1, num_leaves=7, half_life_h=0.5)


def failing(make_frame: Any, by_words: float) -> Any:
    """Two endpoints of which the second fails 1 in 5, and long requests more often by `by_words` of log-odds."""
    frame, rng = make_frame(6000), np.random.default_rng(1)
    words = frame.batch.text[:, TEXT_FEATURES.index("text_words_log")]
    logit = np.where(frame.endpoint == 1, -1.4, -3.5) + by_words * (words > 1)
    failed = (rng.random(6000) < 1 / (1 + np.exp(-logit))).astype(float)
    return replace(frame, targets={**frame.targets, "failed": failed})


def test_rates_are_served_where_the_request_says_nothing(make_frame: Any) -> None:
    frame = failing(make_frame, 0.0)

    head = fit_failure(frame, FAILURE, FAST)

    assert (head.serve, head.booster) == ("table", "")
    assert head.metrics["loss_served"] == head.metrics["loss_table"] < 0.93 * head.metrics["loss_global"]
    assert 1 / (1 + np.exp(-head.table)) == pytest.approx(np.array([[0.03, 0.2]] * 3), abs=0.02)
    assert len(head.oof_own) == 6000


def test_the_forest_is_served_where_long_requests_fail(make_frame: Any) -> None:
    head = fit_failure(failing(make_frame, 2.0), FAILURE, FAST)

    assert head.serve == "forest"
    assert head.metrics["gain_low"] > 0
    assert head.metrics["loss"] < head.metrics["loss_table"] < head.metrics["loss_global"]


def test_a_log_that_does_not_say_how_calls_ended_is_refused(make_frame: Any) -> None:
    with pytest.raises(ModelError, match="failure: 0 calls say how they ended, 50 are needed; ingest more logs"):
        fit_failure(make_frame(100), FAILURE, FAST)
