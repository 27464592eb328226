"""The tokens that an OpenAI-compatible answer says were used, read in passing."""

from __future__ import annotations

from typing import Any, Final

import msgspec

__all__ = ["Usage"]

_MOST: Final = 64 << 10  # usage stands at the end
_MARK: Final = b'"usage"'


class Usage:
    """Keeps the end of an answer, and reads its usage, streamed or not.

    >>> usage = Usage()
    >>> usage.feed(b'data: {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 2}}')
    >>> usage.tokens()
    {'input_tokens': 7, 'output_tokens': 2}
    """

    def __init__(self) -> None:
        self._end = bytearray()

    def feed(self, part: bytes) -> None:
        """Take in a part of the answer."""
        self._end += part
        if len(self._end) > 2 * _MOST:
            del self._end[:-_MOST]

    def tokens(self) -> dict[str, int]:
        """Give what was used, by the names of an outcome; empty where the answer does not say."""
        at = self._end.rfind(_MARK)
        start = self._end.find(b"{", at) if at >= 0 else -1
        if start < 0:
            return {}
        found = _object(bytes(self._end[start:]))
        told = {
            "input_tokens": found.get("prompt_tokens"),
            "output_tokens": found.get("completion_tokens"),
            "cached_tokens": (found.get("prompt_tokens_details") or {}).get("cached_tokens")
            if isinstance(found.get("prompt_tokens_details"), dict)
            else None,
        }
        return {name: value for name, value in told.items() if type(value) is int and value >= 0}


def _object(text: bytes) -> dict[str, Any]:
    """Read the JSON object that a text begins with."""
    depth = 0
    for at, byte in enumerate(text):
        depth += (byte == ord("{")) - (byte == ord("}"))
        if depth == 0:
            try:
                found = msgspec.json.decode(text[: at + 1])
            except msgspec.DecodeError:
                return {}
            return found if isinstance(found, dict) else {}
    return {}
