"""The wide price file: one row per model, region, tier, long-context step and date, in USD per million tokens.

It is what people review and edit (`data/prices.csv`, a contract's own prices); `prices` answers questions from it.
"""

from __future__ import annotations

import csv
import os
import tempfile
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

import msgspec

from fairlead.errors import ReadError
from fairlead.ingest import aliases

__all__ = [
    "ALWAYS",
    "COLUMNS",
    "METERS",
    "Group",
    "PriceRow",
    "group_of",
    "model_of",
    "overlay",
    "price",
    "read_rows",
    "sheets",
    "short",
    "write_rows",
]

METERS: Final = ("input", "output", "cache_read", "cache_creation", "cache_creation_1h", "reasoning")
ALWAYS: Final = datetime(1970, 1, 1, tzinfo=UTC)  # "valid from" of a price with no known beginning
_KEY: Final = ("provider_name", "model", "region", "service_tier", "min_input_tokens", "valid_from")
COLUMNS: Final = (*_KEY, *METERS, "context_window", "max_output_tokens", "catalog", "catalog_version", "retrieved_at")
_NEEDED: Final = ("provider_name", "model", "input", "output")
# The dearest tokens ever listed cost 600 USD per million (o1-pro's output); above this the unit must be wrong.
MOST_USD_PER_MILLION: Final = Decimal(1000)
_PLACES: Final = 9  # the prices table holds fifteen, per token

Group = tuple[str, str, str, str]


class PriceRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the file. Prices are USD per million tokens; None where the price isn't known."""

    provider_name: str
    model: str
    region: str = ""
    service_tier: str = "standard"
    min_input_tokens: int = 0  # the row holds for requests with at least so many input tokens
    valid_from: datetime = ALWAYS
    input: Decimal | None = None
    output: Decimal | None = None
    cache_read: Decimal | None = None
    cache_creation: Decimal | None = None
    cache_creation_1h: Decimal | None = None
    reasoning: Decimal | None = None
    context_window: int | None = None
    max_output_tokens: int | None = None
    catalog: str = "contract"
    catalog_version: str = ""
    retrieved_at: datetime = ALWAYS

    @property
    def prices(self) -> tuple[Decimal | None, ...]:
        """The price of each meter, in the order of METERS."""
        return tuple(getattr(self, meter) for meter in METERS)

    @property
    def order(self) -> tuple[str, str, str, str, datetime, int]:
        """Where the row stands in the file."""
        return (*group_of(self), self.valid_from, self.min_input_tokens)


def group_of(row: PriceRow) -> Group:
    """Give what is sold: provider, model (lower case), region, tier. Its rows differ in date and step only."""
    return (row.provider_name, row.model.lower(), row.region, row.service_tier)


def model_of(row: PriceRow) -> tuple[str, str, str]:
    """Give what is sold without its tier: provider, model (lower case), region."""
    return group_of(row)[:3]


def sheets(rows: Iterable[PriceRow]) -> dict[Group, dict[datetime, list[PriceRow]]]:
    """Arrange rows by what is sold, and in it by date, oldest first.

    The rows of one date are one price sheet: a new sheet ends all of the last one, its long-context steps included.
    """
    found: dict[Group, dict[datetime, list[PriceRow]]] = {}
    for row in sorted(rows, key=lambda row: row.order):
        found.setdefault(group_of(row), {}).setdefault(row.valid_from, []).append(row)
    return found


def overlay(top: Iterable[PriceRow], bottom: Iterable[PriceRow]) -> list[PriceRow]:
    """Lay one price file over another: from the date of its first sheet on, the upper one alone is in force."""
    upper = sheets(top)
    kept = [row for row in bottom if group_of(row) not in upper or row.valid_from < next(iter(upper[group_of(row)]))]
    return sorted(
        [*kept, *(row for by_date in upper.values() for sheet in by_date.values() for row in sheet)],
        key=lambda row: row.order,
    )


def read_rows(path: Path) -> list[PriceRow]:
    """Read a price file. ReadError names the line when a row cannot be meant."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines)
            _check_header(path, reader.fieldnames or ())
            rows = [_row(path, reader.line_num, record) for record in reader]
    except OSError as fault:
        raise ReadError(f"{path}: cannot be read ({fault.strerror}); give the path of a price file") from fault
    except (UnicodeDecodeError, csv.Error) as fault:
        raise ReadError(f"{path}: not a CSV file in UTF-8 ({fault}); save it as one") from fault
    seen: set[tuple[object, ...]] = set()
    for row in rows:
        if row.order in seen:
            raise ReadError(
                f"{path}: {row.provider_name} {row.model} has two {row.service_tier} rows from "
                f"{row.valid_from:%Y-%m-%d} at {row.min_input_tokens} tokens; delete one"
            )
        seen.add(row.order)
    return rows


def write_rows(path: Path, rows: Iterable[PriceRow]) -> None:
    """Write a price file, sorted, in one step: whoever reads meanwhile sees the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as out:
            writer = csv.writer(out, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows(_cells(row) for row in sorted(rows, key=lambda row: row.order))
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def price(text: str) -> Decimal | None:
    """Read a price in USD per million tokens; None when it is empty, ValueError when it cannot be a price."""
    if not text.strip():
        return None
    try:
        value = Decimal(text.strip())
    except InvalidOperation:
        raise ValueError(f"{text!r} is not a number") from None
    if not value.is_finite() or value < 0:
        raise ValueError(f"{text!r} is not a price")
    if value > MOST_USD_PER_MILLION:
        raise ValueError(f"{short(value)} USD per million tokens cannot be: is it per token or per thousand?")
    exponent = value.as_tuple().exponent
    return round(value, _PLACES) if isinstance(exponent, int) and exponent < -_PLACES else value


def short(value: Decimal) -> str:
    """Write a price without an exponent or needless zeros."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _check_header(path: Path, names: Iterable[str]) -> None:
    if missing := [name for name in _NEEDED if name not in names]:
        raise ReadError(f"{path}: no column {missing[0]!r}; the columns of a price file are {', '.join(COLUMNS)}")
    if unknown := [name for name in names if name not in COLUMNS]:
        raise ReadError(f"{path}: unknown column {unknown[0]!r}; the columns of a price file are {', '.join(COLUMNS)}")


def _row(path: Path, line: int, record: dict[str, str]) -> PriceRow:
    try:
        values = dict(_values(record))
    except (ValueError, TypeError, AttributeError) as fault:
        raise ReadError(f"{path} line {line}: {fault}; correct that cell") from fault
    if not values.get("provider_name") or not values.get("model"):
        raise ReadError(f"{path} line {line}: provider_name and model may not be empty; fill them in")
    return PriceRow(**values)  # type: ignore[arg-type]


def _values(record: dict[str, str]) -> Iterator[tuple[str, object]]:
    for name, text in record.items():
        if name is None or text is None:
            raise ValueError("as many cells as columns are needed")
        if not text.strip():
            continue
        if name in METERS:
            yield name, price(text)
        elif name == "provider_name":
            canonical = aliases.provider(text)
            yield name, canonical if canonical in aliases.PROVIDERS else text.strip()
        elif name in {"min_input_tokens", "context_window", "max_output_tokens"}:
            yield name, _count(text)
        elif name in {"valid_from", "retrieved_at"}:
            yield name, _moment(text)
        else:
            yield name, text.strip()


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise ValueError(f"{text!r} is not a count")
    return value


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text.strip())
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _cells(row: PriceRow) -> Iterator[str]:
    for name in COLUMNS:
        value = getattr(row, name)
        if value is None or (name == "valid_from" and value == ALWAYS):
            yield ""
        elif isinstance(value, datetime):
            midnight = (value.hour, value.minute, value.second, value.microsecond) == (0, 0, 0, 0)
            yield date.isoformat(value) if midnight else value.isoformat()
        else:
            yield short(value) if isinstance(value, Decimal) else str(value)
