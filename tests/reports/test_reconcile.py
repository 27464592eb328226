"""The three figures, and the sums that their gaps are made of."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairlead import store
from fairlead.errors import UsageError
from fairlead.ingest.costs import breakdown, cost_usd, list_cost
from fairlead.ingest.pricefile import PriceRow
from fairlead.ingest.prices import PriceBook
from fairlead.project import Project
from fairlead.reports import render as report
from fairlead.reports.reconcile import Gap, Reconciliation, compare, reconcile, render
from fairlead.schema import Attempt, Usage, record_id

DAY = datetime(2026, 3, 2, tzinfo=UTC)
CHANGE = datetime(2026, 3, 16, tzinfo=UTC)


def price(model: str, **more: Any) -> PriceRow:
    known = {"provider_name": "openai", "catalog": "list", "input": "2.5", "output": "10", "cache_read": "1.25",
             "cache_creation": "3.1", "cache_creation_1h": "5.3", "reasoning": "11", "input_audio": "41",
             "output_audio": "83", "web_search": "10000"}  # fmt: skip
    found = known | more
    return PriceRow(model=model, **{k: Decimal(v) if k in known and k not in ("provider_name", "catalog") else v
                                    for k, v in found.items()})  # fmt: skip


BOOK = PriceBook(
    [
        [
            price("gpt", valid_from=CHANGE, input="2.1"),
            price("gpt"),
            price("gpt", min_input_tokens=200_001, input="5", output="15"),
            price("gpt", service_tier="batch", input="1.25", output="5", reasoning="5.5", cache_read="0.6"),
            price("gpt", region="eu", input="2.75", output="11"),
        ]
    ]
)
COUNTS = {
    "input_tokens": 10_007,
    "cache_read_input_tokens": 4001,
    "cache_creation_input_tokens": 1003,
    "output_tokens": 2003,
    "reasoning_output_tokens": 701,
    "usage_details": {"cache_creation_1h_input_tokens": 301, "input_audio_tokens": 503, "web_search_requests": 2},
}


def attempt(number: int, **more: Any) -> Attempt:
    start = more.pop("start_time", DAY + timedelta(minutes=number))
    values = {
        "event_id": f"e{number}", "event_date": start.date(), "source": "test", "source_record_id": f"r{number}",
        "ingested_at": DAY, "request_id": f"q{number}", "start_time": start, "status": "ok",
        "provider_name": "openai", "response_model": "gpt",
    } | COUNTS  # fmt: skip
    return Attempt(**(values | more))


def listed(one: Attempt) -> Decimal:
    return list_cost(BOOK, one)[0]


def reported(one: Attempt, usd: Decimal | None) -> Attempt:
    one.reported_cost_usd = None if usd is None else usd.quantize(Decimal("1e-12"))
    return one


def bill(number: int, **more: Any) -> Usage:
    start = more.pop("bucket_start", DAY)
    values = {"usage_id": f"u{number}", "event_date": start.date(), "source": "bill", "ingested_at": DAY,
              "bucket_start": start, "bucket_end": start + timedelta(days=1), "provider_name": "openai",
              "model": "gpt-2026-01-01"}  # fmt: skip
    return Usage(**(values | more))


@pytest.fixture
def compared(project: Project, fill: Callable[..., None]) -> Callable[..., Reconciliation]:
    def run(*rows: Any, until: datetime = DAY + timedelta(days=1), **more: Any) -> Reconciliation:
        fill(*rows)
        con = store.open_lake(project.lake).connect()
        try:
            return compare(con, BOOK, DAY, until, **more)
        finally:
            con.close()

    return run


def parts(gaps: list[Gap]) -> dict[str, Decimal]:
    return {gap.name: gap.usd for gap in gaps if gap.usd}


def test_a_gateway_that_is_right_has_no_gap(compared: Callable[..., Reconciliation]) -> None:
    rows = [reported(one, listed(one)) for one in (attempt(n, input_tokens=6000 + 37 * n) for n in range(5))]

    found = compared(*rows)

    assert found.total.recomputed_usd == found.total.reported_usd == sum(listed(one) for one in rows)
    assert found.total.gaps == [Gap(name="agreed", usd=Decimal(0), count=5)]


CACHE_IN = Decimal("1.25e-6") * 4001
MISTAKES = {
    "cache reads billed at the full input price": CACHE_IN,
    "cache reads not billed": -Decimal("1.25e-6") * 4001,
    "cache writes billed at the input price": -(Decimal("0.6e-6") * 702 + Decimal("2.8e-6") * 301),
    "one-hour cache writes billed as five-minute ones": -Decimal("2.2e-6") * 301,
    "reasoning not billed": -Decimal("11e-6") * 701,
    "reasoning billed twice": Decimal("11e-6") * 701,
    "reasoning billed at the output price": -Decimal("1e-6") * 701,
    "audio billed as text": -Decimal("38.5e-6") * 503,
    "web searches not billed": -Decimal("0.02"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_known_by_the_figure_it_gives(compared: Callable[..., Reconciliation], name: str) -> None:
    right, wrong = attempt(0), attempt(1)

    found = compared(reported(right, listed(right)), reported(wrong, listed(wrong) + MISTAKES[name]))

    assert found.total.gaps == [
        Gap(name=name, usd=MISTAKES[name], count=1),
        Gap(name="agreed", usd=Decimal(0), count=1),
    ]


def other(one: Attempt, **more: Any) -> Decimal:
    return listed(msgspec.structs.replace(one, **more))


@pytest.mark.parametrize(
    ("fields", "instead", "name"),
    [({"is_batch": True}, {"is_batch": False}, "batch discount not applied"),
     ({"input_tokens": 300_000}, None, "long-context price not applied"),
     ({"region": "eu"}, {"region": None}, "regional price not applied"),
     ({"start_time": CHANGE}, {"start_time": CHANGE - timedelta(days=1)}, "price from before 2026-03-16 billed")],
)  # fmt: skip
def test_a_price_that_was_not_in_force_is_named(
    compared: Callable[..., Reconciliation], fields: dict[str, Any], instead: dict[str, Any] | None, name: str
) -> None:
    one = attempt(0, **fields)
    charged = cost_usd(one, BOOK.lookup("openai", "gpt", DAY)) if instead is None else other(one, **instead)

    found = compared(reported(one, charged), until=CHANGE + timedelta(days=1))

    assert found.total.gaps == [Gap(name=name, usd=charged - listed(one), count=1)]


def test_two_mistakes_at_once_are_both_named(compared: Callable[..., Reconciliation]) -> None:
    one = attempt(0, is_batch=True)
    charged = other(one, is_batch=False) - Decimal("11e-6") * 701

    found = compared(reported(one, charged))

    assert [gap.name for gap in found.total.gaps] == ["batch discount not applied and reasoning not billed"]


def test_part_of_the_cache_reads_at_the_full_price_is_counted(compared: Callable[..., Reconciliation]) -> None:
    rows = [attempt(n) for n in range(3)]
    found = compared(*(reported(one, listed(one) + 970 * Decimal("1.25e-6")) for one in rows))

    assert found.total.gaps == [
        Gap(name="some cache reads billed at the full input price", usd=3 * 970 * Decimal("1.25e-6"), count=3)
    ]


def test_a_gap_that_fits_nothing_says_so(compared: Callable[..., Reconciliation]) -> None:
    odd = attempt(0)

    found = compared(reported(odd, listed(odd) + Decimal("0.0000007131")))

    assert found.total.gaps == [Gap(name="not explained", usd=Decimal("0.0000007131"), count=1, known=False)]


def test_several_mistakes_with_one_figure_are_all_named(compared: Callable[..., Reconciliation]) -> None:
    one = attempt(0, output_tokens=701, usage_details=None, cache_creation_input_tokens=0)
    # All of the output is reasoning, so "no reasoning" and "no output" are the same mistake.
    found = compared(reported(one, listed(one) - Decimal("11e-6") * 701))

    [gap] = found.total.gaps
    assert (gap.name, gap.known) == ("output not billed or reasoning not billed", False)


def test_what_has_no_price_or_no_report_stands_apart(compared: Callable[..., Reconciliation]) -> None:
    unpriced, silent = attempt(0, response_model="unheard-of"), attempt(1)

    found = compared(reported(unpriced, Decimal("0.5")), reported(silent, None))

    assert parts(found.total.gaps) == {"no list price": Decimal("0.5"), "no cost reported": -listed(silent)}
    assert found.notes[0] == "1 attempts have no list price: what they cost is in no recomputed figure."


def test_a_factor_on_every_cost_is_recognised(compared: Callable[..., Reconciliation]) -> None:
    rows = [attempt(n, input_tokens=6007 + 13 * n) for n in range(25)]

    found = compared(*(reported(one, listed(one) * Decimal("1.07")) for one in rows))

    assert [gap.name for gap in found.total.gaps] == ["every cost multiplied by 1.07"]


def test_an_answer_from_the_cache_costs_nothing(compared: Callable[..., Reconciliation]) -> None:
    found = compared(reported(attempt(0, gateway_cache_status="hit"), Decimal("0.01")))

    assert parts(found.total.gaps) == {"a cost reported where the provider bills nothing": Decimal("0.01")}


def test_rounded_reports_agree(compared: Callable[..., Reconciliation]) -> None:
    rows = [attempt(n, input_tokens=6007 + 13 * n) for n in range(60)]

    found = compared(*(reported(one, listed(one).quantize(Decimal("1e-6"))) for one in rows))

    [gap] = found.total.gaps
    assert (gap.name, gap.count) == ("agreed", 60)
    assert abs(gap.usd) <= 60 * Decimal("5e-7")


def counted(rows: list[Attempt]) -> dict[str, Any]:
    names = [name for name in COUNTS if name != "usage_details"]
    return {name: sum(getattr(one, name) for one in rows) for name in names} | {
        "usage_details": {name: sum(one.usage_details[name] for one in rows) for name in COUNTS["usage_details"]}
    }


def test_a_bill_that_agrees_has_no_gap(compared: Callable[..., Reconciliation]) -> None:
    rows = [attempt(n) for n in range(4)]
    cost = sum(listed(one) for one in rows)

    found = compared(*rows, bill(0, requests=4, cost_usd=cost, **counted(rows)))

    [row] = found.rows
    assert (row.model, row.billed.usd, row.billed.recomputed_usd, row.billed.gaps) == ("gpt", cost, cost, [])
    assert (row.billed.days, row.billed.requests, row.billed.attempts) == (1, 4, 4)


def test_cache_reads_that_the_log_missed_are_named_and_add_up(compared: Callable[..., Reconciliation]) -> None:
    rows = [attempt(n) for n in range(4)]
    told = counted(rows)
    told["cache_read_input_tokens"] += 5000  # moved from plain input
    cost = sum(listed(one) for one in rows) - 5000 * Decimal("1.25e-6")

    found = compared(*rows, bill(0, requests=4, cost_usd=cost, **told))

    assert found.rows[0].billed.gaps == [
        Gap(name="cache reads: more billed than logged", usd=-5000 * Decimal("1.25e-6"), count=5000)
    ]


def test_rows_that_the_log_lost_are_counted(compared: Callable[..., Reconciliation]) -> None:
    rows = [attempt(n) for n in range(4)]
    cost = sum(listed(one) for one in rows)

    found = compared(*rows[:3], bill(0, requests=4, cost_usd=cost, **counted(rows)))

    assert found.rows[0].billed.gaps == [Gap(name="requests billed that no log holds", usd=cost / 4, count=1)]


def test_a_discount_that_the_bill_does_not_give_is_named(compared: Callable[..., Reconciliation]) -> None:
    rows = [attempt(n, is_batch=True) for n in range(4)]
    cost = sum(other(one, is_batch=False) for one in rows)

    found = compared(*rows, bill(0, requests=4, cost_usd=cost, **counted(rows)))

    [gap] = found.rows[0].billed.gaps
    assert (gap.name, gap.known) == ("price: batch discount not applied", True)
    assert gap.usd == cost - sum(listed(one) for one in rows)


def test_a_bill_of_dollars_alone_says_what_fits_or_that_nothing_does(compared: Callable[..., Reconciliation]) -> None:
    rows = [attempt(n, input_tokens=100_000, cache_read_input_tokens=90_000) for n in range(40)]
    cost = sum(listed(one) for one in rows)
    full = 40 * 90_000 * Decimal("1.25e-6")

    found = compared(
        *rows,
        bill(0, model=None, cost_usd=cost + full),
        bill(1, provider_name="anthropic", cost_usd=Decimal(3), model="claude"),
    )

    rows_of = {(row.provider, row.model): row.billed for row in found.rows}
    assert [(gap.name, gap.usd) for gap in rows_of["openai", "(all models)"].gaps] == [
        ("price: cache reads billed at the full input price", full)
    ]
    assert [(gap.name, gap.usd) for gap in rows_of["anthropic", "claude"].gaps] == [
        ("billed, and nothing logged", Decimal(3))
    ]


def test_dollars_by_project_and_tokens_by_model_are_one_bill(compared: Callable[..., Reconciliation]) -> None:
    rows = [attempt(n) for n in range(4)]
    cost = sum(listed(one) for one in rows)
    told = counted(rows)
    told["output_tokens"] += 1000

    found = compared(
        *rows,
        bill(0, requests=4, **told),
        bill(1, model=None, project_id="p", cost_usd=cost + Decimal("0.01") + Decimal("0.5")),
    )

    assert parts(found.total.billed.gaps) == {
        "output tokens: more billed than logged": Decimal("0.01"), "price: not explained": Decimal("0.5")
    }  # fmt: skip
    by_model = {row.model: row.billed for row in found.rows}
    assert (by_model["gpt"].usd, parts(by_model["gpt"].gaps)) == (
        None, {"output tokens: more billed than logged": Decimal("0.01")}
    )  # fmt: skip


def test_only_days_that_a_bill_covers_are_compared(compared: Callable[..., Reconciliation]) -> None:
    rows = [attempt(0), attempt(1, start_time=DAY + timedelta(days=1))]

    found = compared(
        *rows,
        bill(0, cost_usd=listed(rows[0])),
        bill(1, bucket_start=DAY - timedelta(hours=3), cost_usd=Decimal(9)),
        until=DAY + timedelta(days=2),
        by=("provider", "day"),
    )

    assert [(row.day, row.billed and row.billed.gaps) for row in sorted(found.rows, key=lambda row: row.day)] == [
        (DAY.date(), []), ((DAY + timedelta(days=1)).date(), None)
    ]  # fmt: skip
    assert found.total.billed.recomputed_usd == listed(rows[0])
    assert found.notes == [
        "openai: bills reach 1 of 2 days with traffic (50% of its cost).",
        "1 billed spans reach beyond these days, or are not cut at midnight UTC, and are left out.",
    ]


def test_hours_of_a_bill_make_up_their_day(compared: Callable[..., Reconciliation]) -> None:
    one = attempt(0)
    hours = [bill(n, bucket_start=DAY + timedelta(hours=n), bucket_end=DAY + timedelta(hours=n + 1),
                  cost_usd=listed(one) / 2) for n in (0, 7)]  # fmt: skip

    found = compared(one, *hours)

    assert (found.total.billed.usd, found.total.billed.gaps) == (listed(one), [])


amounts = st.integers(0, 1_000_000)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=12, deadline=None)
@given(
    st.lists(
        st.tuples(amounts, amounts, amounts, amounts, st.booleans(), st.none() | st.decimals(0, 50, places=12)),
        min_size=1, max_size=6,
    ),
    st.tuples(amounts, amounts, amounts, st.none() | st.integers(0, 9), st.none() | st.decimals(0, 50, places=12)),
)  # fmt: skip
def test_the_parts_of_a_gap_always_add_up_to_it(
    tmp_path_factory: pytest.TempPathFactory,
    logged: list[tuple[int, int, int, int, bool, Decimal | None]],
    billed: tuple[int, int, int, int | None, Decimal | None],
) -> None:
    rows = [
        attempt(n, input_tokens=plain + read, cache_read_input_tokens=read, output_tokens=said + thought,
                reasoning_output_tokens=thought, is_batch=batch, reported_cost_usd=cost)
        for n, (plain, read, said, thought, batch, cost) in enumerate(logged)
    ]  # fmt: skip
    plain, read, said, requests, cost = billed
    sheet = bill(0, input_tokens=plain + read, cache_read_input_tokens=read, output_tokens=said, requests=requests,
                 cost_usd=cost)  # fmt: skip
    lake = store.open_lake(tmp_path_factory.mktemp("lake"))
    with lake.loading(store.SourceFile(path="x", sha256=record_id("x"), bytes=1)) as load:
        for row in (*rows, sheet):
            load.record((row,))
        load.commit()
    con = lake.connect()
    try:
        found = compare(con, BOOK, DAY, DAY + timedelta(days=1))
    finally:
        con.close()

    for row in (*found.rows, found.total):
        assert sum(gap.usd for gap in row.gaps) == row.reported_usd - row.recomputed_usd
        if row.billed and row.billed.usd is not None:
            assert sum(gap.usd for gap in row.billed.gaps) == row.billed.usd - row.billed.recomputed_usd
    exact = sum(sum(breakdown(one, BOOK.lookup("openai", "gpt", DAY, "batch" if one.is_batch else "standard",
                                               one.input_tokens)).values()) for one in rows)  # fmt: skip
    assert found.total.recomputed_usd == exact


def test_words_name_the_figures_and_the_gaps(compared: Callable[..., Reconciliation]) -> None:
    one = attempt(0)

    said = render(compared(reported(one, listed(one) + CACHE_IN)))

    assert "openai gpt" in said
    assert "cache reads billed at the full input price (1)" in said
    assert "No bill was taken in from openai." in said


def test_a_project_without_data_or_with_a_mistyped_split_is_refused(project: Project) -> None:
    (project.root / "data").mkdir(exist_ok=True)
    (project.root / "data" / "prices.csv").write_text("provider_name,model,input,output\nopenai,gpt,1,1\n")

    with pytest.raises(UsageError, match="nothing has been ingested"):
        reconcile(project)
    with pytest.raises(UsageError, match="rows are split by provider, model, day"):
        reconcile(project, by=("team",))


def priced(
    project: Project, text: str = "provider_name,model,input,output,cache_read\nopenai,gpt,2.5,10,1.25\n"
) -> Project:
    project.prices.parent.mkdir(parents=True, exist_ok=True)
    project.prices.write_text(text)
    return project


def page(project: Project, now: datetime) -> str:
    return report(project, now=now).read_text().split('<section id="costs">')[1].split("</section>")[0]


def test_the_report_pictures_what_the_gaps_are_made_of(
    project: Project, fill: Callable[..., None], now: datetime
) -> None:
    one = attempt(0, cache_creation_input_tokens=0, reasoning_output_tokens=0, usage_details=None, start_time=now)
    fill(
        reported(one, Decimal("0.04004625") + CACHE_IN),
        bill(0, bucket_start=now.replace(hour=0), cost_usd=Decimal(1)),
    )

    shown = page(priced(project), now)

    assert "The gateways reported $0.045 where tokens and prices give $0.04; " in shown
    assert shown.count('role="img"') == 2
    assert "cache reads billed at the full input price" in shown


def test_a_report_without_prices_or_with_broken_ones_says_so(
    project: Project, fill: Callable[..., None], now: datetime
) -> None:
    fill(attempt(0, start_time=now))

    assert "Not checked: there is no price list" in page(project, now)
    assert "line 2" in page(priced(project, "provider_name,model,input,output\nopenai,gpt,-1,1\n"), now)


def test_a_report_without_traffic_has_nothing_to_check(project: Project, now: datetime) -> None:
    assert "No requests in these days." in page(priced(project), now)
