"""What is done with a record that cannot be read: it is set aside with its place and a reason, never dropped."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any, Final

import msgspec

from fairlead.errors import ReadError
from fairlead.schema import Quarantined, record_id

__all__ = ["REASONS", "BadRecordError", "explain", "row"]

NOT_JSON: Final = "not_json"
TRUNCATED_LINE: Final = "truncated_line"
NOT_AN_OBJECT: Final = "not_an_object"
NOT_UTF8: Final = "not_utf8"
LINE_TOO_LONG: Final = "line_too_long"
TOO_DEEP: Final = "too_deep"
DUPLICATE_KEY: Final = "duplicate_key"
NAN_OR_INFINITY: Final = "nan_or_infinity"
WRONG_COLUMNS: Final = "wrong_columns"
BAD_COMPRESSION: Final = "bad_compression"
UNKNOWN_FORMAT: Final = "unknown_format"
MISSING_FIELD: Final = "missing_field"
WRONG_TYPE: Final = "wrong_type"
OUT_OF_RANGE: Final = "out_of_range"
UNKNOWN_VALUE: Final = "unknown_value"
READER_FAULT: Final = "reader_fault"
NO_MODEL_CALL: Final = "no_model_call"  # readable, but about something else: a tool, an agent, a page that was served

REASONS: Final = (
    NOT_JSON,
    TRUNCATED_LINE,
    NOT_AN_OBJECT,
    NOT_UTF8,
    LINE_TOO_LONG,
    TOO_DEEP,
    DUPLICATE_KEY,
    NAN_OR_INFINITY,
    WRONG_COLUMNS,
    BAD_COMPRESSION,
    UNKNOWN_FORMAT,
    MISSING_FIELD,
    WRONG_TYPE,
    OUT_OF_RANGE,
    UNKNOWN_VALUE,
    READER_FAULT,
    NO_MODEL_CALL,
)

_SOURCE: Final = "ingest"


class BadRecordError(ReadError):
    """One record cannot be read. It holds a reason from REASONS and names the field, never the value.

    `sha256` is that of a record that was too long to be kept until here.
    """

    def __init__(self, reason: str, detail: str = "", *, sha256: str | None = None) -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail
        self.sha256 = sha256


def explain(fault: Exception) -> BadRecordError:
    """Say why a record was refused, from whatever a reader raised over it."""
    if isinstance(fault, BadRecordError):
        return fault
    if isinstance(fault, msgspec.ValidationError):
        text = str(fault)
        if "missing required field" in text:
            return BadRecordError(MISSING_FIELD, text)
        bounded = any(mark in text for mark in (" >= ", " <= ", " > ", " < ", "length", "out of range"))
        return BadRecordError(OUT_OF_RANGE if bounded else WRONG_TYPE, text)
    if isinstance(fault, RecursionError):
        return BadRecordError(TOO_DEEP)
    if isinstance(fault, OverflowError):
        return BadRecordError(OUT_OF_RANGE)
    # The message may quote the record, so only the kind of fault is kept.
    return BadRecordError(READER_FAULT, type(fault).__name__)


def row(
    fault: BadRecordError, *, file: str, line: int, byte_offset: int | None, raw: Any, ingested_at: datetime
) -> Quarantined:
    """Make the quarantine row of a record; the same line of the same file gives the same row again."""
    data = raw if isinstance(raw, bytes) else repr(raw).encode("utf-8", "backslashreplace")
    sha256 = fault.sha256 or hashlib.sha256(data).hexdigest()
    return Quarantined(
        quarantine_id=record_id(file, line, sha256),
        event_date=ingested_at.date(),
        source=_SOURCE,
        ingested_at=ingested_at,
        file=file.encode("utf-8", "backslashreplace").decode(),
        line=line,
        byte_offset=byte_offset,
        reason=fault.reason,
        detail=fault.detail[:1000] or None,
        sha256=sha256,
    )
