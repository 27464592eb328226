"""Predicted quality, cost and latency of every endpoint for a request, from a snapshot alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from msgspec import Struct

from fairlead.errors import UsageError
from fairlead.scoring import embedding
from fairlead.scoring import text as texts
from fairlead.scoring.engine import Engine
from fairlead.scoring.forest import Forests
from fairlead.scoring.heads import PREDICTED, Heads
from fairlead.scoring.manifest import Column
from fairlead.scoring.quality import DenseQuality
from fairlead.scoring.request import TEXT_FEATURES, Request
from fairlead.scoring.row import BYTES_PER_TOKEN, Layout, number
from fairlead.scoring.snapshot import Snapshot
from fairlead.scoring.view import View

__all__ = ["Batch", "Candidates", "Predictor", "base_tokens", "column_values"]

Array = np.ndarray[Any, Any]

_BYTES_LOG: Final = TEXT_FEATURES.index("text_bytes_log")
_TEXT_INDEX: Final = {name: index for index, name in enumerate(TEXT_FEATURES)}
_NO_WORDS: Final = np.zeros(0, np.uint64)
# What a request may say of itself beside its text; app, key and template, which have no field, are sent in its tags.
SCALARS: Final = (
    *("route", "team", "app", "key", "template", "tools", "toolset", "response_format", "images", "turn"),
    *("max_tokens", "input_tokens", "hour"),
)


class Batch(Struct, frozen=True, kw_only=True):
    """Requests as columns: `text` (n, text features) and one array (n,) for each scalar a request may have."""

    text: Array
    scalars: dict[str, Array]
    words: tuple[Array, ...] | None = None  # hashes of each text's words; None where texts were not kept

    def __len__(self) -> int:
        return len(self.text)

    @classmethod
    def of(cls, requests: Sequence[Request]) -> Batch:
        """Take the features of requests; the same as at the door and in training."""
        read = [texts.read(request.text) for request in requests]
        text = np.array([features for features, _ in read], dtype=np.float32)
        names = {*SCALARS, *(name for request in requests for name in request.tags)}
        scalars = {name: np.array([request.scalar(name) for request in requests], dtype=object) for name in names}
        if any(request.embedding is not None for request in requests):
            scalars[embedding.NAME] = embedding.held(request.embedding for request in requests)
        words = tuple(hashes for _, hashes in read)
        return cls(text=text.reshape(len(requests), len(TEXT_FEATURES)), scalars=scalars, words=words)


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
    """Evaluates a snapshot's predictors; `says_failure` where the chance that a call fails is among them.

    `tables_only` gives the category-table baseline from the same file. `kind` is the engine's, see `engine.Engine`.
    """

    def __init__(self, snapshot: Snapshot, *, tables_only: bool = False, kind: str | None = None) -> None:
        self.snapshot = snapshot
        self.tables_only = tables_only
        manifest = snapshot.manifest
        self._codes = {
            name: {value: code for code, value in enumerate(values)} for name, values in manifest.categories.items()
        }
        self._codes[embedding.NAME] = {"": embedding.width_of(column.name for column in manifest.columns)}
        self._heads = Heads.of(snapshot, tables_only=tables_only)
        forests = Forests.empty(len(manifest.columns)) if tables_only else snapshot.forests
        self.engine = Engine(forests, manifest.columns, snapshot.endpoint_rows, kind=kind)
        self._layout = Layout(manifest.columns, self._codes)
        self._route = next((place for place, one in enumerate(manifest.columns) if one.name == "route"), None)
        dense = None if tables_only else snapshot.parts.dense
        self._dense = None if dense is None else DenseQuality(dense, snapshot.parts.projection)
        # Quality is the mean of its learners: the networks, and the forest where one is served.
        self.says_failure = "failure" in snapshot.heads
        members = 0 if dense is None else len(dense.heads)
        self._by_dense = members / (members + ("quality" in snapshot.forest_heads)) if members else 0.0

    def candidates(self, batch: Batch, *, threads: int = 1) -> Candidates:
        """Predict every endpoint for every request: arrays (n, K)."""
        columns = self.snapshot.manifest.columns
        rows = np.full((len(batch), len(columns)), np.nan)
        for index, column in enumerate(columns):
            if column.owner == "request":
                rows[:, index] = column_values(batch, column, self._codes)
        route = column_values(batch, Column("route", "request", "category"), self._codes)
        counted = batch.scalars.get("input_tokens")
        predicted = self._heads.predict(
            self.engine.raw_batch(rows, threads=threads),
            self._heads.table_row(route),
            np.full(len(batch), np.nan) if counted is None else numbers(counted),
            base_tokens(batch.text),
        )
        if self._dense is not None:
            if batch.words is None and self._dense.reads_text:
                raise UsageError("this snapshot predicts quality from texts, and these requests come without theirs")
            words = [_NO_WORDS] * len(batch) if batch.words is None else batch.words
            said = np.array([self._dense.of(*pair) for pair in zip(words, rows, strict=True)], dtype=np.float32)
            own = self._dense.dense
            said, share = said.reshape(predicted.shape[1:]), own.share_at(self._heads.table_row(route))
            self._heads.blend(predicted, said, self._by_dense, own.mean, share)
        found = dict(zip(PREDICTED, predicted, strict=True))
        if not self.says_failure:
            del found["failure"]
        return Candidates(
            endpoints=self.snapshot.endpoints,
            **found,
            eligible=np.ones(predicted.shape[1:], dtype=bool),
        )

    def predict(self, request: Request) -> Array:
        """Predict every endpoint for one request, as `candidates` does for many: (7, K), in the order of PREDICTED."""
        row, route, guess, words = self._layout.row(request)
        counted = number(request.scalar("input_tokens"))
        predicted = self.one(row, route=route, input_tokens=counted, base_tokens=guess)
        if self._dense is not None:
            share = self._dense.dense.share_of(route)
            self._dense.join(predicted, words, row, self._heads, self._by_dense, share)
        return predicted

    def predict_many(self, requests: Sequence[Request]) -> Array:
        """Predict for many requests, each to the bit as `predict` does, in less time: (7, n, K)."""
        laid = [self._layout.row(request) for request in requests]
        last = len(self._heads.tables) - 1
        at = np.array([int(route) if 0 <= route < last else last for _, route, _, _ in laid], dtype=np.int64)
        counted = np.array([number(request.scalar("input_tokens")) for request in requests])
        guess = np.array([tokens for _, _, tokens, _ in laid])
        predicted = self.engine.predict_many(self._heads, np.array([row for row, *_ in laid]), at, (counted, guess))
        if self._dense is not None:
            for place, (row, route, _, words) in enumerate(laid):
                one = predicted[:, place].copy()
                self._dense.join(one, words, row, self._heads, self._by_dense, self._dense.dense.share_of(route))
                predicted[:, place] = one
        return predicted

    @property
    def has_networks(self) -> bool:
        """Whether networks have a say in quality."""
        return self._dense is not None

    @property
    def reads_text(self) -> bool:
        """Whether quality depends on a text's words beside its columns."""
        return self._dense is not None and self._dense.reads_text

    def quality(self, row: Array, words: Array) -> Array:
        """Give the quality at every endpoint (K,) as all learners say it together: for a row, and hashes of words."""
        route = float(row[self._route]) if self._route is not None else math.nan
        predicted = self.one(row, route=route)
        if self._dense is not None:
            self._dense.join(predicted, words, row, self._heads, self._by_dense, self._dense.dense.share_of(route))
        quality: Array = predicted[0]
        return quality

    def one(
        self,
        row: Array,
        *,
        route: float = math.nan,
        input_tokens: float = math.nan,
        base_tokens: float = 1.0,
        added: Array | None = None,
    ) -> Array:
        """Predict every endpoint for one request: (7, K), in the order of PREDICTED; the fast way for a decision.

        row is (columns,) float64 in the order of the manifest's columns, of which only the request's are read; `route`
        is the route's code, NaN where it has none. `input_tokens` are those the caller counted, `base_tokens` is what
        `base_tokens` says of the text. `added` (H, K) is added to the forests' sums, where other learners have a say.
        """
        heads = self._heads
        last = len(heads.tables) - 1
        at = int(route) if 0 <= route < last else last
        return self.engine.predict(heads, row, at, (input_tokens, base_tokens), added)

    def rows(self, batch: Batch) -> Array:
        """Lay out the forests' input: (n * K, columns), endpoints varying fastest."""
        columns, endpoints = self.snapshot.manifest.columns, self.snapshot.endpoint_rows
        rows = np.tile(endpoints, (len(batch), 1))
        for index, column in enumerate(columns):
            if column.owner == "request":
                rows[:, index] = np.repeat(column_values(batch, column, self._codes), len(endpoints))
        return rows


def base_tokens(text: Array) -> Array:
    """Guess input tokens from the text's length alone: text features (n, features) -> (n,)."""
    guess: Array = np.expm1(text[:, _BYTES_LOG].astype(np.float64)) / BYTES_PER_TOKEN + 1
    return guess


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
    if values.dtype.kind == "f":
        return values.astype(np.float64)
    return np.array([number(value) for value in values], dtype=np.float64)
