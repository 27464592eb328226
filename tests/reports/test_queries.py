import re
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from fairlead import store
from fairlead.project import Project
from fairlead.reports.queries import Ask, prepare, question, questions

FROM, UNTIL = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 8, tzinfo=UTC)


def opened(project: Project) -> Iterator[Ask]:
    connection = store.open_lake(project.lake).connect()
    prepare(connection, project)
    yield Ask(connection, FROM, UNTIL, UNTIL)
    connection.close()


@pytest.fixture
def empty(project: Project) -> Iterator[Ask]:
    yield from opened(project)


@pytest.fixture
def ask(filled: Project) -> Iterator[Ask]:
    yield from opened(filled)


@pytest.mark.parametrize("name", questions())
def test_every_question_can_be_asked_of_an_empty_lake(empty: Ask, name: str) -> None:
    answer = empty(name)

    assert answer == [] or all(value in (None, 0, row.get("name")) for row in answer for value in row.values())


@pytest.mark.parametrize("name", questions())
def test_every_question_says_first_what_it_answers(name: str) -> None:
    first = question(name).splitlines()[0]

    assert re.fullmatch(r"-- [A-Z].*[?.]( .*\.|.*)", first)


@pytest.mark.parametrize("name", ["spend_by_endpoint", "spend_by_team", "spend_by_provider"])
def test_the_parts_of_spend_sum_to_its_total_whatever_the_cut(ask: Ask, name: str) -> None:
    total = ask.one("totals")["cost_usd"]

    assert total == pytest.approx(3.2)
    for top in (1, 2, 100):
        assert sum(row["cost_usd"] for row in ask(name, top=top)) == pytest.approx(total)


def test_spend_per_day_sums_to_the_total(ask: Ask) -> None:
    rows = ask("spend_per_day", top=1)

    assert sum(row["cost_usd"] for row in rows) == pytest.approx(3.2)
    assert {row["name"] for row in rows} == {"openai/gpt-big", None}


def test_quality_comes_with_an_interval_around_it(ask: Ask) -> None:
    rows = ask("quality_by_endpoint")

    assert [(row["name"], row["n"]) for row in rows] == [
        ("anthropic/claude", 50),
        ("openai/gpt-big", 50),
        ("openai/gpt-small", 50),
    ]
    assert all(0 <= row["low"] < row["quality"] < row["high"] <= 1 for row in rows)
    assert rows[0]["quality"] == pytest.approx(0.76)
    assert (rows[0]["low"], rows[0]["high"]) == pytest.approx((0.6259, 0.8570), abs=1e-3)  # Wilson for 38 of 50


def test_a_question_asked_twice_is_answered_once(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    first = ask("totals")
    monkeypatch.setattr(store, "query", None)

    assert ask("totals") is first
