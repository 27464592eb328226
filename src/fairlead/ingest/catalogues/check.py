"""Refuses prices that cannot be right: mixed-up units, and jumps that nobody has looked at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from fairlead.errors import ReadError
from fairlead.ingest.pricefile import (
    METERS,
    UNITS_APART,
    Group,
    PriceRow,
    Step,
    group_of,
    model_of,
    sheets,
    short,
    step_of,
)

__all__ = ["in_force", "jumps", "moves", "some", "units"]

_JUMP: Final = 5  # a price that moves by more wants a second look
_SHOWN: Final = 5

Model = tuple[str, str, str]


def units(lists: Iterable[Sequence[PriceRow]]) -> dict[Model, list[str]]:
    """Find the models that two catalogues price in different units. Nobody can say here which of them is right."""
    first: dict[tuple[Group, Step], PriceRow] = {}
    faults: dict[Model, list[str]] = {}
    for row in (row for rows in lists for row in rows):
        other = first.setdefault((group_of(row), step_of(row)), row)
        for fault in moves(other, row, UNITS_APART):
            text = f"{row.provider_name} {row.model}: {fault} ({other.catalog}, {row.catalog})"
            faults.setdefault(model_of(row), []).append(text)
    return faults


def jumps(path: Path, old: Iterable[PriceRow], new: Iterable[PriceRow], *, acknowledge: bool) -> None:
    """Refuse a price that moved by more than five times against the file, or, acknowledged, one in another unit."""
    before = sheets(old)
    bound = UNITS_APART if acknowledge else _JUMP
    faults: list[str] = []
    for row in new:
        was = in_force(before.get(group_of(row), {}), row)
        if was is not None:
            faults += [
                f"{row.provider_name} {row.model} {fault} ({row.service_tier})" for fault in moves(was, row, bound)
            ]
    if not faults:
        return
    if acknowledge:
        raise ReadError(
            f"{path}: {len(faults)} prices moved as if the unit had changed: {some(faults)}; "
            "correct the catalogue, or move the file away to begin a new one"
        )
    raise ReadError(
        f"{path}: {len(faults)} prices moved by more than {_JUMP} times: {some(faults)}; "
        "check them, then repeat with --acknowledge"
    )


def in_force(by_date: dict[datetime, list[PriceRow]], row: PriceRow) -> PriceRow | None:
    """Give the row of a model's sheets that `row` takes the place of, of the same length of prompt and hours."""
    at_step = [was for sheet in by_date.values() for was in sheet if step_of(was) == step_of(row)]
    return max(
        (was for was in at_step if was.valid_from <= row.valid_from), key=lambda was: was.valid_from, default=None
    )


def moves(was: PriceRow, now: PriceRow, bound: int = _JUMP) -> list[str]:
    """Name the prices that moved by more than `bound` times."""
    return [
        f"{meter} {short(old)} -> {short(new)}"
        for meter, old, new in zip(METERS, was.prices, now.prices, strict=True)
        if old is not None
        and new is not None
        and max(old, new) > bound * min(old, new)
        and (min(old, new) or bound == _JUMP)
    ]


def some(faults: Sequence[str]) -> str:
    """Name the first few of many faults."""
    rest = f" and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
    return "; ".join(faults[:_SHOWN]) + rest
