import datetime
import types
import typing
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead import schema

MOMENT = "2026-01-01T00:00:00Z"
ATTEMPT = {
    "event_id": "e",
    "event_date": "2026-01-01",
    "source": "litellm",
    "source_record_id": "1",
    "ingested_at": MOMENT,
    "request_id": "r",
    "provider_name": "openai",
    "start_time": MOMENT,
    "status": "ok",
}


def test_every_table_has_a_key_that_may_not_be_null():
    assert set(schema.KEYS) == set(schema.TABLES) - {"prices"}
    for name, key in schema.KEYS.items():
        (column,) = [field for field in msgspec.structs.fields(schema.table(name)) if field.name == key]
        assert column.required


@pytest.mark.parametrize("name", sorted(schema.TABLES))
def test_a_column_is_either_required_or_may_be_null_or_has_a_value(name):
    hints = typing.get_type_hints(schema.TABLES[name])
    for field in msgspec.structs.fields(schema.TABLES[name]):
        nullable = types.NoneType in typing.get_args(hints[field.name])
        assert nullable == (not field.required and field.default is None), field.name


@pytest.mark.parametrize("name", sorted(schema.TABLES))
def test_every_moment_is_in_a_zone_and_every_dollar_exact(name):
    for field in msgspec.structs.fields(schema.TABLES[name]):
        text = str(field.type)
        if "datetime.datetime" in text:
            assert "tz=True" in text, field.name
        if "_usd" in field.name and "candidates" not in field.name:
            assert "Decimal" in text, field.name


def test_the_least_attempt_is_one():
    got = msgspec.convert(ATTEMPT, schema.Attempt)

    assert (got.event_date, got.attempt_index, got.schema_version) == (datetime.date(2026, 1, 1), 0, 3)
    assert got.start_time == datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    assert got.list_cost_usd is None


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("event_id", ""),
        ("event_id", None),
        ("event_id", "x" * 1025),
        ("source", None),
        ("start_time", "2026-01-01T00:00:00"),  # no zone
        ("input_tokens", -1),
        ("input_tokens", 1.5),
        ("output_tokens", 2**40),
        ("duration_s", -0.1),
        ("duration_s", 1e8),
        ("propensity", 0.0),
        ("propensity", 1.1),
        ("attempt_index", 40_000),
        ("list_cost_usd", "free"),
        ("prompt_sha256", "YWJj"),
        ("tags", {"a": 1}),
    ],
)
def test_a_value_a_column_may_not_hold_is_refused(column, value):
    with pytest.raises(msgspec.ValidationError, match=column):
        msgspec.convert({**ATTEMPT, column: value}, schema.Attempt)


@pytest.mark.parametrize("column", sorted(ATTEMPT))
def test_no_required_column_may_be_missing(column):
    record = {name: value for name, value in ATTEMPT.items() if name != column}

    with pytest.raises(msgspec.ValidationError, match=column):
        msgspec.convert(record, schema.Attempt)


def test_an_attempt_survives_json():
    given_cost = Decimal("0.000000123456")
    attempt = msgspec.convert({**ATTEMPT, "list_cost_usd": str(given_cost), "tags": {"route": "maths"}}, schema.Attempt)

    again = msgspec.json.decode(msgspec.json.encode(attempt), type=schema.Attempt)

    assert again == attempt
    assert again.list_cost_usd == given_cost


def test_a_table_that_does_not_exist_has_no_row_type():
    with pytest.raises(KeyError):
        schema.table("attempt")


part = st.none() | st.integers() | st.text(st.characters(codec=None, exclude_characters="\x1f"), min_size=1)


@given(st.lists(part, min_size=1, max_size=5), st.lists(part, min_size=1, max_size=5))
def test_records_have_one_id_when_their_parts_are_one_and_else_two(one, other):
    written = [["" if part is None else str(part) for part in parts] for parts in (one, other)]

    assert (schema.record_id(*one) == schema.record_id(*other)) == (written[0] == written[1])
    assert len(schema.record_id(*one)) == 32


def test_the_id_of_a_record_never_changes():
    # Stored lakes know their rows by it.
    assert schema.record_id("litellm", None, "chatcmpl-1", 0) == "91bc206e15e4152fdcb5be6e3513f9f2"
