"""The projection of a text and the networks behind it, compiled and fused: only where numba is installed."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from fairlead.scoring.text import tables
from fairlead.scoring.text.kernels import jit

__all__ = ["predict", "project"]

_JOIN: Final = np.uint64(tables.JOIN)


@jit
def project(words: Any, rows: Any, idf: Any, out: Any) -> None:
    """Write the vector of a text's words to `out` (d,)."""
    buckets, width = rows.shape
    bits = 0
    while (1 << bits) < buckets:
        bits += 1
    shift = np.uint64(64 - bits)
    many = len(words)
    grams = np.empty(max(2 * many - 1, 0), np.uint32)
    counts = np.zeros(buckets, np.uint16)
    for index in range(len(grams)):
        code = words[index] if index < many else words[index - many] * _JOIN + words[index - many + 1]
        bucket = np.uint32(code >> shift)
        grams[index] = bucket
        counts[bucket] += np.uint16(counts[bucket] < 65535)
    for column in range(width):
        out[column] = 0.0
    for index in range(len(grams)):
        bucket = grams[index]
        count = counts[bucket]
        if count == 0:
            continue
        counts[bucket] = 0
        weight = np.float32(1.0 + math.log(float(count))) * idf[bucket]
        for column in range(width):
            out[column] += weight * rows[bucket, column]
    square = np.float32(0)
    for column in range(width):
        square += out[column] * out[column]
    if square > 0:
        norm = np.float32(math.sqrt(square))
        for column in range(width):
            out[column] /= norm


@jit
def predict(words: Any, columns: Any, rows: Any, idf: Any, inputs: Any, layout: Any, values: Any, out: Any) -> None:
    """Write the networks' mean quality to `out` (K,) float32.

    `values` holds each network's center, scale, layers and Platt constants; `layout` the number of networks and, for
    each, its layers and their (outputs, relu).
    """
    many = len(inputs)
    endpoints = len(out)
    projected = np.empty(rows.shape[1], np.float32)
    if rows.shape[1] > 0:
        project(words, rows, idf, projected)
    raw = np.empty(many, np.float32)
    for index in range(many):
        column, code = inputs[index, 0], inputs[index, 1]
        if column < 0:
            raw[index] = projected[code]
        else:
            own = np.float32(columns[column])
            if code < 0 or math.isnan(own):
                raw[index] = own
            else:
                raw[index] = np.float32(1.0) if own == np.float32(code) else np.float32(0.0)
    for endpoint in range(endpoints):
        out[endpoint] = 0.0
    at = 0
    place = 1
    heads = layout[0]
    for _ in range(heads):
        value = np.empty(many, np.float32)
        for index in range(many):
            standard = (raw[index] - values[at + index]) * values[at + many + index]
            value[index] = standard if math.isfinite(standard) else np.float32(0.0)
        at += 2 * many
        layers = layout[place]
        place += 1
        for _ in range(layers):
            width, relu = layout[place], layout[place + 1]
            place += 2
            size = (len(value) + 1) * width
            value = _layer(value, values[at : at + size], width, relu)
            at += size
        for endpoint in range(endpoints):
            odds = value[endpoint] * values[at + endpoint] + values[at + endpoints + endpoint]
            odds = min(max(odds, np.float32(-50.0)), np.float32(50.0))
            out[endpoint] += np.float32(1.0 / (1.0 + math.exp(-odds))) / np.float32(heads)
        at += 2 * endpoints


@jit
def _layer(value: Any, constants: Any, width: Any, relu: Any) -> Any:
    """Give bias + value @ weights, row by row, so that inputs of 0 cost nothing and the rest runs as vectors."""
    out = np.empty(width, np.float32)
    for column in range(width):
        out[column] = constants[column]
    for index in range(len(value)):
        factor = value[index]
        if factor != 0:
            at = (index + 1) * width
            for column in range(width):
                out[column] += factor * constants[at + column]
    if relu:
        for column in range(width):
            out[column] = max(out[column], np.float32(0))
    return out
