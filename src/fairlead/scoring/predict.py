"""Predicted quality, cost and latency of every endpoint for a request, from a snapshot alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from msgspec import Struct

from fairlead.scoring import embedding
from fairlead.scoring.manifest import Column
from fairlead.scoring.request import TEXT_FEATURES, Request, text_features
from fairlead.scoring.snapshot import Head, Snapshot
from fairlead.scoring.view import View

__all__ = ["Batch", "Candidates", "Predictor", "column_values"]

Array = np.ndarray[Any, Any]

_BYTES_LOG: Final = TEXT_FEATURES.index("text_bytes_log")
_TEXT_INDEX: Final = {name: index for index, name in enumerate(TEXT_FEATURES)}
SCALARS: Final = ("route", "team", "tools", "images", "turn", "input_tokens")
BYTES_PER_TOKEN: Final = 4.0  # where predictions of input tokens begin; the predictor learns the ratio


class Batch(Struct, frozen=True, kw_only=True):
    """Requests as columns: `text` (n, text features) and one array (n,) for each scalar a request may have."""

    text: Array
    scalars: dict[str, Array]

    def __len__(self) -> int:
        return len(self.text)

    @classmethod
    def of(cls, requests: Sequence[Request]) -> Batch:
        """Take the features of requests; the same as at the door and in training."""
        text = np.array([text_features(request.text) for request in requests], dtype=np.float32)
        names = {*SCALARS, *(name for request in requests for name in request.tags)}
        scalars = {name: np.array([request.scalar(name) for request in requests], dtype=object) for name in names}
        if any(request.embedding is not None for request in requests):
            scalars[embedding.NAME] = embedding.held(request.embedding for request in requests)
        return cls(text=text.reshape(len(requests), len(TEXT_FEATURES)), scalars=scalars)


class Candidates(Struct, frozen=True, kw_only=True):
    """What is predicted of each endpoint: every array is (..., K); NaN where nothing is known.

    `eligible` says which endpoints may be chosen at all. `failure` is the predicted probability that a call fails, None
    where no predictor says it. `view` is live state, the same for all requests; None where there is none, as in a
    replay. `incumbent` (...) is the place of the endpoint that served the conversation's last turn, -1 for none.
    `routes` names each request's route, for policies that learn by it.
    """

    endpoints: tuple[str, ...]
    quality: Array
    quality_low: Array
    cost_usd: Array
    cost_p90_usd: Array
    latency_s: Array
    latency_p90_s: Array
    eligible: Array
    failure: Array | None = None
    view: View | None = None
    incumbent: Array | None = None
    routes: tuple[str | None, ...] | None = None


class Predictor:
    """Evaluates a snapshot's predictors: the one seam where a faster engine takes over."""

    def __init__(self, snapshot: Snapshot, *, tables_only: bool = False) -> None:
        self.snapshot = snapshot
        self.tables_only = tables_only  # the category-table baseline, from the same file
        manifest = snapshot.manifest
        self._codes = {
            name: {value: code for code, value in enumerate(values)} for name, values in manifest.categories.items()
        }
        self._codes[embedding.NAME] = {"": embedding.width_of(column.name for column in manifest.columns)}
        self._input_usd = np.array([_number(endpoint.input_usd) for endpoint in manifest.endpoints])
        self._output_usd = np.array([_number(endpoint.output_usd) for endpoint in manifest.endpoints])

    def candidates(self, batch: Batch) -> Candidates:
        """Predict every endpoint for every request: arrays (n, K)."""
        rows = self.rows(batch)
        route = column_values(batch, Column("route", "request", "category"), self._codes)
        values = {name: self._value(head, rows, route) for name, head in self.snapshot.heads.items()}
        empty = np.full((len(batch), len(self.snapshot.endpoints)), np.nan)
        quality = values.get("quality", empty)
        median, p90 = values.get("latency_s", empty), values.get("latency_p90_s", empty)
        cost, cost_p90 = self._costs(batch, values, empty)
        return Candidates(
            endpoints=self.snapshot.endpoints,
            quality=quality,
            quality_low=self._quality_low(quality),
            cost_usd=cost,
            cost_p90_usd=np.fmax(cost, cost_p90),
            latency_s=median,
            latency_p90_s=np.maximum(median, p90),
            eligible=np.ones(empty.shape, dtype=bool),
        )

    def rows(self, batch: Batch) -> Array:
        """Lay out the forests' input: (n * K, columns), endpoints varying fastest."""
        columns, endpoints = self.snapshot.manifest.columns, self.snapshot.endpoint_rows
        rows = np.tile(endpoints, (len(batch), 1))
        for index, column in enumerate(columns):
            if column.owner == "request":
                rows[:, index] = np.repeat(column_values(batch, column, self._codes), len(endpoints))
        return rows

    def _value(self, head: Head, rows: Array, route: Array) -> Array:
        value = head.table.lookup(route)
        if head.forest is not None and not self.tables_only:
            value = value + head.forest.raw(rows).reshape(value.shape) + head.offset
        linked: Array = np.exp(np.clip(value, -50, 50)) if head.spec.link == "exp" else 1.0 / (1.0 + np.exp(-value))
        return linked

    def _costs(self, batch: Batch, values: dict[str, Array], empty: Array) -> tuple[Array, Array]:
        """Price predicted tokens; where the logs carried dollars but no tokens, dollars were learned themselves."""
        if "cost_usd" in values:
            return values["cost_usd"] * self._scale("cost_usd"), values.get("cost_usd_p90", empty)
        tokens_in = self._input_tokens(batch, values.get("input_tokens", empty)) * self._input_usd
        tokens_out, tokens_p90 = values.get("output_tokens", empty), values.get("output_tokens_p90", empty)
        mean = tokens_in + tokens_out * self._scale("output_tokens") * self._output_usd
        return mean, tokens_in + np.maximum(tokens_out, tokens_p90) * self._output_usd

    def _input_tokens(self, batch: Batch, ratio: Array) -> Array:
        estimated = (np.expm1(batch.text[:, [_BYTES_LOG]].astype(np.float64)) / BYTES_PER_TOKEN + 1) * ratio
        known = numbers(batch.scalars["input_tokens"])[:, None] if "input_tokens" in batch.scalars else np.nan
        return np.where(np.isfinite(known) & (known >= 0), known, estimated)

    def _scale(self, name: str) -> Array:
        head = self.snapshot.heads.get(name)
        if head is None:
            return np.ones(len(self.snapshot.endpoints))
        scale: Array = head.scale[0 if self.tables_only or head.forest is None else 1]
        return scale

    def _quality_low(self, quality: Array) -> Array:
        which = np.searchsorted(self.snapshot.margin_edges, quality)
        margin = self.snapshot.margins[np.arange(quality.shape[1]), which]
        low: Array = np.clip(quality - margin, 0.0, 1.0)
        return low


def column_values(batch: Batch, column: Column, codes: dict[str, dict[str, int]]) -> Array:
    """Give one request column's numbers (n,): text features, scalars, or category codes; NaN = not known."""
    if column.name in _TEXT_INDEX:
        return batch.text[:, _TEXT_INDEX[column.name]].astype(np.float64)
    values = batch.scalars.get(column.name)
    if values is None and column.name.startswith(embedding.PREFIX) and embedding.NAME in batch.scalars:
        return embedding.value_at(batch.scalars[embedding.NAME], column.name, codes.get(embedding.NAME, {}).get("", 0))
    if values is None:
        return np.full(len(batch), np.nan)
    if column.kind == "category":
        known = codes.get(column.name, {})
        codes_of = [known.get(value, np.nan) if isinstance(value, str) else np.nan for value in values]
        return np.array(codes_of, dtype=np.float64)
    return numbers(values)


def numbers(values: Array) -> Array:
    """Read an object array as float64: NaN for None and for what is no number, since a caller may send anything."""
    return np.array([np.nan if value is None else _float(value) for value in values], dtype=np.float64)


def _float(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return float("nan")


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
