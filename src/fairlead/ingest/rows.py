"""What every reader ends with: filling in what is the same for all, checking the values, pricing the attempt."""

from __future__ import annotations

from typing import Any

import msgspec

from fairlead.ingest import attributes
from fairlead.ingest.context import Context
from fairlead.ingest.feedback import normalise
from fairlead.ingest.outcomes import error_class
from fairlead.schema import Attempt, Feedback, Usage, record_id

__all__ = ["attempt", "feedback", "usage"]


def attempt(source: str, found: dict[str, Any], context: Context) -> Attempt:
    """Make an attempt of what a reader found; empty values are left out.

    Needs `source_record_id`, `start_time`, `provider_name` and `status`. `request_id` is the record's own id where
    the source does not group attempts. `user_id` and `end_user_id` are hashed here; give them as the source has them.
    """
    own = found["source_record_id"]
    made = {
        "source": source,
        "source_instance": context.source_instance,
        "ingested_at": context.ingested_at,
        "request_id": own,
        "provider_name": "unknown",
        **_kept(found),
    }
    made.setdefault("event_date", made["start_time"].date())
    made.setdefault("event_id", record_id(source, made["source_instance"], own, made.get("attempt_index") or 0))
    for person in ("user_id", "end_user_id"):
        if person in made:
            made[person] = context.hashed(str(made[person]))
    if made["status"] != "ok" and "error_class" not in made:
        made["error_class"] = error_class(made.get("http_status_code"), made.get("error_type"))
    attributes.clean(made, context.hashed)
    return context.priced(msgspec.convert(_kept(made), Attempt))


def feedback(source: str, own_id: str, found: dict[str, Any], context: Context) -> Feedback:
    """Make a feedback of what a reader found; `own_id` names it within its source. Needs `time` and `name`.

    Its score is brought to the one scale here, where its source did not do so.
    """
    made = {
        "source": source,
        "source_instance": context.source_instance,
        "ingested_at": context.ingested_at,
        **_kept(found),
    }
    made.setdefault("event_date", made["time"].date())
    attributes.clean(made, context.hashed)
    made["feedback_id"] = record_id(source, made["source_instance"], own_id)
    normalise(made)
    return msgspec.convert(_kept(made), Feedback)


def usage(source: str, own_id: str, found: dict[str, Any], context: Context) -> Usage:
    """Make a usage bucket of what a reader found; `own_id` names it within its source. Needs its start and end."""
    made = {
        "source": source,
        "source_instance": context.source_instance,
        "ingested_at": context.ingested_at,
        **_kept(found),
    }
    made.setdefault("event_date", made["bucket_start"].date())
    attributes.clean(made, context.hashed)
    made["usage_id"] = record_id(source, made["source_instance"], own_id)
    if "user_id" in made:
        made["user_id"] = context.hashed(str(made["user_id"]))
    return msgspec.convert(_kept(made), Usage)


def _kept(found: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if value is not None and value not in ("", {})}
