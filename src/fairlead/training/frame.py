"""What predictors learn from: logged requests as arrays, one row an attempt."""

from __future__ import annotations

from typing import Any, Final, Protocol

import msgspec
import numpy as np
from msgspec import Struct

from fairlead.scoring import embedding
from fairlead.scoring.manifest import Column
from fairlead.scoring.predict import Batch, column_values
from fairlead.scoring.request import TEXT_FEATURES
from fairlead.scoring.row import BYTES_PER_TOKEN

__all__ = ["Frame", "folds_of"]

Array = np.ndarray[Any, Any]
_BYTES_LOG: Final = TEXT_FEATURES.index("text_bytes_log")
_TYPICAL_ROWS: Final = 20_000  # rows that the typical request is read from, evenly spread


class Vocabulary(Protocol):
    """What arrays are indexed by: endpoints, columns and categories."""

    endpoints: list[str]
    providers: list[str]
    models: list[str]
    columns: list[Column]
    categories: dict[str, list[str]]


class Frame(Struct, frozen=True, kw_only=True):
    """Rows to learn from: (n,) arrays beside a batch of n requests, over K endpoints.

    `endpoint` holds indexes into `endpoints`. `targets` are NaN where nothing was observed. `state` holds what was
    known of the row's endpoint at its start, `state_now` (K,) the same at the end. `group` is equal for equal
    prompts, so that no prompt is learned from and judged on. `propensity` is NaN where it was not logged.
    """

    ids: Array
    batch: Batch
    endpoint: Array
    endpoints: tuple[str, ...]
    providers: tuple[str, ...]
    models: tuple[str, ...]
    columns: list[Column]
    categories: dict[str, list[str]]
    targets: dict[str, Array]
    group: Array
    time: Array
    propensity: Array
    state: dict[str, Array]
    state_now: dict[str, Array]
    ended: Array | None = None  # when each attempt was over, in seconds; None where only its start is known
    regions: tuple[str, ...] = ()  # of the endpoints, "" where none is known
    hidden: frozenset[str] = frozenset()  # columns that the predictor at hand does not use
    weight: Array | None = None  # what each row's quality tells beside a label that is to be trusted: about 0 to 1
    sure: Array | None = None  # whether each row's quality is the word of people or tests, not of a judge alone
    tenant: Array | None = None  # codes into `tenants` of who sent the request, -1 where that is not known
    tenants: tuple[str, ...] = ()
    askable: Array | None = None  # whether a label could have come by now
    preferred: Array | None = None  # (K,) ability of each endpoint where answers were compared, NaN where none was
    said: tuple[str, ...] = ()  # what there is to know of the labels, in words

    def __len__(self) -> int:
        return len(self.endpoint)

    @property
    def routes(self) -> int:
        """How many routes are known."""
        return len(self.categories.get("route", []))

    @property
    def route(self) -> Array:
        """Code of each row's route, NaN where it has none."""
        return column_values(self.batch, Column("route", "request", "category"), self.codes)

    @property
    def base_tokens(self) -> Array:
        """Input tokens as the length of the text alone suggests them."""
        base: Array = np.expm1(self.batch.text[:, _BYTES_LOG].astype(np.float64)) / BYTES_PER_TOKEN + 1
        return base

    def endpoint_rows(self) -> Array:
        """Give (K, columns): each endpoint's own and state columns as of now, NaN for request columns."""
        rows = np.full((len(self.endpoints), len(self.columns)), np.nan)
        for index, column in enumerate(self.columns):
            if column.name in self.hidden:
                continue
            if column.owner == "state":
                rows[:, index] = self.state_now[column.name]
            elif column.owner == "endpoint":
                codes = self.codes[column.name]
                values = self.endpoints if column.name == "endpoint" else self.providers
                rows[:, index] = [codes[value] for value in values]
        return rows

    def typical(self) -> Array:
        """Give the typical request (columns,): medians of numbers, most frequent categories; NaN elsewhere.

        A column that most requests do not have is NaN, for that is what is typical of it.
        """
        row = np.full(len(self.columns), np.nan)
        part = self.take(np.unique(np.linspace(0, max(len(self) - 1, 0), _TYPICAL_ROWS).astype(np.int64)))
        codes = self.codes
        for index, column in enumerate(self.columns):
            if column.owner == "request" and len(part):
                row[index] = _typical(column_values(part.batch, column, codes), column.kind)
        return row

    def request_columns(self) -> Array:
        """Give what is known of each request (n, columns): NaN for columns of endpoints and their state."""
        out = np.full((len(self), len(self.columns)), np.nan)
        for place, column in enumerate(self.columns):
            if column.owner == "request" and column.name not in self.hidden:
                out[:, place] = column_values(self.batch, column, self.codes)
        return out

    def rows(self, index: Array | None = None) -> Array:
        """Give the forests' input (n, columns): each row with the endpoint that served it, state as of then.

        With `index` only those rows, so that many can be laid out a block at a time.
        """
        keep = slice(None) if index is None else index
        rows = self.endpoint_rows()[self.endpoint[keep]]
        batch = self.batch if index is None else _part(self.batch, index)
        codes = self.codes
        for place, column in enumerate(self.columns):
            if column.name in self.hidden:
                continue
            if column.owner == "request":
                rows[:, place] = column_values(batch, column, codes)
            elif column.owner == "state":
                rows[:, place] = self.state[column.name][keep]
        return rows

    def take(self, keep: Array) -> Frame:
        """Give the rows of a mask or of indexes, in order."""
        return msgspec.structs.replace(
            self,
            ids=self.ids[keep],
            batch=_part(self.batch, keep),
            endpoint=self.endpoint[keep],
            targets={name: values[keep] for name, values in self.targets.items()},
            group=self.group[keep],
            time=self.time[keep],
            ended=_taken(self.ended, keep),
            weight=_taken(self.weight, keep),
            sure=_taken(self.sure, keep),
            tenant=_taken(self.tenant, keep),
            askable=_taken(self.askable, keep),
            propensity=self.propensity[keep],
            state={name: values[keep] for name, values in self.state.items()},
        )

    def aligned(self, other: Vocabulary) -> Frame:
        """Give the rows whose endpoint `other` knows, in its vocabulary of endpoints, routes and columns."""
        codes = {name: code for code, name in enumerate(other.endpoints)}
        known = np.array([self.endpoints[code] in codes for code in self.endpoint], dtype=bool)
        part = self.take(known)
        return msgspec.structs.replace(
            part,
            endpoint=np.array([codes[self.endpoints[code]] for code in part.endpoint], dtype=np.int64),
            endpoints=tuple(other.endpoints),
            providers=tuple(other.providers),
            models=tuple(other.models),
            regions=(),
            preferred=None if self.preferred is None else _placed(self.preferred, self.endpoints, other.endpoints),
            columns=other.columns,
            categories=other.categories,
        )

    @property
    def codes(self) -> dict[str, dict[str, int]]:
        """Give the code of each category, by column; for an embedding, how long it is."""
        codes = {name: {value: code for code, value in enumerate(values)} for name, values in self.categories.items()}
        return {**codes, embedding.NAME: {"": embedding.width_of(column.name for column in self.columns)}}


def folds_of(group: Array, folds: int) -> Array:
    """Split rows into folds so that rows of one group stay together: (n,) of 0..folds-1, the same every time."""
    names, which = np.unique(group, return_inverse=True)
    order = np.random.default_rng(0).permutation(len(names))
    fold: Array = order[which] % folds
    return fold


def _placed(values: Array, names: tuple[str, ...], wanted: list[str]) -> Array:
    known = dict(zip(names, values, strict=True))
    return np.array([known.get(name, np.nan) for name in wanted])


def _taken(values: Array | None, keep: Array) -> Array | None:
    return None if values is None else values[keep]


def _part(batch: Batch, keep: Array) -> Batch:
    words = batch.words
    if words is not None:
        words = tuple(words[row] for row in np.arange(len(batch))[keep].tolist())
    scalars = {name: values[keep] for name, values in batch.scalars.items()}
    return Batch(text=batch.text[keep], scalars=scalars, words=words)


def _typical(values: Array, kind: str) -> float:
    known = values[np.isfinite(values)]
    if 2 * known.size <= values.size:
        return float("nan")
    if kind == "number":
        return float(np.median(known))
    codes, counts = np.unique(known, return_counts=True)
    return float(codes[np.argmax(counts)])
