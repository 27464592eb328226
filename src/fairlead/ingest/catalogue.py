"""Builds the price file from public catalogues, and refuses what cannot be right.

A rebuild adds to what is known: a price that changed is dated, not overwritten, and a model that left the catalogues
keeps its last price, because logs are old.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from pathlib import Path

import msgspec

from fairlead.errors import ReadError, UsageError
from fairlead.ingest.catalogues import check, genai_package, genai_prices, litellm_map, merge, mlflow_catalog
from fairlead.ingest.catalogues.common import Edition, digest
from fairlead.ingest.pricefile import PriceRow, group_of, model_of, overlay, read_rows, write_rows

__all__ = ["Summary", "build"]


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What a build put into the price file."""

    rows: int
    providers: int
    models: int
    dated_models: int  # with more than one price in time
    added: int  # rows that the file did not have
    changed: int  # rows whose price changed in place
    left_out: tuple[str, ...]  # what cannot be right, and is not in the file


def build(
    out: Path,
    *,
    litellm: Path | None = None,
    genai: Path | None = None,
    mlflow: Path | None = None,
    overrides: Path | None = None,
    retrieved_at: date,
    acknowledge: bool = False,
    versions: Mapping[str, str] | None = None,
) -> Summary:
    """Build or refresh the price file `out` from the catalogues that are given.

    Where several price a model: `overrides` first, then the dated prices of genai-prices, then LiteLLM, then MLflow.
    `genai` may be the word "installed", for the package of the extra `prices`.
    `versions` names the version of each catalogue (`{"litellm": "1.109.1"}`), else it is a digest of the file.
    Raises ReadError, and leaves `out` as it was, when a price cannot be right (negative, not a number, a thousand
    times another catalogue's) or moves by more than five times; with `acknowledge` the first are left out and the
    second pass.
    """
    day = datetime.combine(retrieved_at, time(), UTC)
    named = versions or {}
    given = {"litellm": litellm, "genai-prices": genai, "mlflow": mlflow}
    editions = {
        name: Edition(name, path, named.get(name) or _version(path), day) for name, path in given.items() if path
    }
    if not editions and overrides is None:
        raise UsageError("no catalogue was given; name at least one of --litellm, --genai, --mlflow, --overrides")
    listed, left_out = _merged(editions, day, acknowledge=acknowledge)
    old = read_rows(out) if out.exists() else []
    rows = merge.carry(old, listed, day)
    if overrides is not None:
        rows = overlay(read_rows(overrides), rows)
    check.jumps(out, old, rows, acknowledge=acknowledge)
    write_rows(out, rows)
    return _summary(old, rows, left_out)


def _merged(editions: Mapping[str, Edition], day: datetime, *, acknowledge: bool) -> tuple[list[PriceRow], list[str]]:
    readers = {"litellm": litellm_map.read, "mlflow": mlflow_catalog.read, "genai-prices": genai_prices.read}
    found = {name: read(editions[name]) for name, read in readers.items() if name in editions}
    faults = [fault for edition in editions.values() for fault in edition.faults]
    for model, disagreement in check.units(found.values()).items():
        faults += disagreement
        found = {name: [row for row in rows if model_of(row) != model] for name, rows in found.items()}
    if faults and not acknowledge:
        raise ReadError(
            f"{len(faults)} prices that cannot be right: {check.some(faults)}; repeat with --acknowledge to leave "
            "these models out, and price them with --overrides"
        )
    dated = found.pop("genai-prices", [])
    return merge.combine(dated, list(found.values()), day), faults


def _version(path: Path) -> str:
    return genai_package.version() if path == genai_package.INSTALLED else digest(path)


def _summary(old: Sequence[PriceRow], rows: Sequence[PriceRow], left_out: Sequence[str]) -> Summary:
    before = {row.order: row.prices for row in old}
    starts: dict[tuple[str, ...], set[datetime]] = {}
    for row in rows:
        starts.setdefault(group_of(row), set()).add(row.valid_from)
    models = {model_of(row) for row in rows}
    return Summary(
        rows=len(rows),
        providers=len({row.provider_name for row in rows}),
        models=len(models),
        dated_models=len({group[:3] for group, dates in starts.items() if len(dates) > 1}),
        added=sum(row.order not in before for row in rows),
        changed=sum(before.get(row.order, row.prices) != row.prices for row in rows),
        left_out=tuple(left_out),
    )
