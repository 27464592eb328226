"""One module a log format; a module that is put in this folder is found, there is no list to edit.

Packages that are installed beside fairlead may bring readers of their own (see plugins.py).

A reader module has `NAME`, `recognises(record)` and `read(record, context)`, which gives the rows of one record or
raises BadRecordError. Where one document holds many records (an OTLP request with its spans, a page of usage), it has
`split(document)` too, which gives them; each is then read, counted and, if need be, set aside by itself. A reader of
plain text has `parse_line(text)`, which gives the record that a line stands for, or None. Readers do not know each
other.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable
from functools import cache
from typing import Any, Protocol, cast

from msgspec import Struct

from fairlead.ingest import plugins
from fairlead.ingest.context import Context

__all__ = ["Reader", "SplittingReader", "TextReader", "all_readers"]


class Reader(Protocol):
    """What a reader module offers."""

    NAME: str

    def recognises(self, record: dict[str, Any]) -> bool:
        """Say whether a record is of this format."""

    def read(self, record: dict[str, Any], context: Context) -> Iterable[Struct]:
        """Give the rows of a record."""


class SplittingReader(Reader, Protocol):
    """A reader of documents that hold many records."""

    def split(self, document: dict[str, Any]) -> Iterable[dict[str, Any]]:
        """Give the records of a document; none is an error of the document."""


class TextReader(Reader, Protocol):
    """A reader of lines that are no JSON."""

    def parse_line(self, text: str) -> dict[str, Any] | None:
        """Give the record that a line stands for; None for a line of another make."""


@cache
def all_readers() -> dict[str, Reader]:
    """Give the readers by name, our own before those of installed packages."""
    modules = [importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]
    own = {reader.NAME: reader for reader in (cast("Reader", module) for module in modules)}
    return {**own, **plugins.installed(own)}
