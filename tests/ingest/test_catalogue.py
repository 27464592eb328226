import contextlib
import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.errors import ReadError, UsageError
from fairlead.ingest.catalogue import Summary, build
from fairlead.ingest.pricefile import read_rows

ROOT = Path(__file__).parents[2]
CATALOGUES = ROOT.parent / "shared" / "data" / "prices"
FIRST, LATER = date(2026, 11, 23), date(2026, 12, 24)

Make = Callable[..., Path]


@pytest.fixture
def litellm(tmp_path: Path) -> Make:
    def make(**models: Any) -> Path:
        path = tmp_path / "litellm.json"
        common = {"litellm_provider": "openai", "mode": "chat"}
        path.write_text(json.dumps({name.replace("_", "-"): common | fields for name, fields in models.items()}))
        return path

    return make


@pytest.fixture
def genai(tmp_path: Path) -> Make:
    def make(*rows: tuple[str, str | None, float, float, str | None]) -> Path:
        names = ("model", "valid_from", "input", "output", "tiers")
        unknown = {"provider": "openai", "cache_read": None, "cache_write": None, "context_window": None}
        pl.DataFrame([unknown | dict(zip(names, row, strict=True)) for row in rows]).write_parquet(tmp_path / "genai")
        return tmp_path / "genai"

    return make


@pytest.fixture
def mlflow(tmp_path: Path) -> Make:
    def make(**models: dict[str, Any]) -> Path:
        empty = dict.fromkeys(("cache_read", "cache_write", "cache_write_1h", "service_tiers", "long_context",
                               "max_input", "max_output"))  # fmt: skip
        rows = [{"provider": "openai", "model": name.replace("_", "-"), "mode": "chat"} | empty | fields
                for name, fields in models.items()]  # fmt: skip
        pl.DataFrame(rows).write_parquet(tmp_path / "mlflow")
        return tmp_path / "mlflow"

    return make


def chat(usd: float, **more: Any) -> dict[str, Any]:
    return {"input_cost_per_token": usd / 1e6, "output_cost_per_token": usd / 1e6} | more


def lines(path: Path) -> list[str]:
    """Model, tier, step, date, input, output and catalogue of each row."""
    return [
        ",".join(line.split(",")[place] for place in (1, 3, 4, 5, 6, 7, 14))
        for line in path.read_text().splitlines()[1:]
    ]


def test_the_shipped_file_is_what_the_catalogues_give(tmp_path: Path) -> None:
    if not CATALOGUES.exists():
        pytest.skip("../shared is absent: no catalogues to build from")
    sources = {
        "litellm": CATALOGUES / "litellm_model_prices_and_context_window.json",
        "genai": CATALOGUES / "genai_prices.parquet",
        "mlflow": CATALOGUES / "mlflow_model_catalog.parquet",
    }
    versions = {"litellm": "1.109.1", "genai-prices": "0.2.3", "mlflow": "3.18.0"}
    out = tmp_path / "prices.csv"

    first = build(out, **sources, retrieved_at=FIRST, versions=versions, acknowledge=True)
    once = out.read_bytes()
    again = build(out, **sources, retrieved_at=LATER, versions=versions, acknowledge=True)

    assert once == (ROOT / "data" / "prices.csv").read_bytes()
    assert (first.providers, first.added) == (44, first.rows)
    assert sorted(fault.split(":")[0] for fault in first.left_out) == [
        "litellm azure_ai/jais-30b-chat", "litellm watsonx/core42/jais-13b-chat", "mlflow core42/jais-13b-chat",
        "mlflow jais-30b-chat", "mlflow microsoft/Phi-4-mini-instruct", "mlflow zai-org/GLM-4.5",
    ]  # fmt: skip
    assert (again.added, again.changed) == (0, 0)
    assert out.read_bytes() == once


def test_tiers_steps_and_cache_classes_of_litellm_become_rows(tmp_path: Path, litellm: Make) -> None:
    model = chat(
        2,
        input_cost_per_token_batches=1e-6,
        output_cost_per_token_batches=1e-6,
        input_cost_per_token_above_200k_tokens=4e-6,
        cache_read_input_token_cost=2e-7,
        cache_creation_input_token_cost_above_1hr=4e-6,
        output_cost_per_reasoning_token=3e-6,
        max_input_tokens=1000,
    )

    build(tmp_path / "p.csv", litellm=litellm(m=model), retrieved_at=FIRST, versions={"litellm": "1"})

    assert (tmp_path / "p.csv").read_text().splitlines()[1:] == [
        "openai,m,,batch,0,,1,1,,,,,1000,,litellm,1,2026-11-23",
        "openai,m,,standard,0,,2,2,0.2,,4,3,1000,,litellm,1,2026-11-23",
        "openai,m,,standard,200001,,4,2,0.2,,4,3,1000,,litellm,1,2026-11-23",
    ]


def test_bands_of_litellm_become_steps(tmp_path: Path, litellm: Make) -> None:
    bands = [{"range": [0, 256000.0], **chat(1)}, {"range": [256000.0, 1000000.0], **chat(3)}]

    build(tmp_path / "p.csv", litellm=litellm(m={"tiered_pricing": bands}), retrieved_at=FIRST)

    assert lines(tmp_path / "p.csv") == ["m,standard,0,,1,1,litellm", "m,standard,256001,,3,3,litellm"]


def test_what_is_not_text_or_has_no_price_is_left_out(tmp_path: Path, litellm: Make) -> None:
    path = litellm(
        kept=chat(1),
        free=chat(0),
        unpriced={},
        painter=chat(1, mode="image_generation"),
        gpt_audio=chat(1),
        stranger=chat(1, litellm_provider="nowhere"),
    )

    build(tmp_path / "p.csv", litellm=path, retrieved_at=FIRST)

    assert lines(tmp_path / "p.csv") == ["kept,standard,0,,1,1,litellm"]


def test_litellm_goes_before_mlflow_and_both_before_an_undated_genai_price(
    tmp_path: Path, litellm: Make, mlflow: Make, genai: Make
) -> None:
    sources = {
        "litellm": litellm(a=chat(1)),
        "mlflow": mlflow(a={"input": 2.0, "output": 2.0}, b={"input": 2.0, "output": 2.0}),
        "genai": genai(("a", None, 3.0, 3.0, None), ("b", None, 3.0, 3.0, None), ("c", None, 3.0, 3.0, None)),
    }

    build(tmp_path / "p.csv", **sources, retrieved_at=FIRST)

    assert lines(tmp_path / "p.csv") == [
        "a,standard,0,,1,1,litellm", "b,standard,0,,2,2,mlflow", "c,standard,0,,3,3,genai-prices"
    ]  # fmt: skip


def test_a_history_dates_the_list_prices_that_agree_with_it(tmp_path: Path, litellm: Make, genai: Make) -> None:
    history = genai(("m", None, 4.0, 4.0, "[(100, 8.0)]"), ("m", "2026-01-02", 2.0, 2.0, None),
                    ("m", "2027-01-01", 3.0, 3.0, None))  # fmt: skip
    batch = {"input_cost_per_token_batches": 1e-6, "output_cost_per_token_batches": 1e-6}
    listed = litellm(m=chat(2, **batch), **{"m_2026-01-01": chat(2), "m_2026-06-01": chat(9)})

    build(tmp_path / "p.csv", litellm=listed, genai=history, retrieved_at=FIRST)

    assert lines(tmp_path / "p.csv") == [
        "m,batch,0,2026-01-02,1,1,litellm",
        "m,standard,0,,4,4,genai-prices",
        "m,standard,101,,8,,genai-prices",
        "m,standard,0,2026-01-02,2,2,litellm",
        "m,standard,0,2027-01-01,3,3,genai-prices",
        "m-2026-01-01,standard,0,,4,4,genai-prices",
        "m-2026-01-01,standard,101,,8,,genai-prices",
        "m-2026-01-01,standard,0,2026-01-02,2,2,litellm",
        "m-2026-01-01,standard,0,2027-01-01,3,3,genai-prices",
        "m-2026-06-01,standard,0,,9,9,litellm",
    ]


def test_a_history_stands_alone_where_the_list_disagrees(tmp_path: Path, litellm: Make, genai: Make) -> None:
    history = genai(("m", None, 4.0, 4.0, None), ("m", "2026-01-02", 2.0, 2.0, None))

    build(tmp_path / "p.csv", litellm=litellm(m=chat(3)), genai=history, retrieved_at=FIRST)

    assert lines(tmp_path / "p.csv") == ["m,standard,0,,4,4,genai-prices", "m,standard,0,2026-01-02,2,2,genai-prices"]


def test_prices_by_the_hour_are_not_taken_for_dated_ones(tmp_path: Path, litellm: Make, genai: Make) -> None:
    history = genai(("m", None, 4.0, 4.0, None), ("m", None, 2.0, 2.0, None), ("m", "2026-01-02", 1.0, 1.0, None))

    build(tmp_path / "p.csv", litellm=litellm(m=chat(3)), genai=history, retrieved_at=FIRST)

    assert lines(tmp_path / "p.csv") == ["m,standard,0,,3,3,litellm"]


def test_a_refresh_dates_what_changed_and_keeps_what_left(tmp_path: Path, litellm: Make) -> None:
    out = tmp_path / "p.csv"
    build(out, litellm=litellm(changed=chat(1), same=chat(5), left=chat(7)), retrieved_at=FIRST)
    before = out.read_text().splitlines()

    summary = build(out, litellm=litellm(changed=chat(2), same=chat(5), new=chat(9)), retrieved_at=LATER)

    assert lines(out) == [
        "changed,standard,0,,1,1,litellm",
        "changed,standard,0,2026-12-24,2,2,litellm",
        "left,standard,0,,7,7,litellm",
        "new,standard,0,,9,9,litellm",
        "same,standard,0,,5,5,litellm",
    ]
    assert set(before) < set(out.read_text().splitlines())
    assert summary == Summary(rows=5, providers=1, models=4, dated_models=1, added=2, changed=0, left_out=())


def test_a_refresh_without_the_dated_catalogue_keeps_the_dates(tmp_path: Path, litellm: Make, genai: Make) -> None:
    out, listed = tmp_path / "p.csv", litellm(m=chat(2))
    history = genai(
        ("m", None, 4.0, 4.0, None), ("m", "2026-01-02", 2.0, 2.0, None), ("m", "2027-01-01", 3.0, 3.0, None)
    )
    build(out, litellm=listed, genai=history, retrieved_at=FIRST)
    before = out.read_bytes()

    build(out, litellm=listed, retrieved_at=LATER)

    assert out.read_bytes() == before


def test_a_contract_goes_before_every_catalogue_from_its_first_day(tmp_path: Path, litellm: Make) -> None:
    out, contract = tmp_path / "p.csv", tmp_path / "contract.csv"
    contract.write_text("provider_name,model,input,output,valid_from\nOpenAI,m,1.5,1.5,2026-02-01\nopenai,own,1,1,\n")

    for day in (FIRST, LATER):
        build(out, litellm=litellm(m=chat(2)), overrides=contract, retrieved_at=day)

        assert lines(out) == [
            "m,standard,0,,2,2,litellm", "m,standard,0,2026-02-01,1.5,1.5,contract", "own,standard,0,,1,1,contract"
        ]  # fmt: skip


@pytest.mark.parametrize("price", [-1e-6, float("nan"), float("inf"), "dear", 2.5e-3])
def test_a_price_that_cannot_be_right_is_refused_or_left_out(tmp_path: Path, litellm: Make, price: Any) -> None:
    out, path = tmp_path / "p.csv", litellm(bad=chat(1, output_cost_per_token=price), good=chat(1))

    with pytest.raises(ReadError, match=r"litellm bad: .*--acknowledge"):
        build(out, litellm=path, retrieved_at=FIRST)
    assert not out.exists()

    summary = build(out, litellm=path, retrieved_at=FIRST, acknowledge=True)

    assert lines(out) == ["good,standard,0,,1,1,litellm"]
    assert len(summary.left_out) == 1


def test_two_catalogues_in_different_units_are_refused_or_left_out(tmp_path: Path, litellm: Make, mlflow: Make) -> None:
    out = tmp_path / "p.csv"
    sources = {"litellm": litellm(m=chat(0.5), n=chat(1)), "mlflow": mlflow(m={"input": 500.0, "output": 500.0})}

    with pytest.raises(ReadError, match=r"openai m: input 0\.5 -> 500.* \(litellm, mlflow\)"):
        build(out, **sources, retrieved_at=FIRST)
    build(out, **sources, retrieved_at=FIRST, acknowledge=True)

    assert lines(out) == ["n,standard,0,,1,1,litellm"]


def test_a_price_that_moves_more_than_five_times_needs_a_look(tmp_path: Path, litellm: Make) -> None:
    out = tmp_path / "p.csv"
    build(out, litellm=litellm(m=chat(1)), retrieved_at=FIRST)
    before = out.read_bytes()

    with pytest.raises(ReadError, match=r"p\.csv: 1 prices moved by more than 5 times: openai m input 1 -> 6"):
        build(out, litellm=litellm(m=chat(1, input_cost_per_token=6e-6)), retrieved_at=LATER)
    assert out.read_bytes() == before

    build(out, litellm=litellm(m=chat(6)), retrieved_at=LATER, acknowledge=True)

    assert lines(out) == ["m,standard,0,,1,1,litellm", "m,standard,0,2026-12-24,6,6,litellm"]


def test_a_change_of_unit_is_refused_even_when_acknowledged(tmp_path: Path, litellm: Make) -> None:
    out = tmp_path / "p.csv"
    build(out, litellm=litellm(m=chat(0.5)), retrieved_at=FIRST)

    with pytest.raises(ReadError, match="as if the unit had changed"):
        build(out, litellm=litellm(m=chat(500)), retrieved_at=LATER, acknowledge=True)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@given(ANY_JSON, ANY_JSON, ANY_JSON)
def test_any_json_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: Any, mode: Any, bands: Any
) -> None:
    folder = tmp_path_factory.mktemp("any")
    odd = {"mode": mode, "litellm_provider": "openai", "tiered_pricing": bands}
    (folder / "whole.json").write_text(json.dumps(content))
    (folder / "entries.json").write_text(json.dumps({"a": odd, "b": odd | {"mode": "chat"}, "c": content}))

    for name in ("whole.json", "entries.json"):
        with contextlib.suppress(ReadError):
            assert build(folder / "p.csv", litellm=folder / name, retrieved_at=FIRST).rows == 0


@given(st.lists(st.decimals(0, 1000, places=9), min_size=1, max_size=5))
def test_a_price_is_kept_to_the_last_digit(tmp_path_factory: pytest.TempPathFactory, prices: list[Decimal]) -> None:
    folder = tmp_path_factory.mktemp("exact")
    table = [f"openai,m{place},{price:f},{price:f}" for place, price in enumerate(prices)]
    (folder / "c.csv").write_text("\n".join(["provider_name,model,input,output", *table]) + "\n")

    build(folder / "p.csv", overrides=folder / "c.csv", retrieved_at=FIRST)

    assert [row.input for row in read_rows(folder / "p.csv")] == prices


@pytest.mark.parametrize("which", ["litellm", "genai", "mlflow"])
def test_a_file_that_is_no_catalogue_is_refused(tmp_path: Path, which: str) -> None:
    path = tmp_path / "text"
    path.write_text("no catalogue")

    with pytest.raises(ReadError, match="text: not a"):
        build(tmp_path / "p.csv", retrieved_at=FIRST, **{which: path})


def test_a_table_of_something_else_is_refused(tmp_path: Path) -> None:
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "other")

    with pytest.raises(ReadError, match="no column 'cache_read'; give the genai-prices catalogue"):
        build(tmp_path / "p.csv", retrieved_at=FIRST, genai=tmp_path / "other")


def test_a_catalogue_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="absent: cannot be read"):
        build(tmp_path / "p.csv", retrieved_at=FIRST, litellm=tmp_path / "absent")


def test_a_build_from_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no catalogue was given"):
        build(tmp_path / "p.csv", retrieved_at=FIRST)
