"""From the records of a document to rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from fairlead.ingest import prompts
from fairlead.ingest.context import Context
from fairlead.ingest.otlp import calls, evaluations, messages
from fairlead.ingest.quarantine import WRONG_TYPE, BadRecordError

__all__ = ["read"]


def read(record: dict[str, Any], context: Context) -> Iterator[Struct]:
    """Give the attempt and what is known of its request, or the feedback, that a record of `split` holds."""
    if "fault" in record:
        raise BadRecordError(WRONG_TYPE, record["fault"])
    if "evaluation" in record:
        yield evaluations.read(record, context)
        return
    said = record["attributes"]
    prompt = messages.read(said, record["events"])
    attempt = calls.attempt(record, prompt, context)
    yield attempt
    route = (attempt.tags or {}).get("route") or attempt.request_model
    features = prompts.features(attempt, prompt, context, route=route, offer=messages.offer(said))
    if features is not None:
        yield features
