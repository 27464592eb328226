"""What every endpoint would have answered to every request, read back, and what a policy is truly worth by it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from fairlead.errors import ReadError
from fairlead.evaluation.simulate.world import Floats

__all__ = ["Truth", "Value", "true_value", "truth_arrays"]


class Truth(NamedTuple):
    """Arrays of shape (requests, endpoints); NaN where it is not known."""

    quality: Floats
    cost_usd: Floats
    duration_s: Floats
    available_share: Floats | None = None  # the chance that a first try is answered there and then; None: not asked


class Value(NamedTuple):
    """What a policy is worth: means over requests of what it would be answered; NaN where it is not known.

    `answered_share` is the share of its first tries that would be answered; the rest would be tried again or elsewhere.
    """

    quality: float
    cost_usd: float
    duration_s: float
    answered_share: float = math.nan


def truth_arrays(path: Path, request_ids: Sequence[str], endpoints: Sequence[str]) -> Truth:
    """Read a truth file as arrays whose rows are `request_ids` and whose columns are `endpoints`.

    Raises ReadError when the file does not hold one of them.
    """
    try:
        held = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as fault:
        raise ReadError(f"{path}: not a readable truth file ({fault}); `fairlead simulate` writes one") from fault
    shape = (len(request_ids), len(endpoints))
    wanted = pl.DataFrame(
        {
            "request_id": pl.Series(list(request_ids), dtype=pl.String).gather(
                pl.Series(np.repeat(np.arange(shape[0]), shape[1]))
            ),
            "endpoint": pl.Series(list(endpoints), dtype=pl.String).gather(
                pl.Series(np.tile(np.arange(shape[1]), shape[0]))
            ),
        }
    )
    cells = wanted.join(held, on=["request_id", "endpoint"], how="left", maintain_order="left")
    lost = cells.filter(pl.col("quality").is_null())
    if not lost.is_empty():
        request_id, endpoint = lost.select("request_id", "endpoint").row(0)
        raise ReadError(f"{path}: no truth for request {request_id} at {endpoint}; is it from another simulation?")
    names = ("quality", "cost_usd", "duration_s", "available_share")
    return Truth(
        *(
            cells[name].cast(pl.Float64).fill_null(math.nan).to_numpy().reshape(shape)
            for name in names
            if name in cells.columns  # a truth from before there were outages in it has no available_share
        )
    )


def true_value(truth: Truth, probabilities: Floats) -> Value:
    """Give the true value of a policy that chooses with these probabilities, aligned with `truth`.

    >>> truth = Truth(np.array([[1.0, 0.0]]), np.array([[0.02, 0.01]]), np.array([[3.0, 1.0]]))
    >>> true_value(truth, np.array([[0.5, 0.5]]))
    Value(quality=0.5, cost_usd=0.015, duration_s=2.0, answered_share=nan)
    """
    # An endpoint that is never chosen may be unknown: 0 x NaN would make the policy unknown too.
    return Value(
        *(
            float(np.where(probabilities > 0, probabilities * cells, 0).sum(axis=1).mean())
            for cells in truth
            if cells is not None
        )
    )
