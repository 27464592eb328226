"""What a score says, whatever its type: thumbs, numbers, words.

A number is put on the scale from 0 to 1 only where its scale is known, which for a bare number it is not. What people
wrote is content and is not kept: a label is, when it is as short as a label.

>>> of(True)["score_normalized"], of("pass")["score_normalized"], of(4.5).get("score_normalized")
(1.0, 1.0, None)
>>> of("The second sentence is not what I asked for.")
{'value_type': 'text'}
"""

from __future__ import annotations

from typing import Any, Final

from fairlead.ingest import values

__all__ = ["evaluator", "label", "of", "on_scale"]

_VERDICTS: Final = {
    **dict.fromkeys(("true", "yes", "pass", "passed", "correct", "good", "thumbs_up", "thumbs up", "up", "like"), 1.0),
    **dict.fromkeys(("false", "no", "fail", "failed", "incorrect", "bad", "thumbs_down", "thumbs down", "down"), 0.0),
}
_EVALUATORS: Final = {
    "human": "human",
    "annotation": "human",
    "llm": "llm",
    "llm_judge": "llm",
    "ai_judge": "llm",
    "eval": "llm",
    "code": "code",
}
_LONGEST: Final = 64
_WORDS: Final = 4


def of(score: Any, words: Any = None) -> dict[str, Any]:
    """Give the type, value and label of a score, and its place from 0 to 1 where that is known."""
    said = label(words if words is not None else score)
    if isinstance(score, bool):
        return {"value_type": "boolean", "score_value": float(score), "score_normalized": float(score)}
    number = None if isinstance(score, str) else values.number(score, "score")
    verdict = None if said is None else _VERDICTS.get(said.lower())
    if verdict is not None:
        value = verdict if number is None else number
        return {"value_type": "boolean", "score_value": value, "score_label": said, "score_normalized": verdict}
    if number is not None:
        return {"value_type": "numeric", "score_value": number, "score_label": said}
    return {"value_type": "text"} if said is None else {"value_type": "categorical", "score_label": said}


def on_scale(value: float | None, low: float | None, high: float | None) -> dict[str, Any]:
    """Give the place of a value on a scale that the source tells; nothing for one that is not on it."""
    if value is None or low is None or high is None or not low < high or not low <= value <= high:
        return {}
    return {"scale_min": low, "scale_max": high, "score_normalized": (value - low) / (high - low)}


def label(words: Any) -> str | None:
    """Give words that are short enough for a label; None for what a person may have written."""
    if not isinstance(words, str) or not words.strip() or len(words) > _LONGEST or "\n" in words:
        return None
    return words.strip() if len(words.split()) <= _WORDS else None


def evaluator(kind: Any, otherwise: str) -> str:
    """Give the kind of an evaluator from what a source calls it."""
    return _EVALUATORS.get(str(kind).lower(), otherwise)
