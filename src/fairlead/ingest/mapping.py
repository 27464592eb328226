"""A mapping file: which columns of a log of any make stand for which columns of a canonical table.

table = "attempts"                    # or feedback, decisions, usage
source = "my_gateway"

[columns]                             # canonical = "column", or "dotted.path" within a record
start_time = "ts"
duration_s = "latency_ms"

[constants]                           # canonical = value
provider_name = "openai"

[units]                               # canonical = unit of the source
duration_s = "ms"

[values.status]                       # canonical = { what the source says = what it means }
done = "ok"
"""

from __future__ import annotations

import difflib
import hashlib
import tomllib
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from msgspec import Struct, structs

from fairlead.errors import ReadError
from fairlead.schema import TABLES

__all__ = ["FROM_PROMPT", "UNITS", "Mapping", "read"]

_TABLES: Final = ("attempts", "feedback", "decisions", "usage")
_SECTIONS: Final = {"table", "source", "columns", "constants", "units", "values"}
UNITS: Final[dict[str, Decimal]] = {  # how many of the canonical unit, seconds or dollars, one is
    "s": Decimal(1),
    "ms": Decimal("1e-3"),
    "us": Decimal("1e-6"),
    "ns": Decimal("1e-9"),
    "epoch_s": Decimal(1),
    "epoch_ms": Decimal("1e-3"),
    "epoch_us": Decimal("1e-6"),
    "epoch_ns": Decimal("1e-9"),
    "usd": Decimal(1),
    "usd_cent": Decimal("1e-2"),
    "usd_milli": Decimal("1e-3"),
    "usd_micro": Decimal("1e-6"),
    "usd_nano": Decimal("1e-9"),
    "percent": Decimal("1e-2"),
}
# Beside the columns of the table: what the features of a request are taken from. The prompt's text is not kept.
FROM_PROMPT: Final = ("prompt", "route", "tools", "toolset", "response_format", "images", "turn")
_MADE: Final = {  # filled in by the reader when the mapping does not name them
    "attempts": {"event_id", "event_date", "source", "ingested_at", "source_record_id", "request_id", "status"},
    "feedback": {"feedback_id", "event_date", "source", "ingested_at", "target_kind", "value_type"},
    "decisions": {"event_date", "source", "ingested_at"},
    "usage": {"usage_id", "event_date", "source", "ingested_at"},
}


class Mapping(Struct, frozen=True, kw_only=True):
    """How the records of one source become rows of one table."""

    table: str
    source: str
    columns: dict[str, str]
    constants: dict[str, Any]
    units: dict[str, str]
    values: dict[str, dict[str, Any]]
    sha256: str


def read(path: Path) -> Mapping:
    """Read and check a mapping file; ReadError names what is wrong in it, and what may have been meant."""
    try:
        data = path.read_bytes()
        document = tomllib.loads(data.decode())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as fault:
        raise ReadError(f"{path}: the mapping cannot be read ({fault}); it is a TOML file, see docs") from fault
    _known(path, "section", document, _SECTIONS)
    table = document.get("table")
    if table not in _TABLES:
        raise ReadError(f"{path}: table = {table!r}; it has to be one of {', '.join(_TABLES)}")
    source = document.get("source")
    if not isinstance(source, str) or not 0 < len(source) <= 128:
        raise ReadError(f'{path}: source has to name where the log comes from, as in source = "my_gateway"')
    parts = {name: _section(path, document, name, table) for name in ("columns", "constants", "units", "values")}
    for canonical, unit in parts["units"].items():
        _known(path, f"unit of {canonical}", [unit], UNITS)
    for canonical, column in parts["columns"].items():
        if not isinstance(column, str) or not column:
            raise ReadError(f"{path} [columns] {canonical}: expected the name of a column as text")
    for canonical, meanings in parts["values"].items():
        if not isinstance(meanings, dict):
            raise ReadError(f"{path} [values.{canonical}]: expected a table of what the source says and what it means")
    _complete(path, table, {*parts["columns"], *parts["constants"]})
    return Mapping(table=table, source=source, sha256=hashlib.sha256(data).hexdigest(), **parts)


def _section(path: Path, document: dict[str, Any], name: str, table: str) -> dict[str, Any]:
    section = document.get(name, {})
    if not isinstance(section, dict):
        raise ReadError(f"{path}: [{name}] has to be a table")
    columns = structs.fields(TABLES[table])
    known = {field.name for field in columns} | (set(FROM_PROMPT) if table == "attempts" else set())
    _known(path, f"column in [{name}]", (canonical.partition("tags.")[0] or "tags" for canonical in section), known)
    return section


def _known(path: Path, what: str, given: Iterable[str], known: Iterable[str]) -> None:
    names = sorted(known)
    for name in given:
        if name not in names:
            close = difflib.get_close_matches(str(name), names, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(names)}"
            raise ReadError(f"{path}: unknown {what} {name!r}; {hint}")


def _complete(path: Path, table: str, given: set[str]) -> None:
    needed = {field.name for field in structs.fields(TABLES[table]) if field.required} - _MADE[table]
    missing = sorted(needed - given)
    if missing:
        raise ReadError(
            f"{path}: nothing says what {', '.join(missing)} is; name a column in [columns], or a value in [constants]"
        )
