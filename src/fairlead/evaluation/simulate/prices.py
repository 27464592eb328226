"""Contract prices: found again from what a matrix's calls cost, and written the way the price catalogue is."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Final

import numpy as np

from fairlead.evaluation.simulate.world import Endpoint, Floats, Integers
from fairlead.ingest.pricefile import PriceRow, write_rows

__all__ = ["infer", "write"]

_MAX_RELATIVE_ERROR: Final = 0.01  # a price that is further off than this at the median call is no price


def infer(cost_usd: Floats, tokens_in: Integers, tokens_out: Integers) -> tuple[float, float] | None:
    """Find the two prices (USD per million tokens) behind the costs of an endpoint's calls.

    None when fewer than eight calls have cost and tokens, or when no two prices explain the costs: flat fees, hidden
    tokens and prices per character do that, and a wrong price would be worse than none.
    """
    known = np.isfinite(cost_usd) & (tokens_in > 0) & (tokens_out >= 0) & (cost_usd > 0)
    if known.sum() < 8:
        return None
    design = np.column_stack([tokens_in[known], tokens_out[known]]) / 1e6
    cost = cost_usd[known]
    prices = _robust(design, cost)
    if (prices < 0).any():  # one of the two does not show in the costs
        shown = int(np.argmax(prices))
        prices = np.zeros(2)
        prices[shown] = np.median(cost / np.maximum(design[:, shown], 1e-12))
    tidy = np.round(prices, 4)  # real price lists do not go further
    best = tidy if _error(design, cost, tidy) <= max(_error(design, cost, prices), 1e-6) else np.round(prices, 9)
    return (float(best[0]), float(best[1])) if _error(design, cost, best) <= _MAX_RELATIVE_ERROR else None


def write(path: Path, changes: Iterable[tuple[datetime, Endpoint]], retrieved_at: datetime, version: str) -> None:
    """Write contract prices as a price file: a row for each price, valid from the moment beside it.

    An unpriced endpoint has no row.
    """
    write_rows(
        path,
        [
            PriceRow(
                provider_name=one.provider,
                model=one.model,
                valid_from=valid_from,
                input=_decimal(one.input_usd),
                output=_decimal(one.output_usd),
                context_window=one.context_window,
                max_output_tokens=one.max_output_tokens,
                catalog="contract",
                catalog_version=version,
                retrieved_at=retrieved_at,
            )
            for valid_from, one in changes
            if one.priced
        ],
        acknowledged=True,  # a matrix costs what it did in its day, which may be far off today's list
    )


def _robust(design: Floats, cost: Floats) -> Floats:
    kept = np.ones(len(cost), dtype=bool)
    prices: Floats = np.zeros(2)
    for _ in range(4):  # least trimmed squares: refit on the calls that the last fit explains best
        weight = 1 / cost[kept]  # relative errors, so that long calls do not drown short ones
        fitted = np.linalg.lstsq(design[kept] * weight[:, None], np.ones(int(kept.sum())), rcond=None)[0]
        prices = np.asarray(fitted, dtype=np.float64)
        residual = np.abs(design @ prices - cost) / cost
        kept = residual <= max(float(np.quantile(residual, 0.8)), 1e-12)
    return prices


def _error(design: Floats, cost: Floats, prices: Floats) -> float:
    return float(np.median(np.abs(design @ prices - cost) / cost))


def _decimal(price: float | None) -> Decimal | None:
    return None if price is None else Decimal(np.format_float_positional(price, trim="-"))
