"""Joins catalogues into one set of prices, and a new set with the file it replaces."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

import msgspec

from fairlead.ingest import aliases
from fairlead.ingest.pricefile import ALWAYS, PriceRow, Step, group_of, model_of, sheets, step_of

__all__ = ["carry", "combine"]

_BASE: Final[Step] = (0, "", "", "")
_PROVENANCE: Final = ("catalog", "catalog_version", "retrieved_at")

Model = tuple[str, str, str]
Models = dict[Model, list[PriceRow]]


def combine(dated: Sequence[PriceRow], lists: Sequence[Sequence[PriceRow]], day: datetime) -> list[PriceRow]:
    """Join a catalogue that knows dates with lists of today's prices, the better list first.

    A model's history gives the dates. The sheet in force on `day` is taken from the list where both agree on it,
    because lists also know tiers, long-context steps and cache classes; where they disagree, history stands alone.
    History of a single undated price is no history: it only serves where no list has the model.
    """
    current: Models = {}
    for rows in lists:
        for model, found in _by_model(rows).items():
            current.setdefault(model, found)
    histories = _by_model(dated)
    combined: list[PriceRow] = []
    for model in sorted({*current, *histories}):
        listed = current.get(model)
        history = histories.get(model)
        if listed is None:
            combined += history or []
        elif history is not None and _changes(history):
            combined += _dated(listed, history, day) or history
        else:
            combined += _as_undated(model, listed, histories, day)
    return combined


def carry(old: Iterable[PriceRow], new: Iterable[PriceRow], day: datetime) -> list[PriceRow]:
    """Add what only the old file knows: earlier prices and models that the catalogues dropped.

    A row that says what it said, or less, stays as it was, so that a refresh changes only the lines it has news for.
    """
    before, after = sheets(old), sheets(new)
    rows: list[PriceRow] = []
    for group in sorted({*before, *after}):
        was, now = before.get(group), after.get(group)
        if now is None or was is None:
            chosen = now or was or {}
        elif len(now) > 1 or ALWAYS not in now:
            chosen = now  # the catalogues know the dates themselves
        else:
            chosen = _followed(was, now[ALWAYS], day)
        kept = {row.order: row for sheet in (was or {}).values() for row in sheet}
        rows += [_settled(kept.get(row.order), row) for sheet in chosen.values() for row in sheet]
    return rows


def _followed(
    was: dict[datetime, list[PriceRow]], sheet: list[PriceRow], day: datetime
) -> dict[datetime, list[PriceRow]]:
    last = max((start for start in was if start <= day), default=None)
    if last is None or _said(was[last]) == _said(sheet):
        start = ALWAYS if last is None else last
        return {**was, start: [_from(row, start) for row in sheet]}
    return {**was, day: [_from(row, day) for row in sheet]}


def _said(sheet: Iterable[PriceRow]) -> list[tuple[object, ...]]:
    return [(step_of(row), row.prices) for row in sheet]


def _settled(kept: PriceRow | None, row: PriceRow) -> PriceRow:
    if kept is None:
        return row
    as_before = msgspec.structs.replace(row, **{name: getattr(kept, name) for name in _PROVENANCE})
    fewer = row.prices != kept.prices and all(
        now is None or now == was for was, now in zip(kept.prices, row.prices, strict=True)
    )
    return kept if fewer or as_before == kept else row


def _by_model(rows: Iterable[PriceRow]) -> Models:
    models: Models = {}
    for row in rows:
        models.setdefault(model_of(row), []).append(row)
    return models


def _changes(history: Iterable[PriceRow]) -> bool:
    return any(row.valid_from != ALWAYS for row in history)


def _dated(listed: list[PriceRow], history: list[PriceRow], day: datetime) -> list[PriceRow] | None:
    """Give a model's list prices their dates; None when list and history disagree on today's price."""
    by_date = sheets(history)[group_of(history[0])]
    now = max((start for start in by_date if start <= day), default=None)
    if now is None or (_plain(by_date[now]) != _plain(listed) and not _hourly(listed)):
        return None
    model = listed[0].model
    others = [
        msgspec.structs.replace(row, model=model) for start, rows in by_date.items() if start != now for row in rows
    ]
    return others + [_from(row, now) for row in listed]


def _as_undated(model: Model, listed: list[PriceRow], histories: Models, day: datetime) -> list[PriceRow]:
    """Date "o3-2025-04-16" by the history of "o3", as long as both cost the same today."""
    seller, name, region = model
    bare = aliases.undated(name)
    history = histories.get((seller, bare, region)) if bare else None
    if history is None or not _changes(history):
        return listed
    return _dated(listed, history, day) or listed


def _plain(rows: Iterable[PriceRow]) -> list[tuple[object, object]]:
    return [(row.input, row.output) for row in rows if row.service_tier == "standard" and step_of(row) == _BASE]


def _hourly(rows: Iterable[PriceRow]) -> bool:
    # Which of its prices a catalogue takes for the plain one, when they differ by the hour, is up to it.
    return any(row.window is not None for row in rows)


def _from(row: PriceRow, start: datetime) -> PriceRow:
    return msgspec.structs.replace(row, valid_from=start)
