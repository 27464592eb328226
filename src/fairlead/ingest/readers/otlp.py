"""OTLP JSON with the OpenTelemetry GenAI conventions, old names and new, and the dialects of gateways.

What becomes of spans that are no model calls is said in `fairlead.ingest.otlp`. A document is taken whole by the
reader of its first span's dialect; each row's source is that of its own span, so a mixed document loses nothing, and
the same span has the same id whichever reader took it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from fairlead.ingest import otlp
from fairlead.ingest.otlp import read

__all__ = ["NAME", "read", "recognises", "split"]

NAME: Final = "otlp"


def recognises(record: dict[str, Any]) -> bool:
    """Say whether a record is an OTLP document, and not one of OpenInference."""
    return otlp.is_document(record) and otlp.dialect(record) == NAME


def split(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Give a record for each model call and each evaluation of a document."""
    return otlp.split(document)
