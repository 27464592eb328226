"""What a call offers the model beside its text: which tools, and the form that the answer must have.

The same few lines read it at the door, in the API and in a plug-in, so that a decision and its training agree.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

__all__ = ["Offer", "offered", "toolset"]

_MOST: Final = 256  # tools that are looked at
_FORMS: Final = {"json_schema": "json_schema", "json_object": "json_object", "json": "json_object", "text": "text"}


class Offer(NamedTuple):
    """The number of tools, a name for the set of them, and `text`, `json_object` or `json_schema`; None: not said."""

    tools: int | None = None
    toolset: str | None = None
    response_format: str | None = None


def offered(body: Any, *, whole: bool = False) -> Offer:
    """Read the body of a call in OpenAI's, Anthropic's, Google's or Amazon's manner.

    `whole` says that nothing was cut from it: tools that it does not name were not offered.

    >>> offered({"tools": [{"function": {"name": "search"}}], "response_format": {"type": "json_object"}})
    Offer(tools=1, toolset='d4e879d28d1b', response_format='json_object')
    >>> offered({}, whole=True).tools
    0
    """
    if not isinstance(body, dict):
        return Offer()
    given = body.get("tools")
    if given is None and isinstance(body.get("toolConfig"), dict):
        given = body["toolConfig"].get("tools")
    count = len(given) if isinstance(given, list) else 0 if whole else None
    return Offer(count, toolset(_names(given)), _form(body))


def toolset(names: Iterable[Any]) -> str | None:
    """Name a set of tools by their names, whatever their order; None where there is no name.

    >>> toolset(["search", "book"]) == toolset(["book", "search", "book"])
    True
    """
    said = sorted({name for name in names if isinstance(name, str) and name})
    if not said:
        return None
    return hashlib.blake2b("\n".join(said).encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()


def _names(tools: Any) -> Iterable[Any]:
    for tool in tools[:_MOST] if isinstance(tools, list) else ():
        if not isinstance(tool, dict):
            continue
        declared = tool.get("functionDeclarations", tool.get("function_declarations"))
        if isinstance(declared, list):
            yield from (one.get("name") for one in declared[:_MOST] if isinstance(one, dict))
            continue
        inner = next((tool[key] for key in ("function", "toolSpec") if isinstance(tool.get(key), dict)), tool)
        yield inner.get("name") or inner.get("type")


def _form(body: dict[str, Any]) -> str | None:
    form = body.get("response_format")
    if form is None and isinstance(body.get("text"), dict):  # OpenAI's Responses
        form = body["text"].get("format")
    if form is None:
        return _google(body.get("generationConfig", body.get("generation_config")))
    kind = form.get("type") if isinstance(form, dict) else form
    return _FORMS.get(kind) if isinstance(kind, str) else None


def _google(settings: Any) -> str | None:
    if not isinstance(settings, dict):
        return None
    if any(settings.get(name) for name in ("responseSchema", "responseJsonSchema", "response_schema")):
        return "json_schema"
    kind = settings.get("responseMimeType", settings.get("response_mime_type"))
    return {"application/json": "json_object", "text/plain": "text"}.get(kind) if isinstance(kind, str) else None
