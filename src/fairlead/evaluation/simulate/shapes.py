"""How long requests and answers are, and how bursty they come: traces that a made-up log can be shaped after.

Quantiles (at traffic.FINE) of tokens in, tokens out and the gaps between requests against their mean; facts from
Azure's 2023 traces (CC-BY 4.0) and Mooncake's FAST'25 conversations (Apache-2.0). Lengths keep their order: a request
that is longer than another stays so, and endpoints keep their differences.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from fairlead.errors import ReadError, UsageError
from fairlead.evaluation.simulate.traffic import FINE, draw
from fairlead.evaluation.simulate.world import Floats, World, list_cost

__all__ = ["SHAPES", "Shape", "shape_of", "shaped"]

Table = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Shape:
    """Quantiles of tokens in and out, and of gaps against their mean."""

    tokens_in: Table
    tokens_out: Table
    gaps: Table | None


SHAPES: Final = {
    "azure-conv": Shape(
        (
            *(29, 181, 207, 372, 387, 396, 403, 414, 703, 984, 1020, 1045),
            *(1071, 1097, 1130, 1189, 1315, 1876, 2734, 4083, 4098, 4142, 6179),
        ),
        (
            *(16, 41, 54, 67, 77, 85, 91, 96, 103, 113, 129, 151),
            *(177, 217, 384, 395, 400, 411, 424, 451, 540, 601, 954),
        ),
        (
            *(0.003021, 0.03495, 0.08928, 0.1461, 0.202, 0.267, 0.3358, 0.4062, 0.4825, 0.5637, 0.6549, 0.761),
            *(0.8775, 1.013, 1.181, 1.364, 1.597, 1.913, 2.326, 3.126, 4.144, 4.92, 7.804),
        ),
    ),
    "azure-code": Shape(
        (
            *(17, 75, 147, 232, 385.6, 578, 770, 938.6, 1075, 1261, 1469, 1690),
            *(1909, 2164, 2433, 2744, 3192, 3920, 5188, 7303, 7436, 7436, 7437),
        ),
        (
            *(6, 6, 7, 7, 8, 9, 9, 10, 11, 12, 13, 14),
            *(16, 18, 20, 24, 29, 39, 55, 90, 170.9, 251.5, 825.3),
        ),
        (
            *(
                0.0001,
                0.0002258,
                0.0005364,
                0.002271,
                0.003039,
                0.005331,
                0.008449,
                0.01372,
                0.03876,
                0.09808,
                0.1637,
                0.2298,
            ),
            *(0.2438, 0.2514, 0.257, 0.2669, 0.4108, 0.5103, 0.7003, 1.029, 2.05, 5.659, 203.3),
        ),
    ),
    "mooncake": Shape(
        (
            *(894, 901, 964, 1261, 1662, 2306, 3263, 4251, 4993, 5870, 6909, 8187),
            *(9570, 11240, 13200, 15370, 17870, 21460, 27370, 39550, 66450, 85400, 121300),
        ),
        (
            *(3, 10, 24, 46, 100, 156.5, 213, 256, 291, 322.5, 350, 375),
            *(399, 423, 447, 472, 504, 543, 597, 698, 891.8, 1119, 2000),
        ),
        None,  # its moments are rounded to ticks of three seconds
    ),
}
_FILES: Final = {
    "azure-conv": ("azure-llm-inference-2023/trace.parquet", "service", "conv"),
    "azure-code": ("azure-llm-inference-2023/trace.parquet", "service", "code"),
    "mooncake": ("mooncake-fast25/trace.parquet", "trace", "conversation"),
}
_COLUMNS: Final = {"timestamp_ms": "timestamp", "input_length": "input_tokens", "output_length": "output_tokens"}


def shape_of(name: str, traces: Path | None) -> Shape | None:
    """Give a shape by name, from a folder of traces or built in; None for `words`, which is the world's own."""
    if name == "words":
        return None
    if name not in SHAPES:
        raise UsageError(f"no lengths {name!r}; choose from words, {', '.join(SHAPES)}")
    return SHAPES[name] if traces is None else _read(traces, name)


def shaped(world: World, shape: Shape | None) -> World:
    """Give a world whose tokens in and out are distributed as the shape says; costs follow."""
    if shape is None:
        return world
    tokens_in = _matched(world.tokens_in.astype(np.float64), shape.tokens_in)
    tokens_out = _matched(world.tokens_out.astype(np.float64), shape.tokens_out)
    made = replace(world, tokens_in=tokens_in.astype(np.int64), tokens_out=tokens_out.astype(np.int64))
    cost = np.round(world.cost_usd * made.tokens_out / np.maximum(world.tokens_out, 1), 12)
    for place, one in enumerate(world.endpoints):
        if one.priced:
            cost[:, place] = list_cost(one, made.tokens_in[:, place], made.tokens_out[:, place])
    return replace(made, cost_usd=cost)


def _matched(tokens: Floats, table: Table) -> Floats:
    flat = tokens.ravel()
    rank = np.empty(len(flat))
    rank[np.argsort(flat, kind="stable")] = (np.arange(len(flat)) + 0.5) / len(flat)
    return np.maximum(np.rint(draw(table, rank, FINE)), 1).reshape(tokens.shape)


def _read(folder: Path, name: str) -> Shape:
    file, column, value = _FILES[name]
    try:
        calls = pl.read_parquet(folder / file).filter(pl.col(column) == value)
    except (OSError, pl.exceptions.PolarsError) as fault:
        raise ReadError(
            f"{folder / file}: not readable ({fault}); leave the traces out to use the built-in shapes"
        ) from fault
    calls = calls.rename(_COLUMNS, strict=False).sort("timestamp")
    lengths = [_quantiles(calls[name].to_numpy()) for name in ("input_tokens", "output_tokens")]
    if SHAPES[name].gaps is None:
        return Shape(lengths[0], lengths[1], None)
    gaps = calls["timestamp"].cast(pl.Int64).diff().drop_nulls().to_numpy().astype(np.float64)
    return Shape(lengths[0], lengths[1], _quantiles(gaps / gaps.mean()))


def _quantiles(values: Floats) -> Table:
    return tuple(float(f"{max(float(one), 1e-4):.4g}") for one in np.quantile(values, FINE))
