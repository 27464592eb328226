"""Turns a public routing matrix into the same arrays that logged traffic gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from msgspec import Struct

from fairlead.errors import ReadError, UsageError
from fairlead.scoring.manifest import Column
from fairlead.scoring.predict import Batch
from fairlead.scoring.request import TEXT_FEATURES
from fairlead.scoring.text import read
from fairlead.training.frame import Frame

__all__ = ["Matrix", "frame_of", "read_matrix", "requests_of"]

Array = np.ndarray[Any, Any]
KEY: Final = ("dataset", "prompt_id")
_OUTCOMES: Final = ("quality", "cost_usd", "tokens_in", "tokens_out", "latency_s")


class Matrix(Struct, frozen=True, kw_only=True):
    """A matrix split in two: outcomes of the training prompts, and the test prompts without theirs.

    `known` are the columns known before the call; the first of them is the route.
    """

    train: pl.DataFrame  # one row a (prompt, model), with outcomes
    test: pl.DataFrame  # one row a prompt
    models: tuple[str, ...]
    known: tuple[str, ...]


def read_matrix(matrix: Path, train: Path, test: Path, metadata: tuple[str, ...]) -> Matrix:
    """Read a matrix and its split; ReadError or UsageError names the file and the column.

    A test prompt's outcomes are dropped here, before anything else sees them.
    """
    whole = _parquet(matrix)
    for column in (*KEY, "model", "quality"):
        if column not in whole.columns:
            raise ReadError(
                f"{matrix}: no column {column!r}; a routing matrix has {', '.join((*KEY, 'model', 'quality'))}"
            )
    missing = [name for name in metadata if name not in whole.columns]
    if missing:
        raise UsageError(f"--metadata: {matrix} has no column {missing[0]!r}")
    barred = [name for name in metadata if name in (*_OUTCOMES, "model", "prompt", "prompt_id")]
    if barred:
        raise UsageError(f"--metadata: {barred[0]!r} is not something known of a request before the call")
    numbers = [name for name in _OUTCOMES if name not in whole.columns]
    whole = whole.with_columns(*(pl.lit(None, pl.Float64).alias(name) for name in numbers))
    if "prompt" not in whole.columns:
        whole = whole.with_columns(pl.lit(None, pl.String).alias("prompt"))
    kept = list(dict.fromkeys((*KEY, "prompt", "model", *_OUTCOMES, *metadata)))
    whole = whole.select(kept).sort(*KEY, "model")
    nested = [name for name in metadata if whole[name].dtype.is_nested()]
    if nested:
        raise UsageError(f"--metadata: {nested[0]!r} is {whole[nested[0]].dtype}; a column holds one value a row")
    wanted, held = (_keys(path, whole) for path in (train, test))
    if wanted.join(held, on=KEY, how="inner").height:
        raise UsageError(f"{train} and {test} share prompts; a prompt is either learned from or judged on")
    learned = whole.join(wanted, on=KEY, how="semi", maintain_order="left")
    asked = whole.join(held, on=KEY, how="semi", maintain_order="left").unique(KEY, keep="first", maintain_order=True)
    for name, rows, path in (("training", learned, train), ("test", asked, test)):
        if not rows.height:
            raise UsageError(f"{path}: none of its {name} prompts is in {matrix}")
    return Matrix(
        train=learned,
        test=asked.select(list(dict.fromkeys((*KEY, "prompt", *metadata)))),
        models=tuple(learned["model"].unique().sort().to_list()),
        known=metadata,
    )


def requests_of(rows: pl.DataFrame, known: tuple[str, ...]) -> Batch:
    """Take the request features of a matrix's rows; each distinct prompt is read once."""
    prompts, index = np.unique(rows["prompt"].fill_null("").to_numpy(), return_inverse=True)
    found = [read(prompt) for prompt in prompts]
    text = np.array([features for features, _ in found], dtype=np.float32).reshape(-1, len(TEXT_FEATURES))
    words = tuple(found[place][1] for place in index.tolist()) if prompts.any() else None
    scalars = {name: np.array(_plain(rows[name]).to_list(), dtype=object) for name in known}
    if known:
        scalars["route"] = np.array([None if v is None else str(v) for v in rows[known[0]]], dtype=object)
    return Batch(text=text[index], scalars=scalars, words=words)


def frame_of(matrix: Matrix) -> Frame:
    """Lay a matrix's training rows out as rows to learn from: one a (prompt, model) whose quality is known."""
    rows = matrix.train.filter(pl.col("quality").is_not_null())
    batch = requests_of(rows, matrix.known)
    columns, categories = _columns(rows, matrix)
    prompt = rows.select(pl.concat_str(*KEY, separator="\x1f")).to_series()
    text = rows["prompt"].fill_null("")
    codes = {model: code for code, model in enumerate(matrix.models)}
    return Frame(
        ids=prompt.to_numpy(),
        batch=batch,
        endpoint=np.array([codes[model] for model in rows["model"]], dtype=np.int64),
        endpoints=matrix.models,
        providers=tuple("matrix" for _ in matrix.models),
        models=matrix.models,
        columns=columns,
        categories=categories,
        targets={
            "quality": _number(rows, "quality").clip(0, 1),
            "input_tokens": _positive(rows, "tokens_in"),
            "output_tokens": _positive(rows, "tokens_out"),
            "duration_s": _positive(rows, "latency_s"),
            "cost_usd": _number(rows, "cost_usd"),
        },
        # Equal texts under different ids are one group; prompts without text are their own.
        group=np.where(text.to_numpy() == "", prompt.to_numpy(), text.to_numpy()),
        time=np.zeros(rows.height),
        propensity=np.full(rows.height, np.nan),
        state={},
        state_now={},
    )


def _columns(rows: pl.DataFrame, matrix: Matrix) -> tuple[list[Column], dict[str, list[str]]]:
    columns = [Column(name, "request") for name in TEXT_FEATURES]
    categories: dict[str, list[str]] = {"endpoint": list(matrix.models)}
    if matrix.known:
        columns.append(Column("route", "request", "category"))
        categories["route"] = sorted({str(value) for value in rows[matrix.known[0]].drop_nulls()})
    for name in matrix.known[1:]:
        if rows[name].dtype.is_numeric():
            columns.append(Column(name, "request"))
        else:
            columns.append(Column(name, "request", "category"))
            categories[name] = sorted(set(_plain(rows[name]).drop_nulls().to_list()))
    columns.append(Column("endpoint", "endpoint", "category"))
    return columns, categories


def _parquet(path: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as fault:
        raise ReadError(f"{path}: not a readable Parquet file ({fault})") from fault


def _plain(values: pl.Series) -> pl.Series:
    """Numbers stay numbers, everything else is a category by its text."""
    return values if values.dtype.is_numeric() else values.cast(pl.String)


def _keys(path: Path, whole: pl.DataFrame) -> pl.DataFrame:
    rows = _parquet(path)
    for column in KEY:
        if column not in rows.columns:
            raise ReadError(f"{path}: no column {column!r}; a split has {', '.join(KEY)}")
        if rows[column].dtype.is_numeric() != whole[column].dtype.is_numeric():
            raise ReadError(f"{path}: {column} is {rows[column].dtype}, in the matrix it is {whole[column].dtype}")
    return rows.select(pl.col(column).cast(whole[column].dtype) for column in KEY).unique()


def _number(rows: pl.DataFrame, name: str) -> Array:
    return rows[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()


def _positive(rows: pl.DataFrame, name: str) -> Array:
    values = _number(rows, name)
    return np.where(values > 0, values, np.nan)
