"""What an OpenAI chat completion asks for, as a request to decide."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from fairlead.scoring.offer import offered
from fairlead.scoring.request import Request
from fairlead.serve.http import Call
from fairlead.serve.refusals import RefusedError, decoded

__all__ = ["fields", "request_of", "said", "wants_choice"]

_FIELDS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_VALUE: Final = msgspec.json.Decoder(Any)
_MOST: Final = 256
_HEADERS: Final = (  # what a body has no field for
    (b"x-fairlead-route", "route"),
    (b"x-fairlead-team", "team"),
    (b"x-model-affinity", "conversation"),
)


def fields(body: bytes) -> dict[str, msgspec.Raw]:
    """Give a body's fields, each as it was sent."""
    return decoded(_FIELDS, body)


def value(sent: dict[str, msgspec.Raw], name: str) -> Any:
    """Give a field's value; None where it was not sent."""
    raw = sent.get(name)
    return None if raw is None else decoded(_VALUE, bytes(raw))


def wants_choice(model: Any) -> bool:
    """Say whether a model's name leaves the choice to us.

    >>> wants_choice("auto"), wants_choice("openai/gpt-4o")
    (True, False)
    """
    return model is None or model == "auto"


def request_of(call: Call, sent: dict[str, msgspec.Raw]) -> Request:
    """Give the request: the texts of its messages, counts of tools, images and turns, and what headers say.

    >>> from fairlead.serve.guard import Principal
    >>> body = b'{"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 9}'
    >>> request = request_of(Call(principal=Principal(), headers=[]), fields(body))
    >>> request.text, request.turn, request.max_tokens
    ('Hello', 1, 9)
    """
    messages = value(sent, "messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(one, dict) for one in messages):
        raise RefusedError("no_messages", "$.messages")
    text, images, turn = said(messages)
    offer = offered({name: value(sent, name) for name in ("tools", "response_format", "text") if name in sent})
    told: dict[str, Any] = {name: (call.header(header) or "")[:_MOST] or None for header, name in _HEADERS}
    more = _count(value(sent, "max_completion_tokens")) or _count(value(sent, "max_tokens"))
    call.principal.check(told.get("route"), told.get("team"))
    return Request(
        text=text,
        tools=offer.tools,
        toolset=offer.toolset,
        response_format=offer.response_format,
        images=images or None,
        turn=turn,
        max_tokens=more,
        **told,
    )


def said(messages: list[dict[str, Any]]) -> tuple[str, int, int]:
    """Give the text of messages, how many images are in them, and the turn of the conversation.

    >>> said([{"role": "user", "content": [{"type": "text", "text": "Hello"}, {"type": "image_url"}]}])
    ('Hello', 1, 1)
    """
    texts, images = list[str](), 0
    for message in messages:
        for part in _parts(message.get("content")):
            if isinstance(part.get("text"), str):
                texts.append(part["text"])
            images += part.get("type") in ("image", "image_url", "input_image")
    return "\n".join(texts), images, sum(one.get("role") == "user" for one in messages)


def _parts(content: Any) -> list[dict[str, Any]]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [one for one in content if isinstance(one, dict)] if isinstance(content, list) else []


def _count(given: Any) -> int | None:
    return given if type(given) is int and 0 < given <= 1_000_000_000 else None
