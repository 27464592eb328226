from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.scoring.offer import Offer, offered, toolset
from fairlead.scoring.request import Request

BOTH = toolset(["search", "book"])
KEYS = st.sampled_from(
    (  # noqa: SIM905
        "tools toolConfig function functionDeclarations name type response_format text format generationConfig"
        " responseSchema responseMimeType toolSpec"
    ).split()
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(KEYS, part, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    "body",
    [
        {"tools": [{"type": "function", "function": {"name": name}} for name in ("search", "book")]},
        {"tools": [{"type": "function", "name": name} for name in ("book", "search")]},
        {"tools": [{"name": name, "input_schema": {}} for name in ("search", "book")]},
        {"toolConfig": {"tools": [{"toolSpec": {"name": name}} for name in ("search", "book")]}},
    ],
    ids=["OpenAI", "OpenAI Responses", "Anthropic", "Amazon"],
)
def test_the_same_tools_are_one_set_in_every_dialect(body: dict[str, Any]) -> None:
    assert offered(body) == Offer(2, BOTH)


def test_googles_declarations_are_the_tools_that_count_as_a_set() -> None:
    body = {"tools": [{"functionDeclarations": [{"name": "search"}, {"name": "book"}]}]}

    assert offered(body) == Offer(1, BOTH)


@pytest.mark.parametrize(
    ("body", "form"),
    [
        ({"response_format": {"type": "json_schema", "json_schema": {}}}, "json_schema"),
        ({"response_format": {"type": "json_object"}}, "json_object"),
        ({"text": {"format": {"type": "text"}}}, "text"),
        ({"generationConfig": {"responseMimeType": "application/json"}}, "json_object"),
        ({"generationConfig": {"responseMimeType": "application/json", "responseSchema": {"a": 1}}}, "json_schema"),
        ({"response_format": {"type": "a secret"}}, None),
        ({}, None),
    ],
)
def test_the_form_of_an_answer_is_one_of_three(body: dict[str, Any], form: str | None) -> None:
    assert offered(body).response_format == form


@given(ANYTHING)
def test_no_body_is_too_strange_to_be_read(body: Any) -> None:
    said = offered(body, whole=True)

    assert said.response_format in (None, "text", "json_object", "json_schema")
    assert said.toolset is None or len(said.toolset) == 12


@given(st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)))
def test_the_hour_of_a_request_is_that_of_its_moment_in_utc(moment: datetime) -> None:
    request = Request(at=moment.replace(tzinfo=UTC).timestamp())

    assert request.scalar("hour") == moment.hour


def test_a_request_that_says_no_moment_is_asked_now() -> None:
    before = datetime.now(UTC)

    told = Request().scalar("hour")

    after = datetime.now(UTC)
    assert told in {before.hour, after.hour}
