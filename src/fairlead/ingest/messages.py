"""Prompts as the clouds' own bodies hold them, brought to the form of chat messages, which `prompts.read` reads.

>>> chat(None, [{"role": "user", "parts": [{"text": "hi"}, {"inline_data": {"mime_type": "image/png"}}]}], "parts")
[{'role': 'user', 'content': [{'text': 'hi'}, {'type': 'image'}]}]
"""

from __future__ import annotations

from typing import Any, Final

__all__ = ["chat"]

_FILES: Final = ("inline_data", "inlineData", "file_data", "fileData")


def chat(system: Any, messages: Any, content: str = "content") -> list[dict[str, Any]]:
    """Give messages with their system prompt before them; `content` is the field that holds a message's parts."""
    before = [{"role": "system", "content": _parts(system)}] if system else []
    after = [
        {"role": message.get("role"), "content": _parts(message.get(content))}
        for message in (messages if isinstance(messages, list) else [messages])
        if isinstance(message, dict)
    ]
    return before + after


def _parts(content: Any) -> Any:
    if isinstance(content, dict):  # Gemini's system instruction is a message of its own
        return _parts(content.get("parts"))
    if not isinstance(content, list):
        return content
    return [{"type": "image"} if isinstance(part, dict) and _is_image(part) else part for part in content]


def _is_image(part: dict[str, Any]) -> bool:
    if "image" in part:
        return True
    file: dict[str, Any] = next((part[name] for name in _FILES if isinstance(part.get(name), dict)), {})
    return str(file.get("mime_type") or file.get("mimeType")).startswith("image/")
