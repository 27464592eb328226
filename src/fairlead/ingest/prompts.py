"""What is taken from a prompt at the door, so that its text need not be kept."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from fairlead.ingest.context import Context
from fairlead.schema import Attempt, RequestFeatures
from fairlead.scoring.offer import Offer
from fairlead.scoring.request import FEATURE_VERSION

__all__ = ["Prompt", "features", "read"]

_REDACTED: Final = "redacted-by-litellm"
_NOTHING: Final = Offer()


class Prompt(NamedTuple):
    """The text of a prompt's messages and what was counted beside it."""

    text: str
    images: int
    turn: int


def read(messages: Any) -> Prompt | None:
    """Read chat messages, or a plain prompt; None when there is none, or it was redacted."""
    if isinstance(messages, str):
        return Prompt(messages, 0, 1) if messages and messages != _REDACTED else None
    if not isinstance(messages, list):
        return None
    texts, images, turn = list[str](), 0, 0
    for message in messages:
        if not isinstance(message, dict):
            continue
        turn += message.get("role") == "user"
        content = message.get("content")
        for part in content if isinstance(content, list) else (content,):
            if isinstance(part, str):
                texts.append(part)
            elif isinstance(part, dict):
                if isinstance(part.get("text"), str):
                    texts.append(part["text"])
                images += "image" in str(part.get("type"))
    text = "\n".join(texts)
    return None if text == _REDACTED or not (text or images) else Prompt(text, images, turn)


def features(
    attempt: Attempt, prompt: Prompt | None, context: Context, *, route: str | None, offer: Offer = _NOTHING
) -> RequestFeatures | None:
    """Make the features row of an attempt's request; None when nothing is known but what the attempt says itself.

    The route goes to the attempt, where it does not say so already.
    """
    if route and route != ((attempt.tags or {}).get("route") or attempt.request_model):
        attempt.route = route[:512]
    if prompt is None and not offer.tools:
        return None
    return RequestFeatures(
        event_id=attempt.event_id,
        event_date=attempt.event_date,
        source=attempt.source,
        request_id=attempt.request_id,
        start_time=attempt.start_time,
        feature_version=FEATURE_VERSION,
        prompt_sha256=attempt.prompt_sha256,
        tools=None if offer.tools is None else min(offer.tools, 32_767),
        toolset=offer.toolset,
        response_format=offer.response_format,
        images=None if prompt is None else min(prompt.images, 32_767),
        turn=None if prompt is None else min(prompt.turn, 32_767),
        text=context.features("" if prompt is None else prompt.text),
    )
