import contextlib
import csv
import json
from collections.abc import Callable
from datetime import date, time
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.errors import ReadError, UsageError
from fairlead.ingest.catalogue import Summary, build
from fairlead.ingest.catalogues import genai_package
from fairlead.ingest.catalogues.genai_package import INSTALLED
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
    names = ("model", "service_tier", "min_input_tokens", "valid_from", "input", "output", "catalog")
    return [",".join(row[name] for name in names) for row in rows(path)]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def said(path: Path, *names: str) -> list[tuple[str, ...]]:
    """The named cells of each row."""
    return [tuple(row[name] for name in names) for row in rows(path)]


@pytest.fixture
def catalogues() -> dict[str, Path]:
    if not CATALOGUES.exists():
        pytest.skip("../shared is absent: no catalogues to build from")
    return {
        "litellm": CATALOGUES / "litellm_model_prices_and_context_window.json",
        "genai": CATALOGUES / "genai_prices.parquet",
        "mlflow": CATALOGUES / "mlflow_model_catalog.parquet",
    }


VERSIONS = {"litellm": "1.109.1", "genai-prices": "0.2.3", "mlflow": "3.18.0"}


def test_the_shipped_file_is_what_the_catalogues_give(tmp_path: Path, catalogues: dict[str, Path]) -> None:
    if _installed() != VERSIONS["genai-prices"]:
        pytest.skip("genai-prices 0.2.3 is not installed: the file was built with it")
    out = tmp_path / "prices.csv"

    build(out, **catalogues | {"genai": INSTALLED}, retrieved_at=FIRST, versions=VERSIONS, acknowledge=True)

    assert out.read_bytes() == (ROOT / "data" / "prices.csv").read_bytes()


def test_without_the_package_only_steps_and_hours_before_a_change_are_missing(
    tmp_path: Path, catalogues: dict[str, Path]
) -> None:
    out = tmp_path / "prices.csv"

    first = build(out, **catalogues, retrieved_at=FIRST, versions=VERSIONS, acknowledge=True)
    once = out.read_bytes()
    again = build(out, **catalogues, retrieved_at=LATER, versions=VERSIONS, acknowledge=True)

    shipped = {row.order: row for row in read_rows(ROOT / "data" / "prices.csv")}
    differ = [row for row in read_rows(out) if shipped.get(row.order) != row]
    assert len(differ) < 50
    assert all(row.min_input_tokens or row.provider_name == "deepseek" for row in differ)
    assert (first.providers, first.added) == (45, first.rows)
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

    meters = ("input", "output", "cache_read", "cache_creation", "cache_creation_1h", "reasoning")
    assert said(tmp_path / "p.csv", "service_tier", "min_input_tokens", *meters) == [
        ("batch", "0", "1", "1", "", "", "", ""),
        ("batch", "200001", "2", "1", "", "", "", ""),
        ("standard", "0", "2", "2", "0.2", "", "4", "3"),
        ("standard", "200001", "4", "2", "0.2", "", "4", "3"),
    ]
    assert said(tmp_path / "p.csv", "context_window", "catalog", "catalog_version", "retrieved_at")[0] == (
        "1000", "litellm", "1", "2026-11-23"
    )  # fmt: skip


def test_a_tier_keeps_its_own_long_context_step(tmp_path: Path, litellm: Make) -> None:
    model = chat(
        2,
        input_cost_per_token_above_272k_tokens=4e-6,
        input_cost_per_token_flex=1e-6,
        output_cost_per_token_flex=1e-6,
        input_cost_per_token_above_272k_tokens_flex=1.5e-6,
    )

    build(tmp_path / "p.csv", litellm=litellm(m=model), retrieved_at=FIRST)

    assert said(tmp_path / "p.csv", "service_tier", "min_input_tokens", "input")[:2] == [
        ("flex", "0", "1"), ("flex", "272001", "1.5")
    ]  # fmt: skip


def test_sound_pictures_and_searches_have_their_prices_in_every_tier(tmp_path: Path, litellm: Make) -> None:
    model = chat(
        2,
        mode="realtime",
        input_cost_per_audio_token=32e-6,
        output_cost_per_audio_token=64e-6,
        input_cost_per_image_token=5e-6,
        input_cost_per_token_batches=1e-6,
        output_cost_per_token_batches=1e-6,
        input_cost_per_request=0.005,
        search_context_cost_per_query={"search_context_size_low": 0.005, "search_context_size_medium": 0.008},
    )

    build(tmp_path / "p.csv", litellm=litellm(gpt_realtime=model), retrieved_at=FIRST)

    assert said(
        tmp_path / "p.csv",
        "service_tier",
        "input",
        "input_audio",
        "output_audio",
        "input_image",
        "web_search",
        "request",
    ) == [("batch", "1", "32", "64", "5", "8000", "5000"), ("standard", "2", "32", "64", "5", "8000", "5000")]


def test_what_is_paid_by_the_second_is_left_out(tmp_path: Path, litellm: Make) -> None:
    voice = chat(1, mode="audio_transcription", input_cost_per_audio_token=6e-6)
    path = litellm(m_transcribe=voice, m_seconds=voice | {"input_cost_per_second": 1e-4})

    build(tmp_path / "p.csv", litellm=path, retrieved_at=FIRST)

    assert said(tmp_path / "p.csv", "model", "input_audio") == [("m-transcribe", "6")]


def test_off_peak_hours_become_rows_of_their_own(tmp_path: Path, litellm: Make) -> None:
    cheap = {"input_cost_per_token": 5e-7, "windows": [
        {"hours_utc": ["00:00-01:00", "10:00-00:00"], "weekdays": [1, 2, 3, 4, 5]},
        {"hours_utc": "00:00-00:00", "weekdays": [6, 7]},
    ]}  # fmt: skip

    build(tmp_path / "p.csv", litellm=litellm(m=chat(1, off_peak_pricing=cheap)), retrieved_at=FIRST)

    assert said(tmp_path / "p.csv", "utc_time_from", "utc_time_to", "utc_weekdays", "input", "output") == [
        ("", "", "", "1", "1"),
        ("00:00", "00:00", "6-7", "0.5", "1"),
        ("00:00", "01:00", "1-5", "0.5", "1"),
        ("10:00", "00:00", "1-5", "0.5", "1"),
    ]


def test_a_region_that_costs_more_becomes_rows_but_its_fees_stay(tmp_path: Path, litellm: Make) -> None:
    model = chat(
        2,
        input_cost_per_request=0.01,
        regional_processing_uplift_multiplier_eu=1.1,
        regional_endpoint_uplift_multiplier=1.2,
    )

    build(tmp_path / "p.csv", litellm=litellm(m=model), retrieved_at=FIRST)

    assert said(tmp_path / "p.csv", "region", "input", "output", "request") == [
        ("", "2", "2", "10000"), ("eu", "2.2", "2.2", "10000"), ("regional", "2.4", "2.4", "10000")
    ]  # fmt: skip


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
        drawer=chat(1, mode="image_generation", output_cost_per_image_token=3e-5, output_cost_per_image=0.04),
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


def test_hours_of_a_list_go_with_the_last_date_of_the_history(tmp_path: Path, litellm: Make, genai: Make) -> None:
    history = genai(("m", None, 4.0, 4.0, None), ("m", "2026-01-02", 1.0, 1.0, None))
    cheap = {"input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6, "windows": [{"hours_utc": "16:30-00:30"}]}

    build(tmp_path / "p.csv", litellm=litellm(m=chat(2, off_peak_pricing=cheap)), genai=history, retrieved_at=FIRST)

    assert said(tmp_path / "p.csv", "valid_from", "utc_time_from", "utc_time_to", "input", "catalog") == [
        ("", "", "", "4", "genai-prices"),
        ("2026-01-02", "", "", "2", "litellm"),
        ("2026-01-02", "16:30", "00:30", "1", "litellm"),
    ]


def test_the_package_tells_dates_hours_and_steps() -> None:
    steps = SimpleNamespace(base=Decimal(2), tiers=[SimpleNamespace(start=200_000, price=Decimal(4))])
    hours = SimpleNamespace(start_time=time(16, 30), end_time=time(0, 30))
    prices = [
        SimpleNamespace(prices=SimpleNamespace(input_mtok=Decimal(3), output_mtok=Decimal(9))),
        SimpleNamespace(
            constraint=SimpleNamespace(start_date=FIRST),
            prices=SimpleNamespace(input_mtok=steps, output_mtok=Decimal(8)),
        ),
        SimpleNamespace(constraint=hours, prices=SimpleNamespace(input_mtok=Decimal(1), output_mtok=Decimal(4))),
    ]
    model = SimpleNamespace(id="m", context_window=1000, prices=prices)

    found = list(genai_package.records([SimpleNamespace(id="openai", models=[model])]))

    unknown = dict.fromkeys(("cache_read", "cache_write", "input_audio", "output_audio"))
    same = {"provider": "openai", "model": "m", "context_window": 1000} | unknown
    assert found == [
        same | {"valid_from": None, "input": Decimal(3), "output": Decimal(9)},
        same
        | {"valid_from": "2026-11-23", "input": Decimal(2), "output": Decimal(8),
           "steps": {200_000: {"input": Decimal(4)}}},
        same
        | {"valid_from": "2026-11-23", "utc_time_from": "16:30", "utc_time_to": "00:30", "input": Decimal(1),
           "output": Decimal(4)},
    ]  # fmt: skip


def test_the_package_has_to_be_installed_to_be_read(tmp_path: Path) -> None:
    if _installed():
        pytest.skip("genai-prices is installed")

    with pytest.raises(ReadError, match=r"genai-prices is not installed; pip install 'fairlead\[prices\]'"):
        build(tmp_path / "p.csv", genai=INSTALLED, retrieved_at=FIRST)


def _installed() -> str | None:
    try:
        return genai_package.version()
    except ReadError:
        return None


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
