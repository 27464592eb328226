"""Lines of plain text among lines of JSON: a reader that knows such lines is asked before they are set aside."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from fairlead.ingest import quarantine
from fairlead.ingest.lines import Entry
from fairlead.ingest.quarantine import BadRecordError

__all__ = ["offered"]

# What a line of text is refused for as JSON; a text may well end the file without a newline, or speak of NaN.
_NO_JSON: Final = frozenset({quarantine.NOT_JSON, quarantine.TRUNCATED_LINE, quarantine.NAN_OR_INFINITY})


def offered(entry: Entry, readers: Iterable[Any]) -> Entry:
    """Give an entry as it is, or as the record that one of the readers makes of its text."""
    fault = entry.record
    if not isinstance(fault, BadRecordError) or fault.reason not in _NO_JSON or not isinstance(entry.raw, bytes):
        return entry
    text = entry.raw.decode("utf-8", "replace").rstrip("\r\n")
    for reader in readers:
        parse: Callable[[str], dict[str, Any] | None] | None = getattr(reader, "parse_line", None)
        found = None if parse is None else parse(text)
        if found is not None:
            return entry._replace(record=found)
    return entry
