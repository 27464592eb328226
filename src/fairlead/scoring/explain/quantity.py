"""One endpoint's predicted quality, dollars and seconds taken apart by column, against a reference request."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from msgspec import Struct

from fairlead.scoring.explain.explanation import HeadShares
from fairlead.scoring.explain.shapley import shapley
from fairlead.scoring.explain.trees import total
from fairlead.scoring.predict import Predictor
from fairlead.scoring.request import Request
from fairlead.scoring.row import BYTES_PER_TOKEN
from fairlead.scoring.trees import trees_of

__all__ = ["Quantity", "Rows", "quantities"]

Array = np.ndarray[Any, Any]
_ROUTE: Final = "route"
_BYTES: Final = "text_bytes_log"
_COUNTED: Final = "input_tokens"


class Rows(Struct, frozen=True):
    """A request and its reference as the forests take them for every endpoint: two arrays (K, columns)."""

    request: Array
    reference: Array

    @classmethod
    def of(cls, predictor: Predictor, rows: Array, typical: Array) -> Rows:
        """Put the reference's request columns (columns,) in place of the request's in `rows` (K, columns)."""
        owned = np.array([column.owner == "request" for column in predictor.snapshot.manifest.columns])
        return cls(rows, np.where(owned, typical, rows))


class Quantity(Struct, frozen=True):
    """A predicted number for the request and for the reference, and each column's share of their difference."""

    value: float
    reference: float
    shares: dict[str, float]

    def times(self, factor: float) -> Quantity:
        """Give the number in other units."""
        shares = {name: share * factor for name, share in self.shares.items()}
        return Quantity(self.value * factor, self.reference * factor, shares)

    def plus(self, other: Quantity) -> Quantity:
        """Give the sum of two numbers."""
        names = dict.fromkeys((*self.shares, *other.shares))
        shares = {name: self.shares.get(name, 0.0) + other.shares.get(name, 0.0) for name in names}
        return Quantity(self.value + other.value, self.reference + other.reference, shares)


def quantities(
    predictor: Predictor, rows: Rows, k: int, request: Request
) -> tuple[dict[str, Quantity], list[HeadShares]]:
    """Take apart what is predicted of endpoint `k`: quality (0 to 1), cost_usd, latency_s; and the heads behind them.

    Heads are exact in link space. Through the link (a logistic curve or an exponential) a head's whole difference is
    shared out in proportion, the rescale rule of Chen, Lundberg and Lee 2022 ("Explaining a series of models by
    propagating Shapley values"), so that shares still sum to the difference in points, dollars or seconds.
    """
    heads = [_head(predictor, name, rows, k) for name in predictor.snapshot.heads]
    linked = {head.name: head for head in heads}
    found: dict[str, Quantity] = {name: _natural(linked[name]) for name in ("quality", "latency_s") if name in linked}
    cost = _cost(predictor, linked, rows, k, request)
    if cost is not None:
        found["cost_usd"] = cost
    # What is unknown (no price, no such head) has no shares.
    return {name: one for name, one in found.items() if np.isfinite(one.value) and np.isfinite(one.reference)}, heads


def _head(predictor: Predictor, name: str, rows: Rows, k: int) -> HeadShares:
    head, columns = predictor.snapshot.heads[name], predictor.snapshot.manifest.columns
    names = [column.name for column in columns]
    x, z = rows.request[k], rows.reference[k]
    codes = np.array([row[names.index(_ROUTE)] if _ROUTE in names else np.nan for row in (x, z)])
    table = head.table.lookup(codes)[:, k]
    shares = {_ROUTE: float(table[0] - table[1])}
    reference = float(table[1])
    if _has_forest(predictor, name):
        trees = trees_of(predictor.snapshot.forests, predictor.snapshot.forest_heads.index(name))
        reference += total(trees, z.tolist()) + float(head.offset[k])
        for column, share in zip(names, shapley(trees, x, z).tolist(), strict=True):
            if share:
                shares[column] = shares.get(column, 0.0) + share
    return HeadShares(
        name=name, link=head.spec.link, value=reference + sum(shares.values()), reference=reference, shares=shares
    )


def _has_forest(predictor: Predictor, name: str) -> bool:
    return name in predictor.snapshot.forest_heads and not predictor.tables_only


def _natural(head: HeadShares, also: dict[str, float] | None = None, start: float = 0.0) -> Quantity:
    """Take a head through its link; `also` holds shares that are added to it in link space, on top of `start`."""
    shares = dict(head.shares)
    for name, share in (also or {}).items():
        shares[name] = shares.get(name, 0.0) + share
    low = head.reference + start
    high = low + sum(shares.values())
    value, reference = _link(head.link, high), _link(head.link, low)
    middle = _link(head.link, (high + low) / 2)
    # Too near for a quotient: the curve's slope itself.
    steep = middle if head.link == "exp" else middle * (1 - middle)
    slope = (value - reference) / (high - low) if abs(high - low) > 1e-9 else steep
    return Quantity(value, reference, {name: share * slope for name, share in shares.items()})


def _link(link: str, value: float) -> float:
    return float(np.exp(np.clip(value, -50, 50)) if link == "exp" else 1 / (1 + np.exp(-value)))


def _cost(predictor: Predictor, linked: dict[str, HeadShares], rows: Rows, k: int, request: Request) -> Quantity | None:
    """Price the tokens, as the predictor does; or take the dollars that were learned themselves."""
    snapshot, endpoint = predictor.snapshot, predictor.snapshot.manifest.endpoints[k]

    def scaled(name: str) -> Quantity:
        head = snapshot.heads[name]
        served = int(_has_forest(predictor, name))
        return _natural(linked[name]).times(float(head.scale[served, k]))

    if "cost_usd" in linked:
        return scaled("cost_usd")
    if "input_tokens" not in linked or "output_tokens" not in linked:
        return None
    if endpoint.input_usd is None or endpoint.output_usd is None:
        return None
    tokens = _input_tokens(predictor, linked["input_tokens"], rows, k, request)
    return tokens.times(endpoint.input_usd).plus(scaled("output_tokens").times(endpoint.output_usd))


def _input_tokens(predictor: Predictor, ratio: HeadShares, rows: Rows, k: int, request: Request) -> Quantity:
    """Give the predicted ratio times what the text's length suggests; or the caller's own count, where it has one."""
    names = [column.name for column in predictor.snapshot.manifest.columns]
    if _BYTES in names:
        at = names.index(_BYTES)
        base = [float(np.log(np.expm1(row[k, at]) / BYTES_PER_TOKEN + 1)) for row in (rows.request, rows.reference)]
    else:  # the length is no column here, so the reference is as long as the request
        base = [float(np.log(len(request.text.encode("utf-8", "surrogatepass")) / BYTES_PER_TOKEN + 1))] * 2
    estimate = _natural(ratio, {_BYTES: base[0] - base[1]}, base[1])
    counted = request.input_tokens
    if counted is None or counted < 0:
        return estimate
    return Quantity(float(counted), estimate.reference, {_COUNTED: counted - estimate.reference})
