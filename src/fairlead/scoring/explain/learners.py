"""Quality that networks have a say in, taken apart by group of columns: Shapley values of the prediction itself.

A tree's value can be shared out column by column; a network's cannot, cheaply. So what is joined at the end (networks,
forest, shrunk contrasts) is asked for mixtures of the request and the reference, whole groups at a time. Up to ten
groups that differ are exact; with more, orders of the groups are drawn and each is read both ways (Castro, Gomez and
Tejada 2009; Mitchell et al. 2022). Either way the shares add up to the whole difference.
"""

from __future__ import annotations

from itertools import combinations
from math import factorial
from typing import Any, Final

import numpy as np

from fairlead.scoring import text as texts
from fairlead.scoring.explain.groups import group_of
from fairlead.scoring.predict import Predictor

__all__ = ["WORDS", "quality_shares"]

Array = np.ndarray[Any, Any]
WORDS: Final = group_of("text_hash_0")  # the group that a text's projection belongs to
EXACT: Final = 10  # groups that differ up to which all mixtures are asked for
ORDERS: Final = 64


def quality_shares(
    predictor: Predictor, request: Array, reference: Array, text: str
) -> tuple[Array, Array, dict[str, Array]]:
    """Give quality for the request, for the reference, and each group's share of the difference: all (K,).

    `request` and `reference` (columns,) are rows of which only the request's columns are read; the reference has no
    words.
    """
    columns = [column.name for column in predictor.snapshot.manifest.columns]
    differs = ~((request == reference) | (np.isnan(request) & np.isnan(reference)))
    owned = np.array([column.owner == "request" for column in predictor.snapshot.manifest.columns])
    places: dict[str, list[int]] = {}
    for place in np.flatnonzero(differs & owned).tolist():
        places.setdefault(group_of(columns[place]), []).append(place)
    words = texts.read(text)[1]
    nothing = words[:0]
    if predictor.reads_text and len(words):
        places.setdefault(WORDS, [])
    groups = sorted(places)
    known: dict[frozenset[str], Array] = {}

    def value(held: frozenset[str]) -> Array:
        if held not in known:
            row = reference.copy()
            for group in held:
                row[places[group]] = request[places[group]]
            known[held] = predictor.quality(row, words if WORDS in held else nothing)
        return known[held]

    shares = _exact(groups, value) if len(groups) <= EXACT else _drawn(groups, value)
    return value(frozenset(groups)), value(frozenset()), shares


def _exact(groups: list[str], value: Any) -> dict[str, Array]:
    count = len(groups)
    shares = {}
    for group in groups:
        others = [other for other in groups if other != group]
        total = 0.0
        for size in range(count):
            weight = factorial(size) * factorial(count - size - 1) / factorial(count)
            for chosen in combinations(others, size):
                held = frozenset(chosen)
                total = total + weight * (value(held | {group}) - value(held))
        shares[group] = np.asarray(total)
    return shares


def _drawn(groups: list[str], value: Any) -> dict[str, Array]:
    rng = np.random.default_rng(0)
    shares = {group: np.zeros_like(value(frozenset())) for group in groups}
    for _ in range(ORDERS):
        order = rng.permutation(len(groups)).tolist()
        for way in (order, order[::-1]):
            held: frozenset[str] = frozenset()
            for place in way:
                more = held | {groups[place]}
                shares[groups[place]] += (value(more) - value(held)) / (2 * ORDERS)
                held = more
    return shares
