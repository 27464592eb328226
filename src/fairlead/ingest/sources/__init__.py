"""Where logs come from: files, standard input, objects in S3, tables of PostgreSQL.

Each origin gives parts, and a part is one open file with its hash, whatever it was before: the readers see no
difference. What an origin must remember (an object's version, how far a table was read) are marks, which move with
the commit of the rows or not at all.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from msgspec import Struct

from fairlead.errors import ReadError, UsageError
from fairlead.ingest import files
from fairlead.ingest.sources.local import LocalFile, StandardInput
from fairlead.ingest.sources.part import Marks, Part, Source, without_secrets

__all__ = ["Marks", "Options", "Part", "Source", "find", "without_secrets"]

_STANDARD_INPUT: Final = "-"
_POSTGRES: Final = ("postgresql://", "postgres://")


class Options(Struct, frozen=True, kw_only=True):
    """How the origins are read."""

    name: str | None = None  # what standard input is called
    table: str = "LiteLLM_SpendLogs"
    cursor: str = "startTime"  # the column of a table that says how far it was read
    overlap_s: float = 7200.0  # how far behind it a row can still appear
    remove: bool = False  # files, once they are committed; then a folder may be empty


def find(
    given: Iterable[Path | str], options: Options, marks: Marks, how: str
) -> tuple[dict[str, Source], dict[str, str]]:
    """Give the sources that paths and URLs mean, each once and before any of them is read, and what means none and why.

    `how` names the reader and the mapping: what was read another way has to be read again.
    """
    found: dict[str, Source] = {}
    refused: dict[str, str] = {}
    for one in given:
        try:
            for name, source in _expand(one, options, marks, how):
                found.setdefault(name, source)
        except ReadError as fault:
            name = without_secrets(str(one))
            refused[name] = str(fault).removeprefix(f"{name}: ")
    return found, refused


def _expand(given: Path | str, options: Options, marks: Marks, how: str) -> Iterator[tuple[str, Source]]:
    text = str(given)
    if text == _STANDARD_INPUT:
        yield text, StandardInput(sys.stdin.buffer, options.name or _STANDARD_INPUT)
    elif text.startswith("s3://"):
        from fairlead.ingest.sources import s3

        for thing in s3.find(text, marks, how):
            yield thing.name, thing
    elif text.startswith(_POSTGRES):
        from fairlead.ingest.sources.postgres import Table

        yield text, Table(text, options.table, options.cursor, options.overlap_s, marks, how)
    elif "://" in text:
        scheme = text.partition("://")[0]
        raise UsageError(f"{scheme}:// is no origin of logs; there are files, -, s3:// and postgresql://")
    else:
        for path in files.find(Path(given), may_be_empty=options.remove):
            yield str(path), LocalFile(path)
