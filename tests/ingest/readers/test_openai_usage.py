import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fairlead import ingest, store
from fairlead.ingest.context import Context
from fairlead.ingest.quarantine import BadRecordError
from fairlead.ingest.readers import openai_usage
from fairlead.project import Project
from fairlead.schema import Usage

NOW = datetime(2026, 9, 1, tzinfo=UTC)
CONTEXT = Context(ingested_at=NOW, hash_key=b"key")
DAY = 1_767_225_600  # 2026-01-01
COUNTS = ("requests", "input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")


def usage(**changes: Any) -> dict[str, Any]:
    made = {
        "object": "organization.usage.completions.result",
        "input_tokens": 5000,
        "input_cached_tokens": 1800,
        "input_cache_write_tokens": 200,
        "input_audio_tokens": 300,
        "output_tokens": 1000,
        "num_model_requests": 5,
        "project_id": "proj_1",
        "user_id": "user-1",
        "api_key_id": "key_1",
        "model": "gpt-4o-mini-2024-07-18",
        "batch": False,
        "service_tier": "default",
    }
    return {**made, **changes}


def costs(line: str | None = "gpt-4o-2024-08-06, input", **changes: Any) -> dict[str, Any]:
    made = {
        "object": "organization.costs.result",
        "amount": {"value": 0.06, "currency": "usd"},
        "line_item": line,
        "project_id": "proj_1",
        "quantity": 10000,
        "quantity_unit": "tokens",
    }
    return {**made, **changes}


def page(*buckets: list[dict[str, Any]], name: str = "results") -> dict[str, Any]:
    data = [
        {"object": "bucket", "start_time": DAY + 86_400 * day, "end_time": DAY + 86_400 * (day + 1), name: results}
        for day, results in enumerate(buckets)
    ]
    return {"object": "page", "data": data, "has_more": False, "next_page": None}


def row(result: dict[str, Any], context: Context = CONTEXT) -> Usage:
    (given,) = openai_usage.split(page([result]))
    (found,) = openai_usage.read(given, context)
    assert isinstance(found, Usage)
    return found


def columns(found: Any, *names: str) -> tuple[Any, ...]:
    return tuple(getattr(found, name) for name in names)


def test_the_examples_become_usage(formats: Path) -> None:
    (tokens,) = openai_usage.read(json.loads((formats / "openai_usage_completions.jsonl").read_text()), CONTEXT)
    (money,) = openai_usage.read(json.loads((formats / "openai_costs.jsonl").read_text()), CONTEXT)

    assert columns(tokens, *COUNTS, "model", "is_batch") == (5, 5000, 1800, 200, 1000, "gpt-4o-mini-2024-07-18", False)
    assert columns(money, "cost_usd", "meter", "line_item", "model", "input_tokens") == (
        Decimal("0.06"),
        "input",
        "input_tokens",
        None,
        None,
    )
    assert columns(money, "bucket_start", "bucket_end") == (
        datetime(2024, 11, 1, tzinfo=UTC),
        datetime(2024, 11, 2, tzinfo=UTC),
    )


def test_a_result_of_usage_becomes_a_row_of_counts() -> None:
    found = row(usage())

    assert columns(found, *COUNTS) == (5, 5000, 1800, 200, 1000)
    assert columns(found, "provider_name", "project_id", "api_key_id", "service_tier", "is_batch", "cost_usd") == (
        "openai",
        "proj_1",
        "key_1",
        "default",
        False,
        None,
    )
    assert columns(found, "user_id", "usage_details", "attributes") == (
        CONTEXT.hashed("user-1"),
        {"input_audio_tokens": 300},
        '{"object":"organization.usage.completions.result"}',
    )


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("gpt-4o-2024-08-06, input", ("gpt-4o-2024-08-06", "input", None)),
        ("gpt-4o-2024-08-06, cached input", ("gpt-4o-2024-08-06", "cache_read", None)),
        ("gpt-6-sol, cache writes", ("gpt-6-sol", "cache_creation", None)),
        ("ft:gpt-4o:acme::abc, output", ("ft:gpt-4o:acme::abc", "output", None)),
        ("gpt-audio-mini-2025-12-15 audio, input", ("gpt-audio-mini-2025-12-15", "input_audio", None)),
        ("gpt-image-2 text, cached input", ("gpt-image-2", "cache_read", None)),
        ("priority | gpt-6-sol, output, long context", ("gpt-6-sol", "output", "priority")),
        ("gpt-4o", ("gpt-4o", None, None)),
        ("output_tokens", (None, "output", None)),
        ("web search tool calls", (None, None, None)),
        ("Vector storage", (None, None, None)),
        ("credits", (None, None, None)),
        (None, (None, None, None)),
    ],
)
def test_a_line_item_says_what_it_is_of_where_it_is_clear(line: str | None, expected: tuple[Any, ...]) -> None:
    found = row(costs(line))

    assert columns(found, "model", "meter", "service_tier") == expected
    assert (found.line_item, found.cost_usd) == (line, Decimal("0.06"))


def test_a_credit_is_a_cost_below_zero() -> None:
    assert row(costs(amount={"value": -3.5, "currency": "usd"})).cost_usd == Decimal("-3.5")


def test_an_amount_in_another_currency_is_no_cost_in_dollars() -> None:
    found = row(costs(amount={"value": 12.5, "currency": "eur"}))
    text = row(costs(amount={"value": "0.000001234567", "currency": "USD"}))

    assert found.cost_usd is None
    assert json.loads(found.attributes or "") == {
        "object": "organization.costs.result",
        "quantity": 10000,
        "quantity_unit": "tokens",
        "value": 12.5,
        "currency": "eur",
    }
    assert text.cost_usd == Decimal("0.000001234567")


@pytest.mark.parametrize("name", ["results", "result"])  # the API's reference has it both ways
def test_a_page_is_split_into_its_results(project: Project, write: Any, name: str) -> None:
    document = page([usage(), usage(model="gpt-4o")], [], [costs(), "odd"], name=name)

    result = ingest.load(project, [write([document])])

    con = store.open_lake(project.lake).connect()
    found = store.query(con, "SELECT event_date::VARCHAR, model, requests FROM usage ORDER BY ALL").rows()
    reasons = store.query(con, "SELECT reason, detail FROM quarantine").rows()
    con.close()
    assert (result.read, result.stored, result.quarantined) == (4, 3, 1)
    assert found == [
        ("2026-01-01", "gpt-4o", 5),
        ("2026-01-01", "gpt-4o-mini-2024-07-18", 5),
        ("2026-01-03", "gpt-4o-2024-08-06", None),
    ]
    assert reasons == [("missing_field", "object")]


def test_a_bucket_that_was_not_over_gives_way_to_a_later_load(project: Project) -> None:
    seen = {
        moment: row(usage(num_model_requests=count), Context(ingested_at=moment, hash_key=b"key"))
        for moment, count in (
            (datetime(2026, 1, 1, 12, tzinfo=UTC), 3),
            (datetime(2026, 1, 2, 6, tzinfo=UTC), 8),
            (datetime(2026, 1, 20, tzinfo=UTC), 9),
            (datetime(2026, 2, 20, tzinfo=UTC), 9),
        )
    }
    versions = [found.source_updated_at for found in seen.values()]

    assert len({found.usage_id for found in seen.values()}) == 1
    assert versions == [*list(seen)[:2], datetime(2026, 1, 5, tzinfo=UTC), datetime(2026, 1, 5, tzinfo=UTC)]


def test_results_of_one_bucket_are_told_apart_by_their_groups() -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"model": "gpt-4o"},
        {"batch": True},
        {"user_id": None},
        {"service_tier": None},
        {"project_id": "proj_2"},
        {"object": "organization.usage.embeddings.result"},
    ]

    assert len({row(usage(**change)).usage_id for change in changes}) == len(changes)
    assert row(usage(input_tokens=1)).usage_id == row(usage()).usage_id


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"object": None}, "missing_field: object"),
        ({"object": "organization.other"}, "missing_field: object: neither a usage nor a costs result"),
        ({"input_tokens": "many"}, "wrong_type: input_tokens: expected a number"),
        ({"amount": {"value": "much", "currency": "usd"}}, "wrong_type: amount.value: expected an amount"),
    ],
)
def test_what_cannot_be_read_is_refused(changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(BadRecordError) as caught:
        row(usage(**changes))

    assert str(caught.value) == expected


def test_a_result_without_its_bucket_is_refused() -> None:
    with pytest.raises(BadRecordError, match="missing_field: bucket_start_time"):
        list(openai_usage.read(usage(), CONTEXT))


def test_a_page_without_buckets_is_refused_when_it_is_named(project: Project, write: Any) -> None:
    result = ingest.load(project, [write([{"object": "page"}, page([]), page()])], reader="openai_usage")

    con = store.open_lake(project.lake).connect()
    found = store.query(con, "SELECT reason, detail FROM quarantine ORDER BY line").rows()
    con.close()
    assert (result.read, result.quarantined) == (3, 3)
    assert found == [
        ("wrong_type", "data: expected a list of buckets"),
        ("unknown_value", "a document without a single record"),
        ("unknown_value", "a document without a single record"),
    ]


def test_pages_of_other_makes_are_left_to_others() -> None:
    others = [
        {"object": "page", "data": [{"object": "file"}]},
        {"object": "list", "data": []},
        {"object": "bucket"},
        {},
    ]

    assert [openai_usage.recognises(other) for other in others] == [False] * 4
    assert openai_usage.recognises(page([usage()]))
