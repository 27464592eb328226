"""What comes later changes no feature of what came before; and rows are split by text and by time, never by row."""

from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from fairlead import features
from fairlead import project as projects
from fairlead.training import logs
from fairlead.training.frame import folds_of

CUT = 300.0  # minutes after noon


def drawn(attempt: Any, seed: int, later_seed: int) -> list[Any]:
    """Attempts of ten hours; those that start or end after the cut are drawn from `later_seed`."""
    found = []
    for number in range(120):
        rng = np.random.default_rng((seed, number))
        minutes, took = 5.0 * number, float(rng.exponential(40.0))
        if minutes + took / 60 > CUT:
            rng = np.random.default_rng((later_seed, number, 1))
            took = max(float(rng.exponential(4000.0)), (CUT - minutes) * 60 + 1)
        found.append(
            attempt(
                number,
                minutes,
                duration_s=round(took, 3),
                time_to_first_chunk_s=round(took / 7, 3),
                status=str(rng.choice(["ok", "ok", "ok", "error"])),
                error_class=None,
                response_model=str(rng.choice(["a", "b"])) if minutes + took / 60 > CUT else "ab"[number % 2],
                output_tokens=int(rng.integers(1, 999)),
            )
        )
    return found


def known(project: Any) -> pl.DataFrame:
    joined = features.join(project)
    columns = [*joined.request_columns, *joined.state_columns]
    assert len(joined.state_columns) > 10
    before = pl.col("start_time") + pl.duration(microseconds=(pl.col("duration_s") * 1e6).cast(pl.Int64))
    start = joined.rows["start_time"][0]
    # Calls that were under way at the cut count too: their outcome differs, what was known at their start may not.
    rows = joined.rows.filter(pl.col("start_time") < start + timedelta(minutes=CUT)).filter(before.is_not_null())
    return rows.select("event_id", *columns)


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10_000))
def test_another_future_changes_no_feature_of_the_past(
    tmp_path_factory: Any, attempt: Any, score: Any, stored: Any, seed: int
) -> None:
    seen = []
    for later in (1, 2):
        project = projects.init(tmp_path_factory.mktemp("future") / "project")
        attempts = drawn(attempt, seed, later)
        over = [
            one
            for one in attempts
            if one.start_time + timedelta(seconds=one.duration_s) > attempts[0].start_time + timedelta(minutes=CUT)
        ]
        feedback = [
            score(number, one.request_id, float(later - 1), time=one.start_time + timedelta(days=1))
            for number, one in enumerate(over)
        ]
        seen.append(
            known(stored(project, attempts, feedback)).filter(
                pl.col("event_id").is_in([one.event_id for one in attempts if one not in over])
            )
        )

    first, second = seen
    assert first.height > 40
    assert first["minute_log_ttft_sum"].drop_nulls().len() > 20
    assert_frame_equal(first, second)


def test_what_is_known_now_is_what_the_next_request_would_see(project: Any, attempt: Any, stored: Any) -> None:
    stored(project, [*drawn(attempt, 7, 1)[:40], attempt(999, 600.0, response_model="a")])

    joined = features.join(project)

    last = joined.rows.filter(pl.col("event_id") == "event-999")
    now = joined.state_now.filter(pl.col("endpoint") == last["endpoint"][0])
    # The last call's own minute is over only after it: all that came before is what both see, but for that minute.
    assert last["log_duration_day"][0] is not None
    assert now["calls_day_log"][0] >= last["calls_day_log"][0]


def test_equal_texts_stay_in_one_fold_and_the_cut_is_one_of_time(project: Any, attempt: Any, stored: Any) -> None:
    prompts = [bytes([number % 9]) * 32 for number in range(60)]
    stored(project, [attempt(number, float(number), prompt_sha256=prompts[number]) for number in range(60)])
    joined = features.join(project)

    cut = joined.rows["start_time"][40]
    frame, rest = logs.frame_of(joined, cut), logs.frame_of(joined)

    assert frame.time.max() < cut.timestamp() <= rest.time[40:].min()
    fold = folds_of(frame.group, 4)
    texts = [prompts[int(str(name).removeprefix("event-"))] for name in frame.ids]
    assert len(set(zip(texts, fold.tolist(), strict=True))) == 9
    assert len(set(frame.group.tolist())) == 9
