from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairlead import features, store
from fairlead import project as projects
from fairlead.errors import ProjectError
from fairlead.features.labels import make_views, rules_of
from fairlead.project import Project

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
Rows = list[tuple[Any, ...]]


def select(project: Project, sql: str, **rules: Any) -> Rows:
    project.settings["feedback"] = rules
    con = store.open_lake(project.lake).connect()
    try:
        make_views(con, rules_of(project))
        return con.sql(sql).fetchall()
    finally:
        con.close()


def labels(project: Project, **rules: Any) -> dict[str, Any]:
    rows = select(project, "select request_id, quality, feedbacks from labels", **rules)
    return {request: (pytest.approx(quality), count) for request, quality, count in rows}


def test_people_come_before_judges_and_judges_before_what_was_done(
    project: Project, attempt: Any, score: Any, stored: Any
) -> None:
    said = [
        score(0, "request-0", 1.0),
        score(1, "request-0", 0.0, evaluator_kind="llm"),
        score(2, "request-0", 0.0, evaluator_kind="implicit"),
        score(3, "request-1", 0.5, evaluator_kind="llm"),
    ]
    stored(project, [attempt(0), attempt(1)], said)

    assert labels(project) == {"request-0": (9 / 13, 3), "request-1": (0.5, 1)}
    assert labels(project, weights={"llm": 0, "implicit": 0}) == {"request-0": (1.0, 1)}


def test_only_the_newest_word_of_each_evaluator_counts(project: Project, attempt: Any, score: Any, stored: Any) -> None:
    later = NOON + timedelta(hours=1)
    said = [
        score(0, "request-0", 0.0, evaluator_id="ann"),
        score(1, "request-0", 1.0, evaluator_id="ann", time=later),
        score(2, "request-0", 0.5, evaluator_id="bob"),
        score(3, "request-0", 0.0, evaluator_id="ann", name="tone"),
    ]
    stored(project, [attempt(0)], said)

    assert labels(project) == {"request-0": (0.5, 3)}


def test_every_way_of_naming_a_request_finds_it(project: Project, attempt: Any, score: Any, stored: Any) -> None:
    said = [
        score(0, "request-0", 0.0),
        score(1, "event-1", 0.1, target_kind="attempt"),
        score(2, "2", 0.2, target_kind="attempt"),
        score(3, "answer-3", 0.3, target_kind="response"),
        score(4, "trace-4", 0.4, target_kind="trace"),
        score(5, "talk-5", 0.5, target_kind="conversation"),
        score(6, "event-6", 0.6, target_kind="attempt"),
    ]
    more = {3: {"response_id": "answer-3"}, 4: {"trace_id": "trace-4"}, 6: {"attempt_kind": "shadow"}}
    stored(project, [attempt(n, n, **more.get(n, {})) for n in range(7)], said)

    assert labels(project) == {f"request-{n}": (n / 10, 1) for n in range(5)}


def test_labels_of_a_category_are_worth_what_the_project_says(
    project: Project, attempt: Any, score: Any, stored: Any
) -> None:
    word = {"value_type": "categorical", "name": "answer"}
    said = [score(n, f"request-{n}", None, score_label=label, **word) for n, label in enumerate(("good", "poor", "?"))]
    stored(project, [attempt(0), attempt(1), attempt(2)], said)

    worth = labels(project, labels={"answer": {"good": 1.0, "poor": 0.25}})

    assert labels(project) == {}
    assert worth == {"request-0": (1.0, 1), "request-1": (0.25, 1)}


def test_a_number_without_a_scale_takes_the_range_its_source_had_shown(
    project: Project, attempt: Any, score: Any, stored: Any
) -> None:
    points = [3.0, 11.0, 7.0]
    said = [score(n, f"request-{n}", None, score_value=value) for n, value in enumerate(points)]
    said += [score(9, "request-0", None, score_value=40.0, name="other")]
    said += [score(10, "request-0", None, score_value=99.0, time=NOON + timedelta(days=1))]
    stored(project, [attempt(n) for n in range(3)], said)

    early = features.join(project, as_of=NOON + timedelta(hours=1)).rows

    assert dict(early.select("request_id", "quality").rows()) == {"request-0": 0.0, "request-1": 1.0, "request-2": 0.5}
    assert labels(project)["request-1"] == (8 / 96, 1)


def test_a_preference_is_kept_as_one_and_is_no_score(project: Project, attempt: Any, score: Any, stored: Any) -> None:
    stored(
        project, [attempt(0), attempt(1)], [score(0, "request-0", 1.0, value_type="preference", other_target_id="r-1")]
    )

    assert labels(project) == {}
    assert select(project, "select target_id, other_target_id, outcome from preferences") == [("request-0", "r-1", 1.0)]


def test_asking_again_is_seen_in_the_attempts_and_counts_only_when_wanted(
    project: Project, attempt: Any, stored: Any
) -> None:
    me, you, prompt = {"user_id": "me"}, {"user_id": "you"}, {"prompt_sha256": b"p" * 32}
    attempts = [
        attempt(0, 0, **me, **prompt),
        attempt(1, 4, **me, **prompt),
        attempt(2, 5, **you, **prompt),
        attempt(3, 5, **me, prompt_sha256=b"q" * 32),
        attempt(4, 30, **me),
    ]
    stored(project, attempts)

    rows = select(project, "select target_id, score, time from asked_again order by 1")

    assert [(row[0], row[1], (row[2] - NOON).total_seconds() / 60) for row in rows] == [
        ("request-0", 0.0, 4.0),
        ("request-1", 1.0, 14.0),
        ("request-2", 1.0, 15.0),
        ("request-3", 1.0, 15.0),
    ]
    assert labels(project) == {}
    assert labels(project, weights={"asked_again": 1}, asked_again="3m")["request-0"] == (1.0, 1)


def test_a_label_that_may_still_come_is_not_missing(project: Project, attempt: Any, score: Any, stored: Any) -> None:
    stored(project, [attempt(0), attempt(1, 6 * 1440)], [score(0, "request-0", 1.0)])
    project.settings["feedback"] = {"maturity": "2d"}

    rows = features.join(project).rows.select("event_id", "quality", "label_mature").rows()

    assert rows == [("event-0", 1.0, True), ("event-1", None, False)]


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({"maturity": "soon"}, 'maturity: expected a span of time such as "10m", "24h" or "7d"'),
        ({"mature": "7d"}, ": unknown key 'mature'; known are asked_again, labels, maturity, weights"),
        ({"weights": {"llm": -1}}, "weights llm: expected a number from 0 up"),
        ({"weights": {"cat": 1}}, "weights: unknown key 'cat'; known are asked_again, code, human, implicit, llm"),
        ({"labels": {"answer": {"good": 2}}}, 'labels."answer" good: expected a number from 0 to 1'),
        ({"labels": {"answer": 1}}, 'labels."answer": expected names and numbers, as in good = 1.0'),
    ],
)
def test_rules_that_are_off_are_named(project: Project, rules: dict[str, Any], said: str) -> None:
    project.settings["feedback"] = rules

    with pytest.raises(ProjectError) as fault:
        rules_of(project)

    assert str(fault.value).startswith(f"{project.root / 'pyproject.toml'} [tool.fairlead.feedback]")
    assert str(fault.value).endswith(said)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_what_comes_after_a_moment_changes_nothing_as_of_it(
    tmp_path_factory: pytest.TempPathFactory,
    attempt: Callable[..., Any],
    score: Callable[..., Any],
    stored: Callable[..., Project],
    data: st.DataObject,
) -> None:
    project = projects.init(tmp_path_factory.mktemp("asof") / "project")
    project.settings["feedback"] = {"weights": {"asked_again": 1}, "labels": {"thumb": {"up": 1.0}}, "maturity": "2h"}
    moment = NOON + timedelta(hours=3)

    def attempts(numbers: range, low: int, high: int) -> list[Any]:
        minutes = data.draw(st.lists(st.integers(low, high), min_size=len(numbers), max_size=len(numbers)))
        again = data.draw(st.lists(st.booleans(), min_size=len(numbers), max_size=len(numbers)))
        return [
            attempt(number, at, user_id="me", prompt_sha256=b"p" * 32, **({"request_id": "request-0"} if same else {}))
            for number, at, same in zip(numbers, minutes, again, strict=True)
        ]

    def said(numbers: range, low: int, high: int, **more: Any) -> list[Any]:
        return [
            score(
                number,
                f"request-{data.draw(st.integers(0, 6))}",
                None,
                score_value=data.draw(st.sampled_from([None, 1.0, 2.0, 5.0, 90.0])),
                score_label=data.draw(st.sampled_from([None, "up"])),
                time=NOON + timedelta(minutes=data.draw(st.integers(low, high))),
                evaluator_id=data.draw(st.sampled_from([None, "ann"])),
                **more,
            )
            for number in numbers
        ]

    stored(project, attempts(range(4), 0, 179), said(range(6), 0, 180))
    before = features.join(project, as_of=moment)

    changed = {"source_updated_at": moment + timedelta(minutes=1)}  # a later word on what was said before
    later = said(range(6, 10), 181, 600) + said(range(3), 0, 180, **changed)
    stored(project, attempts(range(4, 8), 180, 600), later)
    after = features.join(project, as_of=moment)

    assert after.rows.equals(before.rows)
    assert after.state_now.equals(before.state_now)
