import csv
import timeit
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead import schema
from fairlead.errors import ReadError
from fairlead.ingest import aliases, prices
from fairlead.ingest.pricefile import ALWAYS, COLUMNS, PriceRow, read_rows, write_rows
from fairlead.ingest.prices import PriceBook

SHIPPED = Path(__file__).parents[2] / "data" / "prices.csv"
MILLION = 1_000_000


@pytest.fixture(scope="module")
def shipped() -> PriceBook:
    return prices.read(SHIPPED)


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def row(model: str = "m", *, since: str = "", usd: str = "1", **more: object) -> PriceRow:
    known = {"provider_name": "openai", "input": Decimal(usd), "output": Decimal(usd), "catalog": "list"} | more
    return PriceRow(model=model, valid_from=day(since) if since else ALWAYS, **known)


def per_million(found: prices.Rates | None) -> tuple[Decimal, Decimal] | None:
    return None if found is None else (found.input * MILLION, found.output * MILLION)


def test_the_shipped_file_knows_at_least_twenty_three_providers(shipped: PriceBook) -> None:
    providers = {row.provider_name for rows in shipped.layers for row in rows}

    seeds = {"openai", "anthropic", "gcp.gemini", "gcp.vertex_ai", "azure.ai.openai", "aws.bedrock", "mistral_ai",
             "cohere", "deepseek", "groq", "together_ai", "fireworks_ai", "perplexity", "x_ai", "cerebras", "sambanova",
             "replicate", "deepinfra", "ai21", "nebius", "novita", "hyperbolic", "ibm.watsonx.ai", "databricks",
             "cloudflare", "dashscope", "moonshot", "minimax", "zai", "voyage", "snowflake", "openrouter"}  # fmt: skip
    assert seeds <= providers
    assert providers <= set(aliases.PROVIDERS)


def test_every_row_of_the_shipped_file_fits_the_prices_table(shipped: PriceBook) -> None:
    rows = list(prices.price_rows(shipped))

    assert len(rows) > 10_000
    for price in rows:
        msgspec.convert(msgspec.to_builtins(price), schema.Price)
        assert price.price_usd_per_unit >= 0
        assert price.price_usd_per_unit == round(price.price_usd_per_unit, 15)
        assert price.valid_to is None or price.valid_from < price.valid_to
        assert price.catalog_version
    keys = [
        (p.provider_name, p.model, p.region, p.service_tier, p.meter, p.min_input_tokens, p.valid_from,
         p.utc_time_from, p.utc_time_to, p.utc_weekdays)
        for p in rows
    ]  # fmt: skip
    assert len(set(keys)) == len(keys)


def test_the_shipped_file_is_small_and_sorted_and_reads_back_as_written(tmp_path: Path) -> None:
    write_rows(tmp_path / "again.csv", read_rows(SHIPPED))

    assert (tmp_path / "again.csv").read_bytes() == SHIPPED.read_bytes()
    assert SHIPPED.stat().st_size < 750_000


@pytest.mark.parametrize("model", ["o3", "o3-2025-04-16", "openai/o3"])
@pytest.mark.parametrize(
    ("at", "expected"),
    [("2025-05-01", (10, 40)), ("2025-06-09", (10, 40)), ("2025-06-10", (2, 8)), ("2026-11-23", (2, 8))],
)
def test_o3_cost_five_times_as_much_before_june_2025(
    shipped: PriceBook, model: str, at: str, expected: tuple[int, int]
) -> None:
    assert per_million(shipped.lookup("openai", model, day(at))) == expected


def test_claude_has_its_four_cache_prices(shipped: PriceBook) -> None:
    found = shipped.lookup("anthropic", "claude-sonnet-4-5-20250929", day("2026-01-01"))

    assert found is not None
    assert found.cache_read == Decimal("3e-7")
    assert found.cache_creation == Decimal("3.75e-6")
    assert found.cache_creation_1h == Decimal("6e-6")
    assert found.source == "litellm 1.109.1"


@pytest.mark.parametrize("provider", ["gcp.gemini", "google-vertex"])
@pytest.mark.parametrize(("tokens", "expected"), [(0, ("1.25", 10)), (200_000, ("1.25", 10)), (200_001, ("2.5", 15))])
def test_gemini_costs_more_above_200k_tokens(
    shipped: PriceBook, provider: str, tokens: int, expected: tuple[str, int]
) -> None:
    found = shipped.lookup(provider, "gemini-2.5-pro", day("2026-01-01"), input_tokens=tokens)

    assert per_million(found) == (Decimal(expected[0]), expected[1])


def test_a_tier_has_its_own_price_and_an_unknown_tier_says_that_it_is_standard(shipped: PriceBook) -> None:
    at = day("2026-01-01")

    batch = shipped.lookup("openai", "gpt-4o-mini", at, "batch")
    default = shipped.lookup("openai", "gpt-4o-mini", at, "default")
    scale = shipped.lookup("openai", "gpt-4o-mini", at, "scale")

    assert (batch.input, batch.source) == (Decimal("7.5e-8"), "litellm 1.109.1")
    assert (default.input, default.source) == (Decimal("1.5e-7"), "litellm 1.109.1")
    assert (scale.input, scale.source) == (Decimal("1.5e-7"), "litellm 1.109.1 (standard)")


def test_a_bedrock_profile_has_the_price_of_its_region(shipped: PriceBook) -> None:
    at, model = day("2026-01-01"), "anthropic.claude-sonnet-4-5-20250929-v1:0"

    asked = [
        model,
        f"us.{model}",
        f"global.{model}",
        "anthropic.claude-sonnet-4-5-20250929",
        f"bedrock/converse/{model}",
    ]
    found = [shipped.lookup("bedrock", name, at).input * MILLION for name in asked]

    assert found == [3, Decimal("3.3"), 3, 3, 3]


def test_nothing_is_known_of_a_model_that_no_catalogue_has(shipped: PriceBook) -> None:
    assert shipped.lookup("openai", "my-own-model", day("2026-01-01")) is None
    assert shipped.lookup("my-own-provider", "gpt-4o", day("2026-01-01")) is None
    assert shipped.lookup("openai", "", day("2026-01-01")) is None


def test_a_lookup_on_hit_takes_less_than_five_microseconds(shipped: PriceBook) -> None:
    at = day("2026-01-01")

    best = min(timeit.repeat(lambda: shipped.lookup("gemini", "gemini-2.5-pro", at, "flex", 9), number=2000, repeat=5))

    assert best / 2000 < 5e-6


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=6, unique=True), st.integers(-10, 3010))
def test_a_lookup_never_looks_ahead(starts: list[int], asked: int) -> None:
    epoch = day("2020-01-01")
    rows = [msgspec.structs.replace(row(usd=str(n + 1)), valid_from=epoch + timedelta(days=n)) for n in starts]

    found = PriceBook([rows]).lookup("openai", "m", epoch + timedelta(days=asked))

    known = [n for n in starts if n <= asked]
    assert per_million(found) == ((max(known) + 1, max(known) + 1) if known else None)


def test_a_new_sheet_ends_the_long_context_step_of_the_old_one() -> None:
    book = PriceBook([[row(usd="1"), row(usd="2", min_input_tokens=101), row(usd="3", since="2026-01-01")]])

    assert per_million(book.lookup("openai", "m", day("2025-12-31"), input_tokens=101)) == (2, 2)
    assert per_million(book.lookup("openai", "m", day("2026-01-01"), input_tokens=101)) == (3, 3)


def test_a_contract_is_asked_first_and_the_list_answers_for_the_time_before_it() -> None:
    contract = PriceBook([[row("gpt-4o", usd="2", since="2026-01-01", catalog="contract")]])
    listed = PriceBook([[row("gpt-4o", usd="5"), row("gpt-4o", usd="1", service_tier="batch"), row("o3", usd="9")]])
    book = PriceBook.layered(contract, listed)

    def usd(model: str, at: str, tier: str = "standard") -> Decimal:
        return book.lookup("openai", model, day(at), tier).input * MILLION

    assert usd("gpt-4o", "2025-12-31") == 5
    assert usd("gpt-4o", "2026-01-01") == 2
    assert usd("gpt-4o-2024-08-06", "2026-01-01") == 2
    assert usd("gpt-4o", "2026-01-01", "batch") == 1
    assert usd("o3", "2026-01-01") == 9


def test_the_prices_table_says_until_when_a_price_held() -> None:
    contract = PriceBook([[row(usd="2", since="2026-01-01", catalog="contract")]])
    listed = PriceBook([[row(usd="5"), row(usd="6", since="2026-03-01")]])

    found = [
        (p.meter, p.price_usd_per_unit * MILLION, p.valid_from, p.valid_to)
        for p in prices.price_rows(PriceBook.layered(contract, listed))
    ]

    start = day("2026-01-01")
    assert found == [
        ("input", 5, ALWAYS, start), ("output", 5, ALWAYS, start),
        ("input", 2, start, None), ("output", 2, start, None),
    ]  # fmt: skip


def test_an_undated_name_stands_in_only_where_the_dated_one_is_absent() -> None:
    book = PriceBook([[row("gpt-4o", usd="5"), row("gpt-4o-2024-05-13", usd="7")]])

    exact = book.lookup("openai", "gpt-4o-2024-05-13", day("2026-01-01"))
    absent = book.lookup("openai", "gpt-4o-2030-01-01", day("2026-01-01"))

    assert (per_million(exact), exact.source) == ((7, 7), "list")
    assert (per_million(absent), absent.source) == ((5, 5), "list (undated name)")


def test_two_bedrock_versions_are_not_taken_for_each_other() -> None:
    names = {"a.embed-v1": "1", "a.embed-v2:0": "2", "a.other-v1:0": "3"}
    book = PriceBook([[row(name, usd=usd, provider_name="aws.bedrock") for name, usd in names.items()]])

    found = [per_million(book.lookup("bedrock", name, day("2026-01-01"))) for name in [*names, "a.embed", "a.other"]]

    assert found == [(1, 1), (2, 2), (3, 3), None, (3, 3)]


@pytest.mark.parametrize(
    ("provider", "expected"),
    [("vertex_ai", "gcp.vertex_ai"), ("google-vertex", "gcp.vertex_ai"), ("vertex_ai-llama_models", "gcp.vertex_ai"),
     ("xai", "x_ai"), ("x-ai", "x_ai"), ("azure", "azure.ai.openai"), ("bedrock", "aws.bedrock"),
     ("mistral", "mistral_ai"), ("together", "together_ai"), ("Fireworks-AI", "fireworks_ai"), ("OpenAI", "openai"),
     ("ANTHROPIC", "anthropic"), ("Acme", "acme")],
)  # fmt: skip
def test_a_provider_has_one_name(provider: str, expected: str) -> None:
    assert aliases.provider(provider) == expected


@given(st.sampled_from(sorted(aliases.PROVIDERS)), st.text(max_size=40))
def test_any_text_may_be_asked_for(provider: str, model: str) -> None:
    region, name = aliases.split(provider, model)

    assert all(isinstance(spelling, str) for spelling, _ in aliases.variants(provider, name))
    assert isinstance(region, str)
    assert PriceBook([]).lookup(provider, model, ALWAYS) is None


@pytest.mark.parametrize(
    ("line", "fault"),
    [("openai,m,-1,1", "line 2: '-1' is not a price"), ("openai,m,NaN,1", "line 2: 'NaN' is not a price"),
     ("openai,m,x,1", "line 2: 'x' is not a number"), ("openai,m,1", "as many cells as columns"),
     (",m,1,1", "may not be empty"), ("openai,m,2500,1", "per token or per thousand"),
     ("openai,m,1,1\nopenai,M,2,2", "line 3: openai M has two standard rows .* the other in line 2"),
     ("openai,m,1,1\nopenai,o,1,1\nOpenAI,m,1,inf", "line 4: 'inf' is not a price")],
)  # fmt: skip
def test_a_price_file_that_cannot_be_meant_is_refused(tmp_path: Path, line: str, fault: str) -> None:
    path = tmp_path / "contract.csv"
    path.write_text(f"provider_name,model,input,output\n{line}\n")

    with pytest.raises(ReadError, match=fault) as raised:
        prices.read(path)

    assert str(path) in str(raised.value)


@pytest.mark.parametrize(
    ("head", "line", "fault"),
    [("currency", "EUR", "line 2: currency has to be USD"),
     ("web_search", "0.01", "line 2: 0.01 USD per million requests cannot be: is it per request or per thousand?"),
     ("web_search", "10", "line 2: 10 USD per million requests cannot be"),
     ("request", "1e9", "line 2: 1000000000 USD per million requests cannot be"),
     ("output_audio", "64000", "line 2: 64000 USD per million tokens cannot be"),
     ("utc_time_from", "16:30", "line 2: utc_time_from and utc_time_to go together"),
     ("utc_weekdays", "8", "line 2: '8' names no weekdays"),
     ("utc_weekdays", "5-1", "line 2: '5-1' names no weekday"),
     ("valid_from", "soon", "line 2: ")],
)  # fmt: skip
def test_a_cell_that_cannot_be_meant_is_refused(tmp_path: Path, head: str, line: str, fault: str) -> None:
    path = tmp_path / "prices.csv"
    path.write_text(f"provider_name,model,input,output,{head}\nopenai,m,1,1,{line}\n")

    with pytest.raises(ReadError, match=fault):
        prices.read(path)


def test_dollars_may_be_called_so(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_text("provider_name,model,input,output,currency\nopenai,m,1,1,usd\n")

    assert per_million(prices.read(path).lookup("openai", "m", day("2026-01-01"))) == (1, 1)


@pytest.mark.parametrize(
    "second", ["openai,m,2026-01-01,1500,0.1", "openai,m,2026-01-01,0.001,0.1", "openai,M,,,0.0001"]
)
def test_prices_of_one_model_in_two_units_are_refused(tmp_path: Path, second: str) -> None:
    path = tmp_path / "prices.csv"
    tier = second.replace("openai,M,,", "openai,M,2026-02-01,")
    path.write_text(f"provider_name,model,valid_from,input,output\nopenai,m,,1,0.1\n{tier}\n")

    with pytest.raises(
        ReadError, match=r"line 3: .*(in line 2; bring both to USD per million|per token or per thousand)"
    ):
        prices.read(path)


OFF_PEAK = [
    row("d", usd="2"),
    row("d", usd="1", utc_time_from="16:30", utc_time_to="00:30"),
    row("w", usd="2"),
    row("w", usd="1", utc_time_from="10:00", utc_time_to="00:00", utc_weekdays="1-5"),
    row("w", usd="1", utc_time_from="00:00", utc_time_to="00:00", utc_weekdays="6,7"),
]


@pytest.mark.parametrize(
    ("model", "at", "usd"),
    [("d", "2026-11-23T16:29:59.999999", 2), ("d", "2026-11-23T16:30", 1), ("d", "2026-11-23T23:59:59", 1),
     ("d", "2026-11-24T00:00", 1), ("d", "2026-11-24T00:29:59", 1), ("d", "2026-11-24T00:30", 2),
     ("w", "2026-11-20T09:59", 2), ("w", "2026-11-20T10:00", 1), ("w", "2026-11-20T23:59:59", 1),
     ("w", "2026-11-21T09:00", 1), ("w", "2026-11-22T23:59", 1), ("w", "2026-11-23T00:00", 2)],
)  # fmt: skip
def test_a_price_may_depend_on_the_hour_and_the_weekday(model: str, at: str, usd: int) -> None:
    assert per_million(PriceBook([OFF_PEAK]).lookup("openai", model, day(at))) == (usd, usd)


def test_the_hour_is_that_of_utc_wherever_the_clock_is() -> None:
    at = datetime(2026, 11, 24, 1, 0, tzinfo=timezone(timedelta(hours=8)))  # 17:00 UTC

    assert per_million(PriceBook([OFF_PEAK]).lookup("openai", "d", at)) == (1, 1)


def test_deepseek_costs_half_off_peak(shipped: PriceBook) -> None:
    peak, evening, sunday = (
        shipped.lookup("deepseek", "deepseek-v4-pro", day(at))
        for at in ("2026-11-23T02:00", "2026-11-23T12:00", "2026-11-22T02:00")
    )

    assert per_million(peak) == (Decimal("1.32"), Decimal("3.96"))
    assert per_million(evening) == per_million(sunday) == (Decimal("0.66"), Decimal("1.98"))


@pytest.mark.parametrize(
    ("provider", "model", "region", "usd"),
    [("openai", "gpt-5.4", None, "2.5"), ("openai", "gpt-5.4", "eu", "2.75"), ("openai", "gpt-5.4", "jp", "2.5"),
     ("gcp.vertex_ai", "claude-haiku-4-5", None, "1"), ("gcp.vertex_ai", "claude-haiku-4-5", "global", "1"),
     ("gcp.vertex_ai", "claude-haiku-4-5", "europe-west1", "1.1"), ("anthropic", "claude-haiku-4-5", "us", "1")],
)  # fmt: skip
def test_a_region_may_cost_more(shipped: PriceBook, provider: str, model: str, region: str | None, usd: str) -> None:
    found = shipped.lookup(provider, model, day("2026-11-23"), region=region)

    assert found.input * MILLION == Decimal(usd)


@pytest.mark.parametrize(("tokens", "usd"), [(200_000, "0.625"), (200_001, "1.25")])
def test_a_batch_of_long_prompts_has_its_step(shipped: PriceBook, tokens: int, usd: str) -> None:
    found = shipped.lookup("gemini", "gemini-2.5-pro", day("2026-11-23"), "batch", tokens)

    assert found.input * MILLION == Decimal(usd)


def test_a_price_file_with_a_mistyped_column_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "contract.csv"
    path.write_text("provider_name,model,input,output,cached\nopenai,m,1,1,1\n")

    with pytest.raises(ReadError, match="unknown column 'cached'"):
        prices.read(path)


def test_a_price_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=r"absent\.csv"):
        prices.read(tmp_path / "absent.csv")


def test_four_columns_are_enough_for_a_contract(tmp_path: Path) -> None:
    path = tmp_path / "contract.csv"
    path.write_text("provider_name,model,input,output\nAzure,gpt-4o,2,8\n")

    found = prices.read(path).lookup("azure.ai.openai", "gpt-4o", day("2026-01-01"))

    assert (per_million(found), found.source) == ((2, 8), "contract")


def test_the_header_of_the_shipped_file_is_the_contract() -> None:
    with SHIPPED.open() as lines:
        assert tuple(next(csv.reader(lines))) == COLUMNS
