import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead import schema
from fairlead.ingest import prices
from fairlead.ingest.costs import breakdown, cost_usd, list_cost
from fairlead.ingest.costs import counts as classes
from fairlead.ingest.prices import PriceBook, Rates

ROOT = Path(__file__).parents[2]
FORMATS = ROOT.parent / "shared" / "data" / "formats"
COUNTS = (
    "input_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "output_tokens",
    "reasoning_output_tokens",
)
FULL = Rates(
    input=Decimal("3e-6"),
    output=Decimal("15e-6"),
    cache_read=Decimal("3e-7"),
    cache_creation=Decimal("3.75e-6"),
    cache_creation_1h=Decimal("6e-6"),
    reasoning=Decimal("20e-6"),
)
BARE = Rates(input=Decimal("3e-6"), output=Decimal("15e-6"))

tokens = st.integers(0, 10_000_000)


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return prices.read(ROOT / "data" / "prices.csv")


def usage(*counts: int | None, **details: int) -> SimpleNamespace:
    given = dict(zip(COUNTS, (*counts, *[None] * (5 - len(counts))), strict=True))
    return SimpleNamespace(**given, usage_details=details)


def attempt(**fields: Any) -> schema.Attempt:
    now = datetime(2026, 11, 23, 6, tzinfo=UTC)
    known = {"event_id": "e", "event_date": now.date(), "source": "test", "source_record_id": "r", "ingested_at": now,
             "request_id": "q", "start_time": now, "status": "ok", "provider_name": "openai",
             "response_model": "gpt-4o-mini"}  # fmt: skip
    return schema.Attempt(**known | fields)


@given(st.sampled_from([FULL, BARE]), st.tuples(tokens, tokens, tokens, tokens, tokens))
def test_a_cost_is_the_sum_over_its_classes(rates: Rates, parts: tuple[int, int, int, int, int]) -> None:
    plain, read, created, said, thought = parts
    whole = usage(plain + read + created, read, created, said + thought, thought)

    alone = [usage(plain, 0, 0, 0), usage(read, read, 0, 0), usage(created, 0, created, 0),
             usage(0, 0, 0, said), usage(0, 0, 0, thought, thought)]  # fmt: skip

    assert cost_usd(whole, rates) == sum(cost_usd(part, rates) for part in alone)
    assert cost_usd(whole, rates) == sum(breakdown(whole, rates).values())


@given(st.tuples(tokens, tokens, tokens, tokens, tokens), st.sampled_from([0, 3]), tokens)
def test_more_input_or_output_never_costs_less(counts: tuple[int, ...], which: int, more: int) -> None:
    larger = list(counts)
    larger[which] += more

    assert cost_usd(usage(*larger), FULL) >= cost_usd(usage(*counts), FULL)


@given(st.integers(1, 10_000_000), tokens, st.sampled_from(["input", "output"]))
def test_a_cost_without_its_price_is_not_known_rather_than_zero(needed: int, other: int, missing: str) -> None:
    rates = Rates(**{name: Decimal("1e-6") for name in ("input", "output") if name != missing})
    spent = usage(needed, 0, 0, other) if missing == "input" else usage(other, 0, 0, needed)

    assert cost_usd(spent, rates) is None


@given(st.tuples(tokens, tokens, tokens, tokens, tokens), st.sampled_from([0, 3]))
def test_a_missing_count_leaves_the_cost_unknown(counts: tuple[int, ...], which: int) -> None:
    unsaid = [None if place == which else count for place, count in enumerate(counts)]

    assert cost_usd(usage(*unsaid), FULL) is None


def test_each_class_has_its_price() -> None:
    spent = usage(1000, 600, 300, 200, 50, cache_creation_1h_input_tokens=100)

    assert breakdown(spent, FULL) == {
        "input": Decimal("3e-4"),
        "cache_read": Decimal("1.8e-4"),
        "cache_creation": Decimal("7.5e-4"),
        "cache_creation_1h": Decimal("6e-4"),
        "output": Decimal("2.25e-3"),
        "reasoning": Decimal("1e-3"),
    }


MEDIA = msgspec.structs.replace(
    FULL,
    input_audio=Decimal("40e-6"),
    output_audio=Decimal("80e-6"),
    input_image=Decimal("5e-6"),
    output_image=Decimal("30e-6"),
    web_search=Decimal("0.01"),
    request=Decimal("0.005"),
)


def test_sound_pictures_searches_and_fees_are_classes_of_their_own() -> None:
    spent = usage(1000, 0, 0, 500, 100, input_audio_tokens=200, input_image_tokens=300, output_audio_tokens=50,
                  output_image_tokens=150, web_search_requests=3)  # fmt: skip

    assert breakdown(spent, MEDIA) == {
        "input": Decimal("1.5e-3"),
        "input_audio": Decimal("8e-3"),
        "input_image": Decimal("1.5e-3"),
        "output": Decimal("3e-3"),
        "reasoning": Decimal("2e-3"),
        "output_audio": Decimal("4e-3"),
        "output_image": Decimal("4.5e-3"),
        "web_search": Decimal("0.03"),
        "request": Decimal("0.005"),
    }
    assert cost_usd(spent, MEDIA) == sum(breakdown(spent, MEDIA).values())


@given(st.lists(tokens, min_size=9, max_size=9))
def test_no_token_is_counted_twice(counts: list[int]) -> None:
    inside, outside = counts[:5], counts[5:]
    spent = usage(*inside, **dict(zip(DETAILS, outside, strict=True)))

    split = classes(spent)

    assert min(split.values()) >= 0
    sides = {name: sum(split[part] for part in parts) for name, parts in SIDES.items()}
    assert sides["input"] == max(inside[0], inside[1] + inside[2])
    assert sides["output"] == max(inside[3], inside[4])


DETAILS = ("input_audio_tokens", "input_image_tokens", "output_audio_tokens", "output_image_tokens")
SIDES = {
    "input": ("input", "cache_read", "cache_creation", "cache_creation_1h", "input_audio", "input_image"),
    "output": ("output", "reasoning", "output_audio", "output_image"),
}


def test_cached_sound_is_paid_as_cached() -> None:
    spent = usage(1000, 900, 0, 0, input_audio_tokens=400)

    assert breakdown(spent, MEDIA) == {"cache_read": Decimal("2.7e-4"), "input_audio": Decimal("4e-3"),
                                       "request": Decimal("0.005")}  # fmt: skip


def test_sound_on_a_model_of_text_costs_what_text_costs() -> None:
    assert cost_usd(usage(100, 0, 0, 0, input_audio_tokens=60), BARE) == Decimal("3e-4")


def test_a_search_without_a_price_leaves_the_cost_unknown() -> None:
    assert cost_usd(usage(100, 0, 0, 10, web_search_requests=1), BARE) is None


def test_data_residency_is_read_off_the_address(book: PriceBook) -> None:
    counts = {"response_model": "gpt-5.4", "input_tokens": 1_000_000, "output_tokens": 0}
    found = [list_cost(book, attempt(**counts, server_address=host))[0] for host in
             (None, "api.openai.com", "eu.api.openai.com")]  # fmt: skip

    assert found == [Decimal("5"), Decimal("5"), Decimal("5.5")]


@pytest.mark.parametrize(
    ("tier", "usd"),
    [("default", "1.25"), ("auto", "1.25"), ("ON_DEMAND", "1.25"), ("flex", "0.625"), ("ON_DEMAND_FLEX", "0.625"),
     ("priority", "2.5"), ("batches", "0.625"), ("scale", "1.25")],
)  # fmt: skip
def test_a_tier_goes_by_several_names(book: PriceBook, tier: str, usd: str) -> None:
    spent = attempt(response_model="gpt-5", input_tokens=1_000_000, output_tokens=0, service_tier=tier)

    assert list_cost(book, spent)[0] == Decimal(usd)


def test_a_class_without_a_price_costs_what_plain_tokens_cost() -> None:
    assert cost_usd(usage(1000, 600, 300, 200, 50), BARE) == cost_usd(usage(1000, 0, 0, 200), BARE)


def test_cached_tokens_beyond_the_input_are_still_paid_for() -> None:
    assert cost_usd(usage(10, 1000, 0, 0), FULL) == Decimal("3e-4")


def test_an_embedding_needs_no_output_count() -> None:
    assert cost_usd(usage(1_000_000), Rates(input=Decimal("2e-8"), output=Decimal(0))) == Decimal("0.02")


def test_a_small_request_costs_what_litellm_says(book: PriceBook) -> None:
    cost, source = list_cost(book, attempt(input_tokens=10, output_tokens=20))

    assert (cost, source) == (Decimal("1.35e-5"), "litellm 1.109.1")


def test_cached_input_costs_what_the_provider_bills(book: PriceBook) -> None:
    spent = attempt(input_tokens=1200, cache_read_input_tokens=1024, output_tokens=80, reasoning_output_tokens=32)

    assert list_cost(book, spent)[0] == Decimal("0.0001512")


def test_a_batch_and_a_tier_have_their_own_price(book: PriceBook) -> None:
    counts = {"input_tokens": 1_000_000, "output_tokens": 0}

    found = [list_cost(book, attempt(**counts, **more)) for more in
             ({}, {"is_batch": True}, {"service_tier": "priority"}, {"service_tier": "flex"})]  # fmt: skip

    listed = "litellm 1.109.1"
    assert found == [(Decimal("0.15"), listed), (Decimal("0.075"), listed), (Decimal("0.25"), listed),
                     (Decimal("0.15"), f"{listed} (standard)")]  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "expected"),
    [({"status": "error", "error_class": "timeout", "input_tokens": 0, "output_tokens": 0},
      (Decimal(0), "no tokens")),
     ({"status": "error", "error_class": "server"}, (Decimal(0), "no tokens")),
     ({"status": "error", "error_class": "timeout"}, (None, None)),
     ({"status": "cancelled"}, (None, None)),
     ({"status": "ok"}, (None, None)),
     ({"status": "ok", "input_tokens": 0, "output_tokens": 0, "response_model": "nonesuch"}, (None, None)),
     ({"status": "ok", "input_tokens": 5, "output_tokens": 5, "gateway_cache_status": "hit"},
      (Decimal(0), "gateway cache"))],
)  # fmt: skip
def test_only_what_is_known_to_be_free_costs_nothing(
    book: PriceBook, fields: dict[str, Any], expected: tuple[Decimal | None, str | None]
) -> None:
    assert list_cost(book, attempt(**fields)) == expected


@given(st.text(min_size=1, max_size=30), tokens, tokens)
def test_an_unpriced_model_never_costs_zero(name: str, given_input: int, given_output: int) -> None:
    spent = attempt(provider_name="nowhere", response_model=name, input_tokens=given_input, output_tokens=given_output)

    assert list_cost(PriceBook([]), spent) == (None, None)


def test_the_requested_model_helps_where_the_answering_one_is_unknown(book: PriceBook) -> None:
    spent = attempt(response_model="deployment-7", request_model="gpt-4o-mini", input_tokens=10, output_tokens=20)

    assert list_cost(book, spent) == (Decimal("1.35e-5"), "litellm 1.109.1 (requested model)")


def test_a_retired_model_still_has_a_price_where_litellm_reported_zero(book: PriceBook) -> None:
    spent = attempt(provider_name="anthropic", response_model="anthropic/claude-3-5-haiku-20241022",
                    input_tokens=21, output_tokens=4)  # fmt: skip

    assert list_cost(book, spent) == (Decimal("0.0000328"), "genai-prices 0.2.3 (undated name)")


def test_costs_agree_with_what_litellm_reported(book: PriceBook) -> None:
    path = FORMATS / "litellm_standard_logging_payload.jsonl"
    if not path.exists():
        pytest.skip("../shared is absent: no example records of LiteLLM")
    records = [json.loads(line) for line in path.read_text().splitlines()]

    reported = [record["response_cost"] for record in records if record["response_cost"]]
    ours = [
        list_cost(book, attempt(provider_name=record["custom_llm_provider"], response_model=record["model"],
                                input_tokens=record["prompt_tokens"], output_tokens=record["completion_tokens"]))[0]
        for record in records if record["response_cost"]
    ]  # fmt: skip

    assert reported
    assert ours == [Decimal(str(cost)) for cost in reported]
