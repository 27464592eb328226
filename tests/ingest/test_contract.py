from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from fairlead.errors import ReadError
from fairlead.ingest import contract, prices
from fairlead.ingest.pricefile import ALWAYS, PriceRow, write_rows
from fairlead.ingest.prices import PriceBook
from fairlead.project import Project

HEAD = "provider_name,model,service_tier,valid_from,input,output,discount_percent,acknowledged"
LIST = """\
provider_name,model,service_tier,valid_from,input,output,web_search
openai,gpt,,,2,8,10000
openai,gpt,,2026-06-01,1,4,10000
openai,gpt,batch,,1,4,
openai,gpt-mini,,,0.4,1.6,
anthropic,claude,,,3,15,
"""


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def book(project: Project, *lines: str) -> PriceBook:
    project.prices.parent.mkdir(exist_ok=True)
    project.prices.write_text(LIST)
    project.contract.write_text("\n".join((HEAD, *lines)) + "\n")
    return prices.of(project)


def cost(found: PriceBook, model: str, at: str, tier: str = "standard", provider: str = "openai") -> tuple[str, str]:
    rates = found.lookup(provider, model, day(at), tier)
    return f"{rates.input * 1_000_000:f}".rstrip("0").rstrip("."), rates.source


def test_a_discount_is_taken_off_whatever_the_list_says(project: Project) -> None:
    found = book(project, "openai,gpt*,,2026-03-01,,,10,")

    assert cost(found, "gpt", "2026-02-28") == ("2", "contract")
    assert cost(found, "gpt", "2026-03-01") == ("1.8", "contract less 10 %")
    assert cost(found, "gpt", "2026-06-01") == ("0.9", "contract less 10 %")
    assert cost(found, "gpt", "2026-06-01", "batch") == ("0.9", "contract less 10 %")
    assert cost(found, "gpt-mini", "2026-06-01") == ("0.36", "contract less 10 %")
    assert cost(found, "claude", "2026-06-01", provider="anthropic") == ("3", "contract")
    assert found.lookup("openai", "gpt", day("2026-03-01")).web_search == Decimal("0.009")


def test_the_most_exact_discount_holds_and_of_equals_the_latest(project: Project) -> None:
    found = book(project, "*,*,,,,,5,", "openai,gpt,,,,,10,", "openai,gpt,,2026-03-01,,,20,", "openai,*,batch,,,,50,")

    assert [cost(found, "gpt", at)[0] for at in ("2026-02-28", "2026-03-01")] == ["1.8", "1.6"]
    assert cost(found, "claude", "2026-03-01", provider="anthropic")[0] == "2.85"
    assert cost(found, "gpt", "2026-03-01", "batch")[0] == "0.8"


def test_an_agreed_price_comes_before_a_discount_on_the_list(project: Project) -> None:
    found = book(project, "openai,*,,,,,10,", "openai,gpt,,2026-03-01,1.5,6,,")

    assert [cost(found, "gpt", at)[0] for at in ("2026-02-28", "2026-03-01")] == ["1.8", "1.5"]


def test_a_discounted_price_is_rounded_to_what_the_table_holds(project: Project) -> None:
    rows = [PriceRow(provider_name="openai", model="gpt", input=Decimal("0.123456789"), output=Decimal(1))]
    project.prices.parent.mkdir(exist_ok=True)
    project.contract.write_text(f"{HEAD}\nopenai,gpt,,,,,33.3,\n")

    [_, discounted] = contract.layers(project.contract, rows)
    assert [(row.input, row.valid_from) for row in discounted] == [(Decimal("0.082345678"), ALWAYS)]


@pytest.mark.parametrize(
    ("line", "fault"),
    [("openai,gpt,,,11,8,,", r"line 2: openai gpt input 2 -> 11 is more than five times off the list"),
     ("openai,gpt,,,0,8,,", r"line 2: openai gpt input 2 -> 0 is more than five times"),
     ("openai,gpt,,,2,8,10,", "line 2: a discount and a price of input"),
     ("openai,gpt,,,,,0,", "line 2: discount_percent has to be more than 0"),
     ("openai,gpt,,,,,101,", "line 2: discount_percent"),
     ("openai,gpt,,,,,NaN,", "line 2: discount_percent"),
     ("openai,gpt,,,,,ten,", "line 2: discount_percent"),
     ("openai,gpt*,,,2,8,,", "line 2: only a discount may name several models"),
     ("openai,gpt,,yesterday,,,10,", "line 2: "),
     ("openai,gpt,,,2,8,,\nopenai,GPT,,,2,8,,", "line 3: openai GPT has two standard rows .*the other in line 2")],
)  # fmt: skip
def test_a_contract_that_cannot_be_meant_is_refused(project: Project, line: str, fault: str) -> None:
    with pytest.raises(ReadError, match=fault) as raised:
        book(project, line)

    assert str(project.contract) in str(raised.value)


def test_a_jump_that_was_looked_at_passes(project: Project) -> None:
    assert cost(book(project, "openai,gpt,,,11,44,,yes"), "gpt", "2026-01-01")[0] == "11"


def test_a_file_written_as_looked_at_passes(project: Project) -> None:
    book(project, "openai,gpt,,,2,8,,")
    dear = PriceRow(provider_name="openai", model="gpt", input=Decimal(40), output=Decimal(80))

    write_rows(project.contract, [dear], acknowledged=True)

    assert cost(prices.of(project), "gpt", "2026-01-01")[0] == "40"
    assert prices.read(project.contract).layers == ((dear,),)


def test_a_contract_on_a_model_that_nobody_lists_needs_no_look(project: Project) -> None:
    assert cost(book(project, "openai,own,,,500,500,,"), "own", "2026-01-01") == ("500", "contract")


def test_the_file_needs_no_columns_but_the_names(project: Project, tmp_path: Path) -> None:
    project.prices.parent.mkdir(exist_ok=True)
    project.prices.write_text(LIST)
    project.contract.write_text("provider_name,model,discount_percent\nopenai,*,50\n")

    assert cost(prices.of(project), "gpt", "2026-01-01")[0] == "1"
