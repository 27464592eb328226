"""The prompt of a call, from the attributes and events that hold it; its text goes no further than its features."""

from __future__ import annotations

import re
from typing import Any, Final

from fairlead.ingest import prompts
from fairlead.ingest.otlp.extras import decoded
from fairlead.scoring.offer import Offer, offered, toolset

__all__ = ["offer", "read"]

_LISTS: Final = ("gen_ai.input.messages", "gen_ai.prompt")
_SYSTEM: Final = "gen_ai.system_instructions"
_FLAT: Final = re.compile(r"(?:llm\.input_messages\.(\d+)\.message|gen_ai\.prompt\.(\d+))\.(role|content)")
_PART: Final = re.compile(r"llm\.input_messages\.(\d+)\.message\.contents\.\d+\.message_content\.(type|text)")
_EMBEDDED: Final = re.compile(r"embedding\.embeddings\.\d+\.embedding\.text")
_TOOL: Final = re.compile(r"(?:llm\.tools|llm\.request\.functions)\.(\d+)\.(.+)")
_FORMS: Final[dict[Any, str]] = {"json": "json_object", "text": "text"}
_EVENTS: Final = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
}


def read(attributes: dict[str, Any], events: list[dict[str, Any]]) -> prompts.Prompt | None:
    """Read the messages that were sent; None where the emitter kept them back."""
    found = _flat(attributes)
    for name in (_SYSTEM, *_LISTS):
        given = decoded(attributes.get(name))
        for message in given if isinstance(given, list) else [given] if isinstance(given, str) else ():
            found.append(_message(message, "system" if name == _SYSTEM else "user"))
    for event in events:
        if event["name"] == "gen_ai.content.prompt":
            found += [_message(given, "user") for given in _listed(decoded(event["attributes"].get("gen_ai.prompt")))]
        elif event["name"] in _EVENTS:
            found.append({"role": _EVENTS[event["name"]], "content": event["attributes"].get("content")})
    found += [{"role": "user", "content": text} for name, text in attributes.items() if _EMBEDDED.fullmatch(name)]
    return prompts.read(found)


def offer(attributes: dict[str, Any]) -> Offer:
    """Give what the model was offered: tools and the form of its answer, as far as anything is said of them."""
    said = offered({"tools": decoded(attributes.get("gen_ai.tool.definitions"))})
    if said.tools is None:
        flat = [(match[1], match[2], value) for name, value in attributes.items() if (match := _TOOL.fullmatch(name))]
        names = toolset(value for _, what, value in flat if what == "name")
        said = Offer(len({number for number, _, _ in flat}) or None, names)
    return said._replace(response_format=_FORMS.get(attributes.get("gen_ai.output.type")))


def _flat(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    """Read messages of which each field is an attribute of its own."""
    numbered: dict[int, dict[str, Any]] = {}
    for name, value in attributes.items():
        if match := _FLAT.fullmatch(name):
            numbered.setdefault(int(match[1] or match[2]), {})[match[3]] = value
        elif match := _PART.fullmatch(name):
            parts = numbered.setdefault(int(match[1]), {}).setdefault("parts", [])
            parts.append({match[2]: value})
    return [
        {"role": message.get("role"), "content": message["parts"] if "parts" in message else message.get("content")}
        for _, message in sorted(numbered.items())
    ]


def _message(given: Any, role: str) -> dict[str, Any]:
    """Bring a message of `parts` into the form that has `content`."""
    if not isinstance(given, dict):
        return {"role": role, "content": given if isinstance(given, str) else None}
    if "parts" not in given:
        is_part = "role" not in given
        return {"role": role, "content": [_part(given)]} if is_part else {**given, "content": given.get("content")}
    return {"role": given.get("role", role), "content": [_part(part) for part in _listed(given["parts"])]}


def _part(given: Any) -> Any:
    if not isinstance(given, dict):
        return given
    kind = f"{given.get('type')} {given.get('modality', '')} {given.get('mime_type', '')}"
    text = given.get("text", given.get("content"))
    return {"type": kind, "text": text} if isinstance(text, str) and "text" in kind else {"type": kind}


def _listed(given: Any) -> list[Any]:
    return given if isinstance(given, list) else [given] if isinstance(given, str) else []
