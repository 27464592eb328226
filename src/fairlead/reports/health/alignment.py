"""Finds labels that were attached to the wrong requests, such as a file of scores that is shifted by one row.

A prompt that is hard for one endpoint is hard for others, so the score of an answer agrees with the scores of other
answers to the same prompt; where prompts do not repeat, it still agrees with the mean of its route. Shifted labels
agree with nothing. So each part of the labels (an endpoint, a source, a day) is asked how well it agrees with the
rest, and is suspect when it agrees no better than its own labels shuffled, while the rest clearly agrees.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import polars as pl
from msgspec import Struct

__all__ = ["Part", "Verdict", "suspects"]

Array = np.ndarray[Any, Any]
LEAST: Final = 50  # rows of a part, and prompts that two endpoints share
CLEAR: Final = 0.1  # how well the rest has to agree for a part to stand out
FALLEN: Final = 0.3  # of what the rest reaches
SIGMAS: Final = 4.0
_SHUFFLES: Final = 200
_MOST: Final = 5_000  # rows of a part that are shuffled; more would only cost time


class Part(Struct, frozen=True, kw_only=True):
    """One part of the labels and how it agrees with the rest: correlations, and the spread that chance gives them."""

    kind: str  # endpoint, source, day
    name: str
    reference: str  # prompt, or route where prompts do not repeat
    rows: int
    agreement: float
    rest: float
    chance: float  # the 99th percentile of its own labels, shuffled
    suspect: bool
    shift: int = 0  # by how many rows its labels would have to move to agree, where that is so


class Verdict(Struct, frozen=True, kw_only=True):
    """All parts that could be looked at, and how well labels agree on the whole."""

    parts: list[Part]
    agreement: float | None
    rows: int


def suspects(scores: pl.DataFrame) -> Verdict:
    """Look at every part of the labels: rows of request_id, source, score, start_us, day, endpoint, prompt, route.

    The same rows give the same verdict, whatever their order.
    """
    scores = scores.sort("start_us", "request_id", "source")
    whole = scores.group_by("request_id", maintain_order=True).agg(
        pl.col("score").mean(), pl.col("start_us", "day", "endpoint", "prompt", "route").first()
    )
    parts: list[Part] = []
    overall: tuple[float | None, int] = (None, 0)
    for kind, rows in (("endpoint", whole), ("source", scores), ("day", whole)):
        for reference in ("prompt", "route"):
            y, r = _agreeing(rows, reference, kind)
            both = np.isfinite(y) & np.isfinite(r)
            if reference == "prompt" and kind == "day" and both.sum() >= LEAST:
                overall = _correlation(y[both], r[both]), int(both.sum())
            if both.sum() < 2 * LEAST or (reference == "route" and kind == "endpoint"):
                continue
            names = rows[kind].fill_null("").to_numpy()[both]
            parts += _parts(kind, reference, names, y[both], r[both])
            break
    return Verdict(parts=parts, agreement=overall[0], rows=overall[1])


def _agreeing(rows: pl.DataFrame, reference: str, kind: str) -> tuple[Array, Array]:
    """Give each score without its endpoint's mean, and the mean of the others with its prompt, or its route.

    Routes are compared with other parts only: within a part of one route a shift is not to be seen.
    """
    # An endpoint may be good at other routes than the rest: beside others it is judged within each route.
    mean_of = ["endpoint", "route"] if kind == "endpoint" else ["endpoint"]
    known = rows.with_columns(y=pl.col("score") - pl.col("score").mean().over(mean_of))
    group = [reference]
    total, count = pl.col("y").sum().over(group), pl.len().over(group)
    if reference == "route":
        total, count = total - pl.col("y").sum().over([*group, kind]), count - pl.len().over([*group, kind])
    else:
        total, count = total - pl.col("y"), count - 1
    made = known.with_columns(
        r=pl.when((count > 0) & pl.col(reference).is_not_null()).then(total / count).otherwise(None)
    )
    nan = float("nan")
    return made["y"].fill_null(nan).to_numpy(), made["r"].fill_null(nan).to_numpy()


def _parts(kind: str, reference: str, names: Array, y: Array, r: Array) -> list[Part]:
    found = []
    for name in np.unique(names):
        mine = names == name
        if mine.sum() < LEAST or (~mine).sum() < LEAST or np.ptp(y[mine]) == 0 or np.ptp(r[mine]) == 0:
            continue
        found.append(_part(kind, reference, str(name), (y[mine], r[mine]), (y[~mine], r[~mine])))
    return found


def _part(kind: str, reference: str, name: str, mine: tuple[Array, Array], others: tuple[Array, Array]) -> Part:
    rng = np.random.default_rng(0)
    y, r = (values[:_MOST] for values in mine)
    agreement, rest = _correlation(y, r), _correlation(*others)
    shuffled = [_correlation(rng.permutation(y), r) for _ in range(_SHUFFLES)]
    # Parts of this size, drawn from the rest: how far apart do those lie that are like the others?
    drawn = []
    for _ in range(_SHUFFLES):
        rows = rng.integers(0, len(others[0]), len(y))
        drawn.append(_correlation(others[0][rows], others[1][rows]))
    chance = float(np.quantile(shuffled, 0.99))
    fallen = agreement < FALLEN * rest and agreement < float(np.mean(drawn) - SIGMAS * np.std(drawn))
    suspect = bool(rest >= CLEAR and agreement <= chance and fallen)
    return Part(
        kind=kind,
        name=name,
        reference=reference,
        rows=len(mine[0]),
        agreement=agreement,
        rest=rest,
        chance=chance,
        suspect=suspect,
        shift=_shift(y, r, max(chance, rest / 2)) if suspect else 0,
    )


def _shift(y: Array, r: Array, enough: float) -> int:
    """Give the move of a row or two after which the labels agree; 0 when there is none."""
    moved = {rows: _correlation(np.roll(y, -rows), r) for rows in (1, -1, 2, -2)}
    best = max(moved, key=lambda rows: moved[rows])
    return best if moved[best] > enough else 0


def _correlation(one: Array, other: Array) -> float:
    one, other = one - one.mean(), other - other.mean()
    size = float(np.sqrt((one @ one) * (other @ other)))
    return float(one @ other) / size if size else 0.0
