"""From sums of leaves to what a policy reads: links, category tables, prices and margins, all heads at once."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from msgspec import Struct

from fairlead.scoring.dense import shrunk
from fairlead.scoring.snapshot import Snapshot

__all__ = ["HEADS", "PREDICTED", "Heads"]

Array = np.ndarray[Any, Any]

HEADS: Final = (
    "quality",
    "latency_s",
    "latency_p90_s",
    "input_tokens",
    "output_tokens",
    "output_tokens_p90",
    "cost_usd",
    "cost_usd_p90",
    "failure",
)
PREDICTED: Final = (
    "quality",
    "quality_low",
    "cost_usd",
    "cost_p90_usd",
    "latency_s",
    "latency_p90_s",
    "failure",
)
_STEEP: Final = 50.0  # beyond it neither link says more


class Heads(Struct, frozen=True, kw_only=True):
    """What turns sums into predictions for K endpoints; a head that the snapshot has not is NaN.

    `tables` (routes + 1, 9, K) hold what is added to each head's sum for each route, in link space. `place` (H,) is
    where in HEADS each forest's sum belongs. `sign` (9, 1) is -1 for heads of the logistic link. `money` (4, K) is
    what makes tokens a mean and what they cost: the scales of output tokens and of cost, USD of an input and of an
    output token. `margins` (K, B + 1) and their `edges` (B,) lower the quality to its bound.
    """

    tables: Array
    place: Array
    sign: Array
    money: Array
    edges: Array
    margins: Array
    has_cost: bool
    logistic: tuple[int, ...]
    first_margin: Array

    @classmethod
    def of(cls, snapshot: Snapshot, *, tables_only: bool = False) -> Heads:
        """Take what a snapshot says of its heads; `tables_only` leaves the forests out."""
        routes = len(snapshot.manifest.categories.get("route", [])) + 1
        served = () if tables_only else snapshot.forest_heads
        tables = np.full((routes, len(HEADS), len(snapshot.endpoints)), np.nan)
        sign = np.ones((len(HEADS), 1))
        for at, name in enumerate(HEADS):
            if name in snapshot.heads:
                head = snapshot.heads[name]
                tables[:, at] = head.table.values + (head.offset if name in served else 0.0)
                sign[at] = 1.0 if head.spec.link == "exp" else -1.0
        places = [HEADS.index(name) if name in HEADS else -1 for name in served]
        money = [
            *(_scale(snapshot, name, name in served) for name in ("output_tokens", "cost_usd")),
            *(
                [_number(getattr(one, usd)) for one in snapshot.manifest.endpoints]
                for usd in ("input_usd", "output_usd")
            ),
        ]
        return cls(
            tables=tables,
            place=np.array(places, dtype=np.int64),
            sign=sign,
            money=np.array(money, dtype=np.float64).reshape(4, len(snapshot.endpoints)),
            edges=np.ascontiguousarray(snapshot.margin_edges, dtype=np.float64),
            margins=np.ascontiguousarray(snapshot.margins, dtype=np.float64),
            has_cost="cost_usd" in snapshot.heads,
            logistic=tuple(np.flatnonzero(sign[:, 0] < 0).tolist()),
            first_margin=np.arange(len(snapshot.endpoints)) * (len(snapshot.margin_edges) + 1),
        )

    def table_row(self, route: Array) -> Array:
        """Give the row of `tables` for route codes: the last for what was never seen."""
        last = len(self.tables) - 1
        known = (route >= 0) & (route < last)
        return np.where(known, np.nan_to_num(route, nan=0.0), last).astype(np.int64)

    def predict(self, raw: Array, table_row: Array, input_tokens: Array, base_tokens: Array) -> Array:
        """Predict for n requests: sums (n, H, K) and arrays (n,) -> (7, n, K), in the order of PREDICTED.

        `input_tokens` are those the caller counted, NaN where it did not; `base_tokens` is what the text's length
        suggests.
        """
        value = self.tables[table_row]
        for head, at in enumerate(self.place.tolist()):
            if at >= 0:
                value[:, at] += raw[:, head]
        np.minimum(np.maximum(value, -_STEEP, out=value), _STEEP, out=value)
        value *= self.sign
        np.exp(value, out=value)
        for at in self.logistic:
            one = value[:, at]
            one += 1.0
            np.divide(1.0, one, out=one)
        quality, median, p90, ratio, tokens, tokens_p90, cost, cost_p90, failure = (
            value[:, at] for at in range(len(HEADS))
        )
        out = np.empty((len(PREDICTED), *quality.shape))
        mean, dear = out[2], out[3]
        if self.has_cost:
            np.multiply(cost, self.money[1], out=mean)
            dear[:] = cost_p90
        else:
            counted = (input_tokens >= 0) & (input_tokens < np.inf)
            asked = np.where(counted[:, None], input_tokens[:, None], base_tokens[:, None] * ratio) * self.money[2]
            np.add(asked, tokens * self.money[0] * self.money[3], out=mean)
            np.add(asked, np.maximum(tokens, tokens_p90) * self.money[3], out=dear)
        np.fmax(mean, dear, out=dear)
        out[0] = quality
        margin = self.margins.ravel()[np.searchsorted(self.edges, quality) + self.first_margin]
        low = np.subtract(quality, margin, out=out[1])
        np.minimum(np.maximum(low, 0.0, out=low), 1.0, out=low)
        out[4] = median
        np.maximum(median, p90, out=out[5])
        out[6] = failure
        return out

    def predict_one(self, raw: Array, table_row: int, input_tokens: float, base_tokens: float) -> Array:
        """Predict for one request, as `predict` does for many, to the bit: sums (H, K) -> (7, K).

        At its size each step costs numpy the same whatever it does, so there are as few as can be.
        """
        value = self.tables[table_row].copy()
        if len(self.place) and self.place.min() >= 0:
            value[self.place] += raw
        else:
            for head, at in enumerate(self.place.tolist()):
                if at >= 0:
                    value[at] += raw[head]
        np.minimum(np.maximum(value, -_STEEP, out=value), _STEEP, out=value)
        value *= self.sign
        np.exp(value, out=value)
        for at in self.logistic:
            one = value[at]
            one += 1.0
            np.divide(1.0, one, out=one)
        out = np.empty((len(PREDICTED), value.shape[1]))
        quality, low, mean, dear, median, slow, failure = out
        money = self.money
        if self.has_cost:
            np.multiply(value[6], money[1], out=mean)
            dear[:] = value[7]
        else:
            counted = 0 <= input_tokens < np.inf
            asked = input_tokens * money[2] if counted else base_tokens * value[3] * money[2]
            np.add(asked, value[4] * money[0] * money[3], out=mean)
            np.add(asked, np.maximum(value[4], value[5]) * money[3], out=dear)
        np.fmax(mean, dear, out=dear)
        quality[:] = value[0]
        margin = self.margins.take(self.edges.searchsorted(quality) + self.first_margin)
        np.subtract(quality, margin, out=low)
        np.minimum(np.maximum(low, 0.0, out=low), 1.0, out=low)
        median[:] = value[1]
        np.maximum(median, value[2], out=slow)
        failure[:] = value[8]
        return out

    def blend(self, predicted: Array, quality: Array, by_dense: float, mean: Array, share: Array | float) -> None:
        """Put the mean of all learners of quality into predictions (7, ..., K), in place, bound included.

        `quality` (..., K) is the networks' mean and `by_dense` its share in the mean of all. Contrasts between
        endpoints are shrunk only then: to `mean` (K,) and what is common, and `share` (..., 1) of the rest. Where the
        forest says nothing, the networks alone do.
        """
        own = predicted[0]
        mixed = quality.astype(np.float64)
        if by_dense < 1:
            mixed = np.where(np.isnan(own), mixed, own + by_dense * (mixed - own))
        own[:] = shrunk(mixed, mean, share)
        margin = self.margins.ravel()[np.searchsorted(self.edges, own) + self.first_margin]
        predicted[1] = np.minimum(np.maximum(own - margin, 0.0), 1.0)


def _scale(snapshot: Snapshot, name: str, by_forest: bool) -> Array:
    head = snapshot.heads.get(name)
    return np.ones(len(snapshot.endpoints)) if head is None else head.scale[1 if by_forest else 0]


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
