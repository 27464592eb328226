from datetime import UTC, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairlead import features
from fairlead.errors import FeatureError
from fairlead.project import Project

COUNT = """\
-- Calls by hour; an hour is known once it is over.
-- grain: endpoint, as_of
select endpoint, date_trunc('hour', start_time) + interval 1 hour as as_of, count(*) as calls from attempts group by all
"""


@pytest.fixture
def counting(project: Project) -> Project:
    for path in project.features.glob("*.sql"):
        path.unlink()
    (project.features / "hours.sql").write_text(COUNT)
    return project


def column(project: Project, name: str) -> dict[str, Any]:
    rows = features.join(project).rows
    return dict(rows.select("event_id", name).rows())


def test_the_hour_that_is_not_over_is_not_seen(counting: Project, attempt: Any, stored: Any) -> None:
    minutes = [0.0, 59.9, 60.0 - 1e-6 / 60, 60.0, 60.1, 119.0, 120.0]
    stored(counting, [attempt(number, at) for number, at in enumerate(minutes)])

    calls = column(counting, "calls")

    assert calls == {
        "event-0": None,
        "event-1": None,
        "event-2": None,
        "event-3": 3,
        "event-4": 3,
        "event-5": 3,
        "event-6": 3,
    }


def test_another_endpoints_hours_are_not_seen(counting: Project, attempt: Any, stored: Any) -> None:
    stored(counting, [attempt(0), attempt(1, 61, response_model="other"), attempt(2, 62)])

    assert column(counting, "calls") == {"event-0": None, "event-1": None, "event-2": 1}


def test_state_as_of_now_is_each_endpoints_newest_row(counting: Project, attempt: Any, stored: Any) -> None:
    stored(counting, [attempt(0), attempt(1), attempt(2, 65), attempt(3, 5, response_model="other")])

    now = features.join(counting).state_now

    assert now.rows() == [("openai/m", 1), ("openai/other", 1)]


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.integers(0, 4 * 3600), st.floats(0, 5400), st.sampled_from(["a", "b"])), min_size=2, max_size=25
    )
)
def test_only_calls_that_had_ended_in_hours_that_were_over_are_known(
    tmp_path_factory: Any, attempt: Any, stored: Any, calls: list[tuple[int, float, str]]
) -> None:
    project = stored(
        _init(tmp_path_factory.mktemp("asof")),
        [
            attempt(number, seconds / 60, duration_s=round(took, 3), response_model=model)
            for number, (seconds, took, model) in enumerate(calls)
        ],
    )

    joined = features.join(project).rows

    ended = joined.with_columns(
        known=(pl.col("start_time") + pl.duration(microseconds=(pl.col("duration_s") * 1e6).round().cast(pl.Int64)))
        .dt.truncate("1h")
        .dt.offset_by("1h")
    )
    for row in ended.iter_rows(named=True):
        seen = ended.filter((pl.col("endpoint") == row["endpoint"]) & (pl.col("known") <= row["start_time"]))
        newest = seen["known"].max()
        expected = seen.filter(pl.col("known") > newest - timedelta(hours=24)).height if newest is not None else None
        got = row["calls_day_log"]
        assert (None if got is None else round(pow(2.718281828459045, got) - 1)) == expected


def _init(folder: Any) -> Project:
    from fairlead import project as projects

    return projects.init(folder / "project")


def test_quality_joins_requests_and_traces_by_weight(project: Project, attempt: Any, score: Any, stored: Any) -> None:
    attempts = [
        attempt(0, trace_id="trace-0"),
        attempt(1, 1, trace_id="trace-1"),
        attempt(2, 2, trace_id="trace-1"),
        attempt(3, 3),
        attempt(4, 4),
        attempt(5, 5),
    ]
    feedback = [
        score(0, "request-0", 1.0, weight=3.0),
        score(1, "request-0", 0.0),
        score(2, "trace-1", 0.25, target_kind="trace"),
        score(3, "request-3", None),
        score(4, "request-4", 1.0, weight=0.0),
        score(5, "trace-0", 0.5, target_kind="conversation"),
    ]
    stored(project, attempts, feedback)

    quality = column(project, "quality")

    assert quality == {
        "event-0": 0.75,
        "event-1": 0.25,
        "event-2": 0.25,
        "event-3": None,
        "event-4": None,
        "event-5": None,
    }


def test_quality_belongs_to_the_final_attempt(project: Project, attempt: Any, score: Any, stored: Any) -> None:
    stored(
        project,
        [attempt(0, status="error", is_final=False), attempt(1, 1, request_id="request-0", attempt_index=1)],
        [score(0, "request-0", 1.0)],
    )

    assert column(project, "quality") == {"event-0": None, "event-1": 1.0}


def test_a_column_that_no_gateway_can_send_is_refused(project: Project) -> None:
    path = project.features / "shape2.sql"
    path.write_text("-- A row.\n-- grain: event_id\nselect event_id, output_tokens as wordy from attempts")

    with pytest.raises(FeatureError) as fault:
        features.join(project)

    assert str(fault.value) == (
        f"{path}: a request carries no 'wordy', so a gateway could not send it; use one of route, team, app, key, "
        "template, tools, toolset, response_format, images, turn, max_tokens, hour, or name it tag_... "
        "and send it in Request.tags"
    )


def test_a_column_in_two_files_is_refused(project: Project) -> None:
    path = project.features / "shape2.sql"
    path.write_text("-- A row.\n-- grain: event_id\nselect event_id, team_id as team from attempts")

    with pytest.raises(FeatureError) as fault:
        features.join(project)

    assert str(fault.value) == f"{path}: column 'team' is also in features/request_shape.sql; rename one"


@pytest.mark.parametrize("name", ["quality", "duration_s", "cost_usd", "status", "model"])
def test_a_state_column_named_like_an_outcome_is_refused(project: Project, name: str) -> None:
    path = project.features / "state.sql"
    path.write_text(
        f"-- A row.\n-- grain: endpoint, as_of\n"
        f"select endpoint, max(start_time) as as_of, count(*) as {name} from attempts group by all"
    )

    with pytest.raises(FeatureError) as fault:
        features.join(project)

    assert str(fault.value) == f"{path}: column {name!r} is one of the attempts' own; rename it"


def test_a_request_column_named_like_an_outcome_is_refused(project: Project) -> None:
    path = project.features / "counted.sql"
    path.write_text("-- A row.\n-- grain: event_id\nselect event_id, input_tokens from attempts")

    with pytest.raises(FeatureError) as fault:
        features.join(project)

    assert str(fault.value) == f"{path}: column 'input_tokens' is one of the attempts' own; rename it"


def test_tags_may_be_features(project: Project, attempt: Any, stored: Any) -> None:
    (project.features / "counted.sql").write_text(
        "-- A row.\n-- grain: event_id\nselect event_id, team_id || '!' as tag_app from attempts"
    )
    stored(project, [attempt(0, team_id="search")])

    joined = features.join(project)

    assert joined.request_columns == [
        "tag_app",
        *("route", "team", "app", "key", "template", "tools", "toolset", "response_format", "images", "turn"),
        *("max_tokens", "hour", "text"),
    ]
    assert joined.rows.select("tag_app", "route", "team").rows() == [("search!", "maths", "search")]


def test_the_hour_of_a_request_is_that_of_utc(project: Project, attempt: Any, stored: Any) -> None:
    stored(project, [attempt(0)])

    row = features.join(project).rows.row(0, named=True)

    assert row["hour"] == row["start_time"].astimezone(UTC).hour
