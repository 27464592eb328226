from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead import schema, store
from fairlead.ingest import plan, plan_sql, prices
from fairlead.ingest.costs import list_cost
from fairlead.ingest.pricefile import PriceRow
from fairlead.ingest.prices import PriceBook
from fairlead.store.arrow import as_table

SHIPPED = Path(__file__).parents[2] / "data" / "prices.csv"
CHANGE = datetime(2026, 3, 4, 13, 30, tzinfo=UTC)


def row(model: str, usd: str, **more: Any) -> PriceRow:
    known = {"provider_name": "openai", "catalog": "list", "input": Decimal(usd), "output": 3 * Decimal(usd)}
    return PriceRow(model=model, **known | more)


BOOK = PriceBook(
    [
        [
            row("m", "1.000000001", cache_read=Decimal("0.1"), reasoning=Decimal("7.000000005")),
            row("m", "2", min_input_tokens=101, web_search=Decimal(10_000)),
            row("m", "3", valid_from=CHANGE, request=Decimal(5000)),
            row("m", "1.5", valid_from=CHANGE, utc_time_from="22:00", utc_time_to="06:00"),
            row("m", "0.5", valid_from=CHANGE, utc_time_from="00:00", utc_time_to="00:00", utc_weekdays="6-7"),
            row("m", "0.5", service_tier="batch", input_audio=Decimal(40), output_image=Decimal(30)),
            row("m", "1.1", region="eu"),
            row("embedding", "0.02", output=Decimal(0)),
            row("half", "1", output=None),
            row("new", "4", valid_from=CHANGE),
            row("dear", "1000"),
        ]
    ]
)

counts = st.none() | st.integers(0, 300) | st.integers(0, 1_000_000_000)
attempts = st.builds(
    schema.Attempt,
    event_id=st.just("e"),
    event_date=st.just(date(2026, 3, 4)),
    source=st.just("test"),
    source_record_id=st.just("r"),
    ingested_at=st.just(CHANGE),
    request_id=st.just("q"),
    start_time=st.one_of(
        st.datetimes(datetime(2026, 3, 1), datetime(2026, 3, 10), timezones=st.just(UTC)),
        st.sampled_from([CHANGE, CHANGE - timedelta(microseconds=1), datetime(2026, 3, 7, tzinfo=UTC)]),
    ),
    status=st.sampled_from(["ok", "ok", "error", "cancelled"]),
    error_class=st.sampled_from([None, "timeout", "server"]),
    gateway_cache_status=st.sampled_from([None, None, "miss", "hit"]),
    provider_name=st.sampled_from(["openai", "OpenAI", "elsewhere"]),
    response_model=st.sampled_from([None, "m", "openai/m", "m-2026-01-01", "embedding", "half", "new", "dear", "none"]),
    request_model=st.sampled_from([None, "m", "none"]),
    service_tier=st.sampled_from([None, "default", "flex", "priority"]),
    is_batch=st.sampled_from([None, False, True]),
    region=st.sampled_from([None, "eu", "us"]),
    server_address=st.sampled_from([None, "api.openai.com", "eu.api.openai.com"]),
    input_tokens=counts,
    cache_read_input_tokens=counts,
    cache_creation_input_tokens=counts,
    output_tokens=counts,
    reasoning_output_tokens=counts,
    usage_details=st.none()
    | st.dictionaries(
        st.sampled_from(["cache_creation_1h_input_tokens", "input_audio_tokens", "input_image_tokens",
                         "output_audio_tokens", "output_image_tokens", "web_search_requests"]),
        st.integers(-1, 300),
    ),
)  # fmt: skip


@pytest.fixture(scope="module")
def con(tmp_path_factory: pytest.TempPathFactory) -> Iterator[store.Connection]:
    connection = store.open_lake(tmp_path_factory.mktemp("lake")).connect()
    yield connection
    connection.close()


@pytest.fixture(scope="module")
def shipped() -> PriceBook:
    return prices.read(SHIPPED)


def priced(con: store.Connection, book: PriceBook, rows: list[schema.Attempt]) -> list[tuple[Any, Any]]:
    con.register("new", as_table("attempts", rows))
    keys = [plan.Key(*row) for row in con.execute(plan_sql.keys("new")).fetchall()]
    con.register("plan", plan.rates(book, keys))
    numbered = "(SELECT *, row_number() OVER () AS place FROM new)"
    query = plan_sql.priced(numbered, "plan")
    return con.execute(f"SELECT list_cost_usd, price_source FROM ({query}) ORDER BY place").fetchall()


@given(st.lists(attempts, min_size=1, max_size=20))
def test_the_plan_and_the_book_give_the_same_costs(con: store.Connection, rows: list[schema.Attempt]) -> None:
    assert priced(con, BOOK, rows) == [list_cost(BOOK, one) for one in rows]


@given(st.data())
def test_they_agree_on_the_shipped_prices_too(con: store.Connection, shipped: PriceBook, data: st.DataObject) -> None:
    sold = data.draw(st.lists(st.sampled_from(shipped.layers[0]), min_size=1, max_size=10))
    rows = [data.draw(attempts) for _ in sold]
    for one, price in zip(rows, sold, strict=True):
        one.provider_name, one.response_model, one.region = price.provider_name, price.model, price.region or None

    assert priced(con, shipped, rows) == [list_cost(shipped, one) for one in rows]


def test_an_amount_between_two_digits_goes_to_the_even_one(con: store.Connection) -> None:
    amounts = [0, 499, 500, 501, 1499, 1500, 2500, 10**21 - 1000]

    found = [con.execute(f"SELECT {plan_sql.usd(f'{amount}::HUGEINT')}").fetchone()[0] for amount in amounts]

    assert found == [(Decimal(amount) / 10**15).quantize(Decimal("1e-12")) for amount in amounts]


@given(st.integers(0, 23), st.sampled_from(["m", "new"]), st.integers(1, 9))
def test_the_rows_of_a_key_cover_its_day_without_overlap(hour: int, model: str, day: int) -> None:
    table = plan.rates(BOOK, [plan.Key("openai", model, "standard", "", date(2026, 3, day))]).to_pylist()

    us, tokens = hour * 3_600_000_000, 100
    held = [one for one in table if one["us_from"] <= us < one["us_until"]
            and one["tokens_from"] <= tokens < one["tokens_until"]]  # fmt: skip
    moment = datetime(2026, 3, day, hour, tzinfo=UTC)
    rates = BOOK.lookup("openai", model, moment, input_tokens=tokens)
    assert [one["input"] for one in held] == ([] if rates is None else [int(rates.input * 10**15)])


def test_a_key_that_nobody_sells_has_no_rates() -> None:
    assert plan.rates(BOOK, [plan.Key("openai", "none", "standard", "", date(2026, 3, 4))]).num_rows == 0
    assert plan.rates(BOOK, []).num_rows == 0
