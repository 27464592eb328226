"""The fields that have no column, kept as JSON, without anything that may be what a person wrote or who wrote it.

An unknown field of a later gateway may hold prompt text, so text is kept only where it cannot be prose: one ASCII
token without blanks, and no address, number of a network or key. Nothing is kept under a name that speaks of content
or of people, not even a number, and no name that is not itself one token: a map may be keyed by anything.

>>> pack({"num": 1, "tier": "gold", "note": "two words", "messages": "hi"}, ())
'{"num":1,"tier":"gold"}'
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Any, Final

import msgspec

__all__ = ["clean", "encode", "is_private", "keep", "pack"]

_TOKEN: Final = re.compile(r"[\w.:/+\-=%#]{1,200}", re.ASCII)
_PRIVATE: Final = re.compile(
    r"message|prompt|content|response(?!_cost|_time|_ms)|completion(?!_?start|_tokens)|^(text|input|output|query|body|answer)$"
    r"|question|transcript|description|instruction|argument|traceback|error_str|document|system|request_body"
    r"|proxy_server_request|user|email|(^|_)ip(_|$)|header|cookie|secret|password|authorization|api_key|^tools$|functions"
    r"|guardrail_information|eval_information|mcp_tool|vector_store|requester_metadata|debug"
    r"|explanation|rationale|comment|quote|^(reasoning|thinking|notes?|summary|title)$",
    re.IGNORECASE,
)
# What one token may still be: an address, a number of a network or of a device, a key.
_EMAIL: Final = re.compile(r"[^\s@]@[\w-]+(\.[\w-]+)*\.[A-Za-z]{2,}")
_PERSONAL: Final = re.compile(
    _EMAIL.pattern
    + r"|%40|\b(?:\d{1,3}\.){3}\d{1,3}\b|^[0-9a-f:]*::[0-9a-f:.]*$|^[0-9a-f]{1,4}(?:[:-][0-9a-f]{1,4}){5,7}$"
    r"|\b(?:sk|pk|rk|ghp|gho|xox[a-z])[-_][\w-]{8,}|\beyJ[\w-]{10,}|\bAKIA\w{12,}|\bbearer\b",
    re.IGNORECASE,
)
_NAME: Final = re.compile(r"[\w.:/+\-]{1,120}", re.ASCII)
_PERSONS_TAG: Final = re.compile(
    r"user|e-?mail|(^|_)ip(_|$)|phone|cookie|secret|password|authorization|api[-_]?key", re.IGNORECASE
)
_TAG_CHARS: Final = 200
_WHO: Final = (  # meant for names of things, but a person may stand there
    *("organization_id", "team_id", "project_id", "api_key_id", "conversation_id", "service_name", "agent_name"),
    "evaluator_id",
)
_WORDS: Final = ("error_type", "finish_reason")  # what a source calls it; where it says a sentence, it may quote
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


def clean(found: dict[str, Any], hashed: Callable[[str], str]) -> None:
    """Take out of a row what cannot be a name: errors told in sentences, tags of a person; hash addresses and keys.

    >>> found = {"error_type": "could not read 'hello'", "tags": {"env": "prod", "user": "jane"}, "team_id": "a@b.org"}
    >>> clean(found, lambda text: "7f")
    >>> found
    {'tags': {'env': 'prod'}, 'team_id': '7f'}
    """
    for name in _WORDS:
        said = found.get(name)
        if isinstance(said, str) and not _TOKEN.fullmatch(said):
            del found[name]
    for name in _WHO:
        who = found.get(name)
        if isinstance(who, str) and (who.startswith("sk-") or ("@" in who and _EMAIL.search(who))):
            found[name] = hashed(who)
    tags = found.get("tags")
    if isinstance(tags, dict):
        found["tags"] = {name: value for name, value in tags.items() if _is_tag(name, value)}


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
        if value is None or name in mapped or is_private(name) or not _NAME.fullmatch(name):
            continue
        safe = value if type(value) in _PLAIN else _safe(value, depth)
        if safe is not None:
            kept[name] = safe
    return kept


def _safe(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return value if _TOKEN.fullmatch(value) and not _PERSONAL.search(value) else None
    if isinstance(value, (bool, float)):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**64 else str(value)
    if depth and isinstance(value, dict):
        return _object(value, (), depth - 1) or None
    if depth and isinstance(value, list):
        return [safe for item in value if (safe := _safe(item, depth - 1)) is not None] or None
    return None


def _is_tag(name: Any, value: Any) -> bool:
    if not isinstance(name, str) or not isinstance(value, str) or len(name) + len(value) > _TAG_CHARS:
        return False
    return not (_PERSONS_TAG.search(name) and value) and not _PERSONAL.search(name) and not _PERSONAL.search(value)
