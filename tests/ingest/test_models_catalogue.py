"""The catalogue of what models can do: how it is built, read and asked."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead import project
from fairlead.errors import ReadError, UsageError
from fairlead.ingest import modelfile
from fairlead.ingest.model_catalogue import Summary, build
from fairlead.ingest.modelfile import CAPABILITIES, ModelBook, ModelRow, read_rows, write_rows

ROOT = Path(__file__).parents[2]
CATALOGUES = ROOT.parent / "shared" / "data" / "prices"
FIRST, LATER = date(2026, 11, 23), date(2026, 12, 24)


def litellm(folder: Path, **models: Any) -> Path:
    common = {"litellm_provider": "openai", "mode": "chat"}
    path = folder / "litellm.json"
    path.write_text(json.dumps({name.replace("_", "-"): common | fields for name, fields in models.items()}))
    return path


def models_dev(folder: Path, **models: Any) -> Path:
    empty = {
        "provider_id": "openai", "context": None, "max_input": None, "max_output": None, "cache_read": None,
        "reasoning": False, "tool_call": False, "structured_output": None, "input_modalities": ["text"],
        "output_modalities": ["text"],
    }  # fmt: skip
    rows = [{"model_id": name.replace("_", "-")} | empty | fields for name, fields in models.items()]
    schema = {"context": pl.Int64, "max_input": pl.Int64, "max_output": pl.Int64, "cache_read": pl.Float64,
              "structured_output": pl.Boolean}  # fmt: skip
    pl.DataFrame(rows, schema_overrides=schema).write_parquet(folder / "models_dev")
    return folder / "models_dev"


def mlflow(folder: Path, **models: Any) -> Path:
    empty = {"provider": "openai", "mode": "chat", "max_input": None, "max_output": None} | dict.fromkeys(
        ("cap_function_calling", "cap_vision", "cap_reasoning", "cap_prompt_caching", "cap_response_schema"), False
    )
    rows = [{"model": name.replace("_", "-")} | empty | fields for name, fields in models.items()]
    pl.DataFrame(rows, schema_overrides={"max_input": pl.Float64, "max_output": pl.Float64}).write_parquet(
        folder / "mlflow"
    )
    return folder / "mlflow"


def shipped(provider: str, model: str) -> ModelRow | None:
    return ModelBook(read_rows(ROOT / "data" / "models.csv")).lookup(provider, model)


def test_the_first_catalogue_that_says_so_outright_holds(tmp_path):
    out = tmp_path / "models.csv"

    done = build(
        out,
        litellm=litellm(tmp_path, gpt_9={"supports_vision": False, "supports_function_calling": True}),
        models_dev=models_dev(
            tmp_path, gpt_9={"input_modalities": ["text", "image", "pdf"], "max_output": 64, "cache_read": 0.1}
        ),
        mlflow=mlflow(tmp_path, gpt_9={"max_input": 1000.0, "max_output": 32.0, "cap_response_schema": True}),
        retrieved_at=FIRST,
        versions={"litellm": "1", "models.dev": "2", "mlflow": "3"},
    )

    assert read_rows(out) == [
        ModelRow(
            provider_name="openai",
            model="gpt-9",
            context_window=1000,
            max_output_tokens=64,
            capabilities=("json_schema", "pdf", "prompt_caching", "tools"),
            catalog="litellm 1; models.dev 2; mlflow 3",
            retrieved_at=FIRST,
        )
    ]
    assert done == Summary(models=1, providers=1, added=1, changed=0, with_capabilities=1, with_context_window=1)


def test_what_mlflow_denies_is_not_said_and_what_models_dev_leaves_out_is_denied(tmp_path):
    out = tmp_path / "models.csv"

    build(
        out,
        models_dev=models_dev(tmp_path, plain={}),
        mlflow=mlflow(tmp_path, unknown={}, plain={}),
        retrieved_at=FIRST,
    )

    assert {row.model: row.capabilities for row in read_rows(out)} == {"plain": (), "unknown": None}
    assert [line.split(",")[4] for line in out.read_text().splitlines()[1:]] == ["none", ""]


def test_models_that_give_no_text_and_hosts_nobody_lists_are_left_out(tmp_path):
    out = tmp_path / "models.csv"

    build(
        out,
        litellm=litellm(tmp_path, dall_e={"mode": "image_generation"}, own={"litellm_provider": "my_host"}),
        models_dev=models_dev(tmp_path, sora={"output_modalities": ["video"]}, chat={"provider_id": "nano-gpt"}),
        retrieved_at=FIRST,
    )

    assert read_rows(out) == []


def test_a_refresh_keeps_lines_without_news_and_models_that_left(tmp_path):
    out = tmp_path / "models.csv"
    says = {"supports_vision": True, "max_input_tokens": "8000"}
    build(
        out, litellm=litellm(tmp_path, same=says, gone=says, better=says), retrieved_at=FIRST, versions={"litellm": "1"}
    )
    before = out.read_text().splitlines()

    done = build(
        out,
        litellm=litellm(tmp_path, same={"supports_vision": True}, better=says | {"max_input_tokens": 9000}, new=says),
        retrieved_at=LATER,
        versions={"litellm": "2"},
    )

    after = out.read_text().splitlines()
    assert [line for line in after if line in before] == [
        line for line in before if not line.startswith("openai,better")
    ]
    assert "openai,better,9000,,vision,litellm 2,2026-12-24" in after
    assert (done.models, done.added, done.changed) == (4, 1, 1)


def test_the_same_catalogues_give_the_same_bytes(tmp_path):
    given = {"models_dev": models_dev(tmp_path, a={"context": 10}, b={"reasoning": True}), "retrieved_at": FIRST}
    build(tmp_path / "one.csv", **given)
    build(tmp_path / "two.csv", **given)
    build(tmp_path / "two.csv", **given)

    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()


def test_another_file_is_refused_and_nothing_is_written(tmp_path):
    (tmp_path / "text").write_text("not a catalogue")

    for name in ("litellm", "models_dev", "mlflow"):
        with pytest.raises(ReadError, match="text: not a"):
            build(tmp_path / "models.csv", **{name: tmp_path / "text"}, retrieved_at=FIRST)
    with pytest.raises(UsageError, match="no catalogue was given"):
        build(tmp_path / "models.csv", retrieved_at=FIRST)
    assert not (tmp_path / "models.csv").exists()


@pytest.mark.parametrize(
    ("provider", "model", "window", "output", "has", "lacks"),
    [
        ("openai", "gpt-4o", 128_000, 16_384, {"tools", "vision", "json_schema", "prompt_caching"}, {"reasoning"}),
        ("OpenAI", "openai/gpt-4o-2024-11-20", 128_000, 16_384, {"tools", "vision"}, {"reasoning"}),
        ("anthropic", "claude-haiku-4.5", 200_000, 64_000, {"tools", "vision", "pdf", "reasoning"}, {"audio"}),
        ("google", "gemini-2.5-pro", 1_048_576, 65_536, {"tools", "vision", "audio", "video", "pdf"}, {"audio_output"}),
        ("bedrock", "us.anthropic.claude-haiku-4-5-20251001-v1:0", 200_000, 64_000, {"tools", "vision"}, {"audio"}),
        ("my_proxy", "anthropic/claude-haiku-4-5", 200_000, 64_000, {"tools"}, {"audio"}),
        ("groq", "llama-3.3-70b-versatile", 131_072, 32_768, {"tools"}, {"vision"}),
    ],
)
def test_known_models_are_known_under_every_spelling(provider, model, window, output, has, lacks):
    row = shipped(provider, model)

    assert row is not None
    assert (row.context_window, row.max_output_tokens) == (window, output)
    assert has <= set(row.capabilities or ())
    assert not lacks & set(row.capabilities or ())


def test_a_model_nobody_lists_is_not_known():
    assert shipped("my_host", "my-model") is None


def test_the_shipped_file_is_small_and_names_the_source_of_every_row():
    path = ROOT / "data" / "models.csv"
    rows = read_rows(path)

    assert path.stat().st_size < 600_000
    assert {source.split()[0] for row in rows for source in row.catalog.split("; ")} == {
        "litellm",
        "models.dev",
        "mlflow",
    }
    assert [row.key for row in rows] == sorted(row.key for row in rows)


@pytest.mark.skipif(not CATALOGUES.exists(), reason="the public catalogues are not at hand (../shared/data/prices)")
def test_the_shipped_file_is_what_the_catalogues_give(tmp_path):
    versions = {"litellm": "1.109.1", "models.dev": "f3fc6922", "mlflow": "3.18.0"}

    build(
        tmp_path / "models.csv",
        litellm=CATALOGUES / "litellm_model_prices_and_context_window.json",
        models_dev=CATALOGUES / "models_dev.parquet",
        mlflow=CATALOGUES / "mlflow_model_catalog.parquet",
        retrieved_at=FIRST,
        versions=versions,
    )

    assert (tmp_path / "models.csv").read_bytes() == (ROOT / "data" / "models.csv").read_bytes()


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("openai,a,many,,,", "line 2: 'many' is not a number of tokens"),
        ("openai,a,0,,,", "line 2: '0' is not a number of tokens"),
        ("openai,a,,,sight tools,", "line 2: unknown capability 'sight'"),
        (",a,,,,", "line 2: provider_name and model may not be empty"),
        ("openai,a,,", "line 2: as many cells as columns"),
        ("openai,a,,,,x\nopenai,A,,,,y", "line 3: openai A is there twice"),
    ],
)
def test_a_row_that_cannot_be_meant_is_refused_with_its_line(tmp_path, line, fault):
    path = tmp_path / "models.csv"
    path.write_text(f"provider_name,model,context_window,max_output_tokens,capabilities,catalog\n{line}\n")

    with pytest.raises(ReadError, match=fault):
        read_rows(path)


rows = st.builds(
    ModelRow,
    provider_name=st.sampled_from(["openai", "aws.bedrock"]),
    model=st.text("abc-.:/1", min_size=1, max_size=6),
    context_window=st.none() | st.integers(1, 10**7),
    capabilities=st.none() | st.sets(st.sampled_from(CAPABILITIES)).map(lambda words: tuple(sorted(words))),
    catalog=st.sampled_from(["", "litellm 1; mlflow 2"]),
    retrieved_at=st.sampled_from([None, FIRST]),
)


@given(st.lists(rows, max_size=6, unique_by=lambda row: row.key))
def test_what_is_written_is_what_is_read(tmp_path_factory, given):
    path = tmp_path_factory.mktemp("models") / "models.csv"

    write_rows(path, given)

    assert sorted(read_rows(path), key=lambda row: row.key) == sorted(given, key=lambda row: row.key)


def test_a_project_without_the_file_knows_no_model(tmp_path):
    here = project.init(tmp_path / "here")
    here.catalogue.unlink()

    assert len(modelfile.of(here)) == 0
