"""Lays logged attempts out as rows to learn from."""

from __future__ import annotations

import datetime
from typing import Any, Final

import numpy as np
import polars as pl

from fairlead.errors import EvidenceError
from fairlead.features import Joined, told
from fairlead.scoring import embedding
from fairlead.scoring.manifest import Column
from fairlead.scoring.predict import Batch
from fairlead.scoring.request import TEXT_FEATURES
from fairlead.training.frame import Frame
from fairlead.training.spec import Spec

__all__ = ["frame_of", "hidden", "requests_of"]

Array = np.ndarray[Any, Any]
LEAST_SEEN: Final = 5  # a route or team seen less often is as good as unknown
MOST_CATEGORIES: Final = 500
# From so many rows the features of texts are kept in half precision: 63 bins tell no more than its 11 bits do, and
# 10 million rows then take 2.7 GB instead of 5.4.
HALF_ROWS: Final = 2_000_000
_HALF_MOST: Final = 60_000.0


def frame_of(joined: Joined, until: datetime.datetime | None = None) -> Frame:
    """Lay out the attempts that started before `until`; EvidenceError when there are none.

    Token counts and durations are taken from attempts that succeeded, quality from the final attempt of a request.
    """
    rows = joined.rows if until is None else joined.rows.filter(pl.col("start_time") < until)
    rows = rows.filter(pl.col("endpoint").is_not_null())
    if not rows.height:
        raise EvidenceError("no attempts to learn from; run `fairlead ingest` on your gateway's logs first")
    known = rows.group_by("endpoint").agg(pl.col("provider_name", "model", "region").last()).sort("endpoint")
    endpoints = tuple(known["endpoint"].to_list())
    codes = {name: code for code, name in enumerate(endpoints)}
    columns, categories = _columns(rows, joined, endpoints, known["provider_name"].to_list())
    ok = (rows["status"] == "ok").to_numpy()
    prompt = rows["prompt_sha256"].to_list()
    now = known.select("endpoint").join(joined.state_now, on="endpoint", how="left", maintain_order="left")
    tenants = tuple(rows["tenant"].drop_nulls().unique().sort().to_list())
    begun = rows["start_time"].dt.epoch("us").to_numpy() / 1e6
    return Frame(
        ids=rows["event_id"].to_numpy(),
        batch=requests_of(rows, joined),
        endpoint=np.array([codes[name] for name in rows["endpoint"]], dtype=np.int64),
        endpoints=endpoints,
        providers=tuple(known["provider_name"].to_list()),
        models=tuple(value or "" for value in known["model"].to_list()),
        columns=columns,
        categories=categories,
        targets={
            "input_tokens": _positive(rows, "input_tokens", ok),
            "output_tokens": _positive(rows, "output_tokens", ok),
            "duration_s": _positive(rows, "duration_s", ok),
            "ttft_s": _positive(rows, "ttft_s", ok),
            "cost_usd": numbers(rows, "cost_usd"),
            "quality": numbers(rows, "quality"),
            "failed": numbers(rows, "failed"),
        },
        group=np.array([p.hex() if p else r for p, r in zip(prompt, rows["request_id"], strict=True)]),
        time=begun,
        ended=begun + np.nan_to_num(numbers(rows, "duration_s")),
        regions=tuple(value or "" for value in known["region"].to_list()),
        propensity=numbers(rows, "propensity"),
        weight=np.nan_to_num(numbers(rows, "quality_weight"), nan=1.0),
        sure=rows["quality_trusted"].fill_null(False).to_numpy(),
        tenant=_codes(rows["tenant"], tenants),
        tenants=tenants,
        askable=ok & rows["final"].fill_null(False).to_numpy() & rows["label_mature"].fill_null(False).to_numpy(),
        preferred=_abilities(joined, endpoints),
        said=tuple(f"judge {one.judge}: {told(one)}" for one in joined.judges),
        state={name: numbers(rows, name) for name in joined.state_columns},
        state_now={name: numbers(now, name) for name in joined.state_columns},
    )


def requests_of(rows: pl.DataFrame, joined: Joined) -> Batch:
    """Give the request features of rows, as they were taken at the door."""
    width = len(TEXT_FEATURES)
    text = np.full((rows.height, width), np.nan, dtype=np.float16 if rows.height > HALF_ROWS else np.float32)
    if "text" in rows.columns:
        whole = (rows["text"].list.len() == width).fill_null(False).to_numpy()
        found = rows["text"].filter(pl.Series(whole))
        text[whole] = found.list.to_array(width).to_numpy().clip(-_HALF_MOST, _HALF_MOST) if len(found) else text[whole]
    known = [name for name in joined.request_columns if name not in ("text", embedding.NAME)]
    scalars = {name: np.array(rows[name].to_list(), dtype=object) for name in known}
    if embedding.NAME in joined.request_columns:
        scalars[embedding.NAME] = embedding.held(rows[embedding.NAME].to_list())
    return Batch(text=text, scalars=scalars)


def hidden(frame: Frame, spec: Spec, joined: Joined) -> frozenset[str]:
    """Name the columns that a predictor did not ask for."""
    asked = {pattern.removesuffix(".*") for pattern in spec.features}
    owner = {**joined.table_of, **dict.fromkeys(TEXT_FEATURES, joined.table_of.get("text", ""))}
    vector = (column.name for column in frame.columns if column.name.startswith(embedding.PREFIX))
    owner = {**dict.fromkeys(vector, joined.table_of.get(embedding.NAME, "")), **owner}
    return frozenset(
        column.name
        for column in frame.columns
        if column.owner != "endpoint"
        and owner.get(column.name) not in asked
        and f"{owner.get(column.name)}.{column.name}" not in asked
    )


def numbers(rows: pl.DataFrame, name: str) -> Array:
    """Give a column as float64, NaN for null."""
    return rows[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()


def _columns(
    rows: pl.DataFrame, joined: Joined, endpoints: tuple[str, ...], providers: list[str]
) -> tuple[list[Column], dict[str, list[str]]]:
    columns: list[Column] = []
    categories: dict[str, list[str]] = {"endpoint": list(endpoints), "provider_name": sorted(set(providers))}
    for name in joined.request_columns:
        if name == "text":
            columns += [Column(feature, "request") for feature in TEXT_FEATURES]
        elif name == embedding.NAME:  # as long as most are; one of another length is as good as none
            lengths = rows[name].list.len().drop_nulls().value_counts(sort=True)[name].head(1)
            columns += [Column(f"{embedding.PREFIX}{place}", "request") for place in range(int(lengths.sum()))]
        elif rows[name].dtype == pl.String:
            columns.append(Column(name, "request", "category"))
            seen = rows[name].drop_nulls().value_counts(sort=True).filter(pl.col("count") >= LEAST_SEEN)
            categories[name] = sorted(seen[name].head(MOST_CATEGORIES).to_list())
        else:
            columns.append(Column(name, "request"))
    columns += [Column(name, "endpoint", "category") for name in ("endpoint", "provider_name")]
    columns += [Column(name, "state") for name in joined.state_columns]
    return columns, categories


def _abilities(joined: Joined, endpoints: tuple[str, ...]) -> Array | None:
    known = {one.endpoint: one.ability for one in joined.preferred}
    return np.array([known.get(name, np.nan) for name in endpoints]) if known else None


def _codes(values: pl.Series, known: tuple[str, ...]) -> Array:
    codes = values.replace_strict(known, range(len(known)), default=-1, return_dtype=pl.Int64)
    found: Array = codes.fill_null(-1).to_numpy()
    return found


def _positive(rows: pl.DataFrame, name: str, keep: Array) -> Array:
    values = numbers(rows, name)
    positive: Array = np.where(keep & (values > 0), values, np.nan)
    return positive
