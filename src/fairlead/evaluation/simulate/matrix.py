"""Replaying a public routing matrix: which endpoints, which prompts, and what is known of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from fairlead.errors import ReadError, UsageError
from fairlead.evaluation.simulate.prices import infer
from fairlead.evaluation.simulate.world import Endpoint, Floats, Integers, World, list_cost

__all__ = ["load"]

_KEY: Final = ["dataset", "prompt_id"]
_NEEDED: Final = {"dataset": pl.String, "prompt_id": pl.String, "model": pl.String, "quality": pl.Float64}
_MAY: Final = {
    "prompt": pl.String,
    "cost_usd": pl.Float64,
    "tokens_in": pl.Int64,
    "tokens_out": pl.Int64,
    "latency_s": pl.Float64,
}
_COVERAGE: Final = 0.97  # an endpoint that lacks more of the prompts than this allows would cost too many of them


def load(path: Path, endpoints: Sequence[str] | int, rng: np.random.Generator) -> World:
    """Read a matrix and keep the prompts for which every chosen endpoint has a quality, each once."""
    table = _read(path)
    chosen = _choose(path, table, endpoints)
    models = [one.matrix_model for one in chosen]
    held = table.filter(pl.col("model").is_in(models))
    complete = held.group_by(_KEY).len().filter(pl.col("len") == len(models)).select(_KEY)
    once = _once(held.join(complete, on=_KEY).select(*_KEY, "prompt"))
    if once.is_empty():
        raise UsageError(f"{path}: no prompt has a quality for all of {', '.join(map(str, models))}; choose fewer")
    total = table.select(pl.struct(_KEY).n_unique()).item()
    cells = {name: _grid(held, once, models, name) for name in ("quality", *list(_MAY)[1:])}
    unnamed = pl.format("{}: question {}", "dataset", "prompt_id")
    prompts = once.select(pl.coalesce("prompt", unnamed)).to_series().to_list()
    tokens_in, tokens_out = _tokens(cells, prompts, rng)
    priced, cost = _priced(chosen, cells, tokens_in, tokens_out)
    return World(
        source=path.name,
        endpoints=priced,
        dataset=once["dataset"].to_list(),
        prompt=prompts,
        quality=cells["quality"],
        expected=None,
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        cost_usd=cost,
        duration_s=np.where(cells["latency_s"] > 0, cells["latency_s"], np.nan),  # 0 was written for "not measured"
        notes={
            "prompts_in_matrix": total,
            "prompts_incomplete": total - complete.height,
            "prompts_repeated": complete.height - once.height,
        },
    )


def _read(path: Path) -> pl.DataFrame:
    try:
        table = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as fault:
        raise ReadError(f"{path}: not readable as Parquet ({fault}); give a routing matrix in long format") from fault
    missing = sorted(set(_NEEDED) - set(table.columns))
    if missing:
        raise ReadError(f"{path}: no column {missing[0]!r}; a matrix has dataset, prompt_id, prompt, model, quality, …")
    types = {**_NEEDED, **_MAY}
    table = table.select(
        *(
            pl.col(name).cast(kind) if name in table.columns else pl.lit(None, kind).alias(name)
            for name, kind in types.items()
        )
    ).filter(pl.col("quality").is_not_null())
    if table.is_empty():
        raise ReadError(f"{path}: no row has a quality; give a matrix with outcomes")
    low, high = table.select(pl.col("quality").min().alias("low"), pl.col("quality").max().alias("high")).row(0)
    if not (low >= 0 and high <= 1):
        raise ReadError(f"{path}: quality runs from {low:g} to {high:g}; scale it to 0..1")
    doubled = table.filter(pl.struct(*_KEY, "model").is_duplicated())
    if not doubled.is_empty():
        dataset, prompt_id, model = doubled.select(*_KEY, "model").row(0)
        raise ReadError(f"{path}: {dataset}/{prompt_id} has several rows for {model!r}; keep one of them")
    return table


def _once(prompts: pl.DataFrame) -> pl.DataFrame:
    # A text that stands twice under two ids would be learnt from once and judged on once: keep the first.
    each = prompts.unique(_KEY, keep="first").sort(_KEY)
    text = pl.coalesce("prompt", pl.concat_str(pl.lit("\0"), pl.col("prompt_id")))
    return each.filter(pl.struct("dataset", text.alias("text")).is_first_distinct())


def _choose(path: Path, table: pl.DataFrame, endpoints: Sequence[str] | int) -> tuple[Endpoint, ...]:
    known = {model: Endpoint.of(model) for model in table["model"].unique().sort()}
    if isinstance(endpoints, int):
        if not 1 < endpoints <= len(known):
            raise UsageError(f"{path} has {len(known)} models: --endpoints must be from 2 to {len(known)}")
        names = _span(table, endpoints)
    else:
        by_name = {one.name: model for model, one in known.items()} | {model: model for model in known}
        for name in endpoints:
            if name not in by_name:
                raise UsageError(f"{path} has no model {name!r}; it has {', '.join(known)}")
        names = [by_name[name] for name in dict.fromkeys(endpoints)]
        if len(set(names)) < 2:
            raise UsageError("one endpoint leaves nothing to choose between; name two or more")
    chosen = tuple(known[name] for name in names)
    return tuple(
        # Two configurations of one model at one provider would share a name: keep the matrix's own, which differ.
        one if sum(other.name == one.name for other in chosen) == 1 else replace(one, name=str(one.matrix_model))
        for one in chosen
    )


def _span(table: pl.DataFrame, count: int) -> list[str]:
    """Give the cheapest, the best, the dearest, and between them the best near evenly spaced costs."""
    prompts = table.select(pl.struct(_KEY).n_unique()).item()
    models = table.group_by("model").agg(
        (pl.len() / prompts).alias("coverage"),
        pl.col("quality").mean(),
        pl.col("cost_usd").mean(),
        (pl.col("cost_usd") > 0).mean().fill_null(0).alias("known"),
    )
    models = models.sort(
        (pl.col("coverage") < _COVERAGE), (pl.col("known") < _COVERAGE), -pl.col("quality"), pl.col("model")
    )
    sound = models.filter((pl.col("coverage") >= _COVERAGE) & (pl.col("known") >= _COVERAGE))
    if sound.height < count:  # not enough with known costs: the best of what there is
        return sorted(models.head(count)["model"])
    names = sound["model"].to_list()
    quality, cost = sound["quality"].to_numpy(), np.log(sound["cost_usd"].to_numpy())
    picked = list(dict.fromkeys([int(np.argmin(cost)), int(np.argmax(quality)), int(np.argmax(cost))]))[:count]
    for target in np.linspace(cost.min(), cost.max(), max(count - len(picked), 0) + 2)[1:-1]:
        value = quality - 0.5 * np.abs(cost - target) / max(float(np.ptp(cost)), 1e-9)
        near = np.abs(cost[:, None] - cost[picked]).min(axis=1) / max(float(np.ptp(cost)) / count, 1e-9)
        value -= 0.1 * np.maximum(1 - near, 0)  # two versions of one model would tell a router little
        value[picked] = -np.inf
        picked.append(int(np.argmax(value)))
    return [names[row] for row in sorted(picked, key=lambda row: float(cost[row]))]


def _grid(held: pl.DataFrame, once: pl.DataFrame, models: Sequence[str | None], column: str) -> Floats:
    cells = np.full((once.height, len(models)), np.nan)
    rows = once.select(_KEY).with_row_index("row")
    for place, model in enumerate(models):
        found = rows.join(held.filter(pl.col("model") == model).select(*_KEY, column), on=_KEY).drop_nulls(column)
        cells[found["row"].to_numpy(), place] = found[column].cast(pl.Float64).to_numpy()
    return cells


def _tokens(cells: dict[str, Floats], prompts: list[str], rng: np.random.Generator) -> tuple[Integers, Integers]:
    # Four characters a token, and answers of the median length that Azure's 2023 conversation trace shows (CC-BY 4.0).
    shape = cells["quality"].shape
    by_length = np.array([max(1, round(len(text) / 4)) for text in prompts], dtype=np.float64)[:, None]
    drawn = np.clip(np.exp(np.log(129) + 0.86 * rng.standard_normal(shape)), 1, 4096)
    tokens_in = np.where(np.isfinite(cells["tokens_in"]), cells["tokens_in"], by_length)
    tokens_out = np.where(np.isfinite(cells["tokens_out"]), cells["tokens_out"], drawn)
    return np.rint(tokens_in).astype(np.int64), np.rint(tokens_out).astype(np.int64)


def _priced(
    chosen: tuple[Endpoint, ...], cells: dict[str, Floats], tokens_in: Integers, tokens_out: Integers
) -> tuple[tuple[Endpoint, ...], Floats]:
    endpoints, cost = list(chosen), np.full(tokens_in.shape, np.nan)
    for place, one in enumerate(chosen):
        both = np.isfinite(cells["tokens_in"][:, place]) & np.isfinite(cells["tokens_out"][:, place])
        stated = cells["cost_usd"][:, place]
        prices = infer(np.where(both, stated, np.nan), tokens_in[:, place], tokens_out[:, place])
        if prices is None:  # what the matrix says is all that is known
            cost[:, place] = np.where(stated > 0, np.round(stated, 12), np.nan)
            continue
        slower = float(np.clip((max(prices) / 3) ** -0.2, 0.5, 2))  # an assumption: dear models are large and slow
        endpoints[place] = replace(
            one, input_usd=prices[0], output_usd=prices[1], tokens_per_s=round(one.tokens_per_s * slower, 1)
        )
        cost[:, place] = list_cost(endpoints[place], tokens_in[:, place], tokens_out[:, place])
    return tuple(endpoints), cost
