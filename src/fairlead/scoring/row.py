"""One request laid out as the forests' row, the fast way; `predict.Batch` does the same for many."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from fairlead.scoring import embedding, text
from fairlead.scoring.manifest import Column
from fairlead.scoring.request import TEXT_FEATURES, Request

__all__ = ["BYTES_PER_TOKEN", "Layout", "number"]

Array = np.ndarray[Any, Any]

BYTES_PER_TOKEN: Final = 4.0  # where predictions of input tokens begin; the predictor learns the ratio
_TEXT: Final = {name: place for place, name in enumerate(TEXT_FEATURES)}
_BYTES_LOG: Final = _TEXT["text_bytes_log"]


class Layout:
    """Knows where each value of a request belongs in a snapshot's columns.

    >>> layout = Layout([Column("route", "request", "category"), Column("tools", "request")], {"route": {"maths": 0}})
    >>> layout.row(Request(route="maths", tools=2))[0].tolist()
    [0.0, 2.0]
    """

    def __init__(self, columns: Sequence[Column], codes: Mapping[str, Mapping[str, int]]) -> None:
        self._blank = np.full(len(columns), np.nan)
        self._routes = codes.get("route", {})
        asked = [(place, column) for place, column in enumerate(columns) if column.owner == "request"]
        self._text = _places([(place, _TEXT[one.name]) for place, one in asked if one.name in _TEXT])
        vector = {f"{embedding.PREFIX}{at}": at for at in range(embedding.width_of(one.name for one in columns))}
        self._width = len(vector)
        self._vector = [(place, vector[one.name]) for place, one in asked if one.name in vector]
        self._own = [
            (place, one.name, codes.get(one.name, {}) if one.kind == "category" else None)
            for place, one in asked
            if one.name not in _TEXT and one.name not in vector
        ]

    def row(self, request: Request) -> tuple[Array, float, float, Array]:
        """Give the row (columns,), the route's code, the guessed input tokens, and the hashes of the text's words."""
        features, words = text.read(request.text)
        row = self._blank.copy()
        if self._text is not None:
            row[self._text[0]] = features[self._text[1]]
        for place, name, codes in self._own:
            value = request.scalar(name)
            if value is not None:
                row[place] = number(value) if codes is None else _code(value, codes)
        if self._vector and request.embedding is not None and len(request.embedding) == self._width:
            for place, at in self._vector:
                row[place] = number(request.embedding[at])
        guess = math.expm1(features[_BYTES_LOG]) / BYTES_PER_TOKEN + 1
        return row, _code(request.scalar("route"), self._routes), guess, words


def number(value: Any) -> float:
    """Give a number that a caller sent; NaN for what is none."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _code(value: Any, codes: Mapping[str, int]) -> float:
    return codes.get(value, math.nan) if isinstance(value, str) else math.nan


def _places(pairs: list[tuple[int, int]]) -> tuple[Any, Any] | None:
    """Give where to write and where to read from, as slices where both run on: a slice costs a tenth."""
    if not pairs:
        return None
    to, source = (np.array(side) for side in zip(*pairs, strict=True))
    if (np.diff(to) == 1).all() and (np.diff(source) == 1).all():
        return slice(int(to[0]), int(to[-1]) + 1), slice(int(source[0]), int(source[-1]) + 1)
    return to, source
