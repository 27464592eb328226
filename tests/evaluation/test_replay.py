from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from fairlead.errors import EvidenceError
from fairlead.evaluation.replay import replay
from fairlead.features import Joined

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ENDPOINTS = ("cheap", "dear")


def attempt(number: int, request: str, minutes: float, **changes: Any) -> dict[str, Any]:
    values = {
        "event_id": f"event-{number}",
        "request_id": request,
        "start_time": NOON + timedelta(minutes=minutes),
        "endpoint": "cheap",
        "propensity": 0.5,
        "duration_s": 2.0,
        "cost_usd": 0.01,
        "quality": None,
        "prompt_sha256": request.encode(),
        "route": "maths",
    }
    values = {**values, **changes}
    said = values["quality"] is not None
    return {
        **values,
        "quality_measured": values["quality"],
        "quality_at": values["start_time"] + timedelta(minutes=5) if said else None,
        "failed": 0.0,
    }


def joined(*rows: dict[str, Any]) -> Joined:
    kinds = {"quality": pl.Float64, "quality_measured": pl.Float64, "quality_at": pl.Datetime("us", "UTC")}
    kinds |= {"propensity": pl.Float64, "cost_usd": pl.Float64, "duration_s": pl.Float64}
    return Joined(
        rows=pl.DataFrame(list(rows), schema_overrides=kinds),
        request_columns=["route"],
        state_columns=[],
        table_of={"route": "shape"},
        state_now=pl.DataFrame(),
    )


def test_retries_and_fallbacks_count_against_the_endpoint_that_was_chosen() -> None:
    log = replay(
        joined(
            attempt(2, "a", 1, endpoint="dear", propensity=None, cost_usd=0.05, duration_s=6.0, quality=1.0),
            attempt(1, "a", 0, quality=None),
        ),
        ENDPOINTS,
        None,
    )

    assert (log.request_ids, log.endpoint.tolist(), log.propensity.tolist()) == (["a"], [0], [0.5])
    assert {name: values.tolist() for name, values in log.outcomes.items()} == {
        "quality": [1.0],
        "cost_usd": [pytest.approx(0.06)],
        "latency_s": [66.0],
        "failure": [0.0],
    }
    assert (log.waited_s.tolist(), log.time.tolist()) == ([360.0], [NOON.timestamp()])
    assert (log.start, log.end) == (NOON, NOON)


def test_a_request_with_an_attempt_of_unknown_cost_has_none() -> None:
    log = replay(joined(attempt(1, "a", 0), attempt(2, "a", 1, cost_usd=None), attempt(3, "b", 2)), ENDPOINTS, None)

    np.testing.assert_array_equal(log.outcomes["cost_usd"], [np.nan, 0.01])


def test_what_was_not_observed_is_not_a_number() -> None:
    log = replay(joined(attempt(1, "a", 0, propensity=None, duration_s=None, endpoint="gone")), ENDPOINTS, None)

    assert log.endpoint.tolist() == [-1]
    assert np.isnan([log.propensity, log.outcomes["quality"], log.outcomes["latency_s"]]).all()


def test_only_requests_that_began_in_the_window_are_taken_and_learned_prompts_left_out() -> None:
    log = replay(
        joined(
            attempt(1, "old", 0, prompt_sha256=b"x"),
            attempt(2, "over the edge", 10),
            attempt(3, "over the edge", 11),
            attempt(4, "same prompt", 20, prompt_sha256=b"x"),
            attempt(5, "fresh", 21),
            attempt(6, "no prompt", 22, prompt_sha256=None),
            attempt(7, "too late", 31),
        ),
        ENDPOINTS,
        NOON + timedelta(minutes=10),
        NOON + timedelta(minutes=30),
    )

    assert log.request_ids == ["fresh", "no prompt"]
    assert log.left_out == 1


def test_no_request_in_the_window_is_said_plainly() -> None:
    with pytest.raises(EvidenceError) as fault:
        replay(joined(attempt(1, "a", 0)), ENDPOINTS, NOON)

    assert str(fault.value) == (
        f"no requests after {NOON} whose prompts were not learned from; ingest newer logs, or train with --holdout"
    )
