"""The wide price file: one row per model, region, tier, long-context step, hours and date, in USD per million.

It is what people review and edit (`data/prices.csv`, a contract's own prices); `prices` answers questions from it.
"""

from __future__ import annotations

import csv
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Final

import msgspec

from fairlead.errors import ReadError
from fairlead.ingest.pricecells import METERS, Window, cells, price, short, window

__all__ = [
    "ALWAYS",
    "COLUMNS",
    "METERS",
    "UNITS_APART",
    "Group",
    "PriceRow",
    "Step",
    "group_of",
    "model_of",
    "numbered",
    "overlay",
    "price",
    "read_rows",
    "records",
    "sheets",
    "short",
    "step_of",
    "write_rows",
]

ALWAYS: Final = datetime(1970, 1, 1, tzinfo=UTC)  # "valid from" of a price with no known beginning
UNITS_APART: Final = 300  # no price moves so far: one of the two is per token, per thousand or per million
_KEY: Final = ("provider_name", "model", "region", "service_tier", "min_input_tokens", "utc_time_from", "utc_time_to",
               "utc_weekdays", "valid_from")  # fmt: skip
COLUMNS: Final = (*_KEY, *METERS, "context_window", "max_output_tokens", "catalog", "catalog_version", "retrieved_at")
_OPTIONAL: Final = ("currency", "acknowledged")  # may be given: USD, and what a contract has to say of a jump

Group = tuple[str, str, str, str]
Step = tuple[int, str, str, str]


class PriceRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the file. Prices are USD per million tokens, or requests; None where the price isn't known."""

    provider_name: str
    model: str
    region: str = ""
    service_tier: str = "standard"
    min_input_tokens: int = 0  # the row holds for requests with at least so many input tokens
    utc_time_from: str = ""  # HH:MM; the row holds within these hours only, and then before one without hours
    utc_time_to: str = ""
    utc_weekdays: str = ""  # "1-5": Monday to Friday
    valid_from: datetime = ALWAYS
    input: Decimal | None = None
    output: Decimal | None = None
    cache_read: Decimal | None = None
    cache_creation: Decimal | None = None
    cache_creation_1h: Decimal | None = None
    reasoning: Decimal | None = None
    input_audio: Decimal | None = None
    output_audio: Decimal | None = None
    input_image: Decimal | None = None
    output_image: Decimal | None = None
    web_search: Decimal | None = None  # per million searches
    request: Decimal | None = None  # per million requests, on top of their tokens
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
    def window(self) -> Window | None:
        """The hours in which the row holds; None for all hours."""
        return window(self.utc_time_from, self.utc_time_to, self.utc_weekdays)

    @property
    def order(self) -> tuple[str, str, str, str, datetime, int, str, str, str]:
        """Where the row stands in the file."""
        return (*group_of(self), self.valid_from, *step_of(self))


def group_of(row: PriceRow) -> Group:
    """Give what is sold: provider, model (lower case), region, tier. Its rows differ in date and step only."""
    return (row.provider_name, row.model.lower(), row.region, row.service_tier)


def model_of(row: PriceRow) -> tuple[str, str, str]:
    """Give what is sold without its tier: provider, model (lower case), region."""
    return group_of(row)[:3]


def step_of(row: PriceRow) -> Step:
    """Give which row of its sheet it is: the length of the prompt and the hours that it holds for."""
    return (row.min_input_tokens, row.utc_time_from, row.utc_time_to, row.utc_weekdays)


def sheets(rows: Iterable[PriceRow]) -> dict[Group, dict[datetime, list[PriceRow]]]:
    """Arrange rows by what is sold, and in it by date, oldest first.

    The rows of one date are one price sheet: a new sheet ends all of the last one, its steps and hours included.
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
    """Read a price file. ReadError names the line when a row cannot be meant, or not beside another."""
    return [row for _, row in numbered(path, records(path, COLUMNS, ("input", "output")))]


def records(path: Path, columns: Sequence[str], needed: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    """Read the lines of a price file as they are, each with its number; ReadError when it is not one."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines)
            _check_header(path, reader.fieldnames or (), columns, ("provider_name", "model", *needed))
            return [(reader.line_num, record) for record in reader]
    except OSError as fault:
        raise ReadError(f"{path}: cannot be read ({fault.strerror}); give the path of a price file") from fault
    except (UnicodeDecodeError, csv.Error) as fault:
        raise ReadError(f"{path}: not a CSV file in UTF-8 ({fault}); save it as one") from fault


def numbered(path: Path, found: Iterable[tuple[int, dict[str, str]]]) -> list[tuple[int, PriceRow]]:
    """Make rows of lines, each with its number; ReadError when one cannot be meant, or not beside another."""
    lines: dict[tuple[object, ...], tuple[int, PriceRow]] = {}
    for line, record in found:
        row = _row(path, line, record)
        if row.order in lines:
            raise ReadError(
                f"{path} line {line}: {row.provider_name} {row.model} has two {row.service_tier} rows from "
                f"{row.valid_from:%Y-%m-%d} at {row.min_input_tokens} tokens, the other in line "
                f"{lines[row.order][0]}; delete one"
            )
        lines[row.order] = (line, row)
    made = list(lines.values())
    _check_units(path, made)
    return made


def write_rows(path: Path, rows: Iterable[PriceRow], *, acknowledged: bool = False) -> None:
    """Write a price file, sorted, in one step: whoever reads meanwhile sees the old one or the new one.

    `acknowledged` says of every row that its price was looked at, as a contract has to of one far off the list.
    """
    columns, more = (COLUMNS, ()) if not acknowledged else ((*COLUMNS, "acknowledged"), ("yes",))
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as out:
            writer = csv.writer(out, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows((*_cells(row), *more) for row in sorted(rows, key=lambda row: row.order))
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _check_header(path: Path, names: Sequence[str], columns: Sequence[str], needed: Sequence[str]) -> None:
    told = f"the columns of a price file are {', '.join(columns)}"
    if missing := [name for name in needed if name not in names]:
        raise ReadError(f"{path}: no column {missing[0]!r}; {told}")
    if unknown := [name for name in names if name not in columns and name not in _OPTIONAL]:
        raise ReadError(f"{path}: unknown column {unknown[0]!r}; {told}")


def _check_units(path: Path, found: Sequence[tuple[int, PriceRow]]) -> None:
    """Refuse a price that is hundreds of times another of the same model and meter: the two are in different units."""
    first: dict[tuple[str, ...], list[tuple[Decimal, int] | None]] = {}
    for line, row in found:
        seen = first.setdefault(model_of(row), [None] * len(METERS))
        for place, value in enumerate(row.prices):
            if not value:
                continue
            other = seen[place]
            if other is None:
                seen[place] = (value, line)
            elif max(value, other[0]) > UNITS_APART * min(value, other[0]):
                raise ReadError(
                    f"{path} line {line}: {METERS[place]} of {row.provider_name} {row.model} is {short(value)}, and "
                    f"{short(other[0])} in line {other[1]}; bring both to USD per million"
                )


def _row(path: Path, line: int, record: dict[str, str]) -> PriceRow:
    try:
        values = dict(cells(record))
        if not values.get("provider_name") or not values.get("model"):
            raise ValueError("provider_name and model may not be empty")
        row = PriceRow(**values)  # type: ignore[arg-type]
        row.window  # noqa: B018  raises when the hours cannot be
    except (ValueError, TypeError, AttributeError) as fault:
        raise ReadError(f"{path} line {line}: {fault}; correct that cell") from fault
    return row


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
