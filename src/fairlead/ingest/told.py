"""What callers tell in the labels they send along: a decision of ours, the ids around the call, and plain tags.

Clouds call it request metadata, labels or request tags; it is a flat map of text.

>>> told({"decision_id": "d-1", "propensity": "0.25", "team": "search"})["tags"]
{'team': 'search'}
"""

from __future__ import annotations

from typing import Any, Final

from fairlead.ingest import attributes, litellm, values

__all__ = ["as_dict", "told"]

_DECISION: Final = frozenset(
    (  # noqa: SIM905  one a line would fill the screen
        "decision_id policy_id policy_version propensity is_exploration candidates experiment_id variant"
        " decision_cause router_name request_id"
    ).split()
)
_IDS: Final = {  # column: what callers call it, the first that is there holds
    "trace_id": ("trace_id", "traceId"),
    "conversation_id": ("conversation_id", "session_id", "sessionId"),
    "end_user_id": ("end_user_id", "user_id", "userId", "user"),
}
_FLAGS: Final = {"true": True, "false": False}
_TAG_CHARACTERS: Final = 256


def told(labels: Any) -> dict[str, Any]:
    """Give the columns that a map of labels fills; anything else than a map fills none."""
    given = as_dict(values.jsoned(labels, "labels")) if isinstance(labels, (str, dict)) else {}
    if not given:
        return {}
    flag = given.get("is_exploration")
    found = litellm.decision({**given, "is_exploration": _FLAGS.get(str(flag).lower())}, {})
    found["router_name"] = values.text(given.get("router_name"))
    found["request_id"] = values.text(given.get("request_id"))
    for column, names in _IDS.items():
        found[column] = next((value for name in names if (value := values.text(given.get(name)))), None)
    taken = _DECISION.union(*_IDS.values())
    found["tags"] = {name: text for name, value in given.items() if name not in taken and (text := _tag(name, value))}
    return {column: value for column, value in found.items() if value not in (None, {})}


def as_dict(value: Any) -> dict[str, Any]:
    """Give an object, and an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def _tag(name: str, value: Any) -> str | None:
    if attributes.is_private(name) or not isinstance(value, (str, int, float)):
        return None
    text = str(value)
    return text if len(text) <= _TAG_CHARACTERS else None
