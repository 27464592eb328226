"""The fields that have no column, kept as JSON, without anything that may be what a person wrote or who wrote it.

An unknown field of a later gateway may hold prompt text, so text is kept only where it cannot be prose: one ASCII
token without blanks. Nothing is kept under a name that speaks of content or of people, not even a number.

>>> pack({"num": 1, "tier": "gold", "note": "two words", "messages": "hi"}, ())
'{"num":1,"tier":"gold"}'
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, Final

import msgspec

__all__ = ["encode", "is_private", "keep", "pack"]

_TOKEN: Final = re.compile(r"[\w.:/+\-=%#]{1,200}", re.ASCII)
_PRIVATE: Final = re.compile(
    r"message|prompt|content|response(?!_cost|_time|_ms)|completion(?!_?start|_tokens)|^(text|input|output|query|body|answer)$"
    r"|question|transcript|description|instruction|argument|traceback|error_str|document|system|request_body"
    r"|proxy_server_request|user|email|(^|_)ip(_|$)|header|cookie|secret|password|authorization|api_key|^tools$|functions"
    r"|guardrail_information|eval_information|mcp_tool|vector_store|requester_metadata|debug",
    re.IGNORECASE,
)
_KEEP: Final = re.compile(r"user_api_key(_team|_org|_project)?_alias|.*_tokens(_details)?|.*prompt_(caching|cache).*")
_DEPTH: Final = 6
_PLAIN: Final = frozenset({bool, float})
_private: Final[dict[str, bool]] = {}


def pack(record: dict[str, Any], mapped: Collection[str]) -> str | None:
    """Give the JSON of a record's fields that are not `mapped`; None when nothing is left to keep."""
    return encode(keep(record, mapped))


def keep(record: dict[str, Any], mapped: Collection[str]) -> dict[str, Any]:
    """Give a record's fields that are not `mapped` and are safe to keep."""
    return _object(record, mapped, _DEPTH)


def encode(kept: dict[str, Any]) -> str | None:
    """Give the JSON of what was kept; None for nothing."""
    return msgspec.json.encode(kept).decode() if kept else None


def is_private(name: str) -> bool:
    """Say whether a field of this name may hold content or a person's name."""
    known = _private.get(name)
    if known is None:
        known = bool(_PRIVATE.search(name)) and not _KEEP.fullmatch(name)
        if len(_private) < 10_000:
            _private[name] = known
    return known


def _object(record: dict[str, Any], mapped: Collection[str], depth: int) -> dict[str, Any]:
    kept = {}
    for name, value in record.items():
        if value is None or name in mapped or is_private(name):
            continue
        safe = value if type(value) in _PLAIN else _safe(value, depth)
        if safe is not None:
            kept[name] = safe
    return kept


def _safe(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return value if value and _TOKEN.fullmatch(value) else None
    if isinstance(value, (bool, float)):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**64 else str(value)
    if depth and isinstance(value, dict):
        return _object(value, (), depth - 1) or None
    if depth and isinstance(value, list):
        return [safe for item in value if (safe := _safe(item, depth - 1)) is not None] or None
    return None
