"""Brings what people, judges and programs said to one scale, 0 worst and 1 best.

| what was said | score_normalized |
|---|---|
| a flag (thumb, passed) | 0 or 1 |
| a number on a known scale | its place on it; a scale from 5 to 1 is turned round |
| a number without a scale | none here: the labels take the range that its source had shown until then |
| a category | none here: the project says what its labels are worth, `[tool.fairlead.feedback.labels."name"]` |
| a preference | the outcome for the target: 1 won, 0.5 tie, 0 lost; `other_target_id` is the other side |
| something that was done | what doing it says of the answer: copied 1, asked again 0 |
"""

from __future__ import annotations

from typing import Any, Final

from fairlead.ingest.quarantine import OUT_OF_RANGE, UNKNOWN_VALUE, BadRecordError

__all__ = ["done", "flag", "normalise", "outcome", "place"]

_FLAGS: Final = {
    **dict.fromkeys(("true", "yes", "up", "pass", "passed", "good", "like", "thumbs_up"), True),
    **dict.fromkeys(("false", "no", "down", "fail", "failed", "bad", "dislike", "thumbs_down"), False),
}
_OUTCOMES: Final = {
    **dict.fromkeys(("win", "won", "winner", "better", "preferred", "chosen"), 1.0),
    **dict.fromkeys(("loss", "lose", "lost", "loser", "worse", "rejected"), 0.0),
    **dict.fromkeys(("tie", "tied", "draw", "equal", "same", "both"), 0.5),
}
_DONE: Final = {
    **dict.fromkeys(("accept", "accepted", "copy", "copied", "insert", "inserted", "apply", "applied", "share"), 1.0),
    **dict.fromkeys(("abandon", "abandoned", "asked_again", "discard", "discarded", "undo", "undone"), 0.0),
    **dict.fromkeys(("regenerate", "regenerated", "reject", "rejected", "rephrased", "retry", "retried"), 0.0),
}


def flag(value: Any) -> bool | None:
    """Give what a flag or a word for one says; None for anything else.

    >>> flag("Thumbs_Up"), flag("down"), flag("0.5"), flag(1)
    (True, False, None, None)
    """
    if isinstance(value, bool):
        return value
    return _FLAGS.get(value.strip().lower()) if isinstance(value, str) else None


def place(value: float, low: float, high: float) -> float:
    """Give a number's place on its scale; BadRecordError when it is not on it.

    >>> place(2, 1, 5), place(2, 5, 1)
    (0.25, 0.75)
    """
    if low == high or not 0 <= (value - low) / (high - low) <= 1:
        raise BadRecordError(OUT_OF_RANGE, "score_value: not on the scale from scale_min to scale_max")
    return (value - low) / (high - low)


def outcome(value: Any) -> float | None:
    """Give the outcome of a comparison for its target: 1 won, 0.5 tie, 0 lost; None when it is not said.

    >>> outcome("Winner"), outcome("tie"), outcome(0), outcome(0.3), outcome("maybe")
    (1.0, 0.5, 0.0, None, None)
    """
    if isinstance(value, str):
        return _OUTCOMES.get(value.strip().lower())
    return float(value) if isinstance(value, (bool, int, float)) and value in (0, 0.5, 1) else None


def done(name: Any) -> float | None:
    """Give what it says of an answer that something was done with it; None where it says nothing we know.

    >>> done("copied"), done("Regenerated"), done("opened")
    (1.0, 0.0, None)
    """
    return _DONE.get(name.strip().lower()) if isinstance(name, str) else None


def normalise(found: dict[str, Any]) -> None:
    """Fill in `value_type` and `score_normalized`, in place, as far as the feedback itself says them.

    What the source or a mapping has said already stays. BadRecordError for a number off its scale and for a
    comparison whose outcome is no outcome.
    """
    if found.get("value_type") == "preference":
        _compare(found)
        return
    score = found.get("score_value")
    if isinstance(score, bool):
        found.setdefault("value_type", "boolean")
        found["score_value"] = score = float(score)
    if _was_done(found):
        return
    if found.get("value_type") is None:
        label = found.get("score_label")
        found["value_type"] = "numeric" if score is not None else "text" if label is None else "categorical"
    if found.get("score_normalized") is not None or score is None:
        return
    low, high = found.get("scale_min"), found.get("scale_max")
    if not all(one is None or isinstance(one, (int, float)) for one in (score, low, high)):
        return  # the table's own check says what is wrong with it
    if low is not None and high is not None:
        found["score_normalized"] = place(score, low, high)
    elif found["value_type"] == "boolean" and score in (0, 1):
        found["score_normalized"] = float(score)


def _compare(found: dict[str, Any]) -> None:
    said = found.get("score_value")
    label = found.get("score_label")
    result = outcome(label if said is None else said)
    if result is None and not (said is None and label is None):
        raise BadRecordError(UNKNOWN_VALUE, "a preference is won, lost or tied: 1, 0 or 0.5")
    found["score_value"] = found["score_normalized"] = result


def _was_done(found: dict[str, Any]) -> bool:
    """Score an event such as a copy or a retry; an event without a value happened."""
    worth = done(found.get("name")) if found.get("evaluator_kind") == "implicit" else None
    happened = found.get("score_value", 1.0)
    if worth is None or found.get("score_normalized") is not None or happened not in (None, 0, 1):
        return False
    happened = 1.0 if happened is None else float(happened)
    found |= {"value_type": "boolean", "score_value": happened}
    found["score_normalized"] = worth if happened else 1 - worth
    return True
