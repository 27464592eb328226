"""The JSON encoding of OTLP: tagged values, ids as hex or base64, lists of key and value.

>>> value({"arrayValue": {"values": [{"intValue": "1"}, {"boolValue": True}]}})
[1, True]
>>> span_id("KY3u6WPh4XQ=")
'298deee963e1e174'
"""

from __future__ import annotations

import base64
import binascii
import re
from functools import cache
from typing import Any, Final

__all__ = ["attributes", "field", "is_error", "span_id", "trace_id", "value", "whole"]

_HEX: Final = re.compile(r"[0-9a-fA-F]+")
_WHOLE: Final = re.compile(r"-?\d{1,19}", re.ASCII)
_PLAIN: Final = ("stringValue", "boolValue", "doubleValue", "intValue")
_ERROR: Final = ("STATUS_CODE_ERROR", 2, "2", "ERROR")


def field(part: dict[str, Any], name: str) -> Any:
    """Give a field by its JSON name (`scopeSpans`), or by its protobuf name (`scope_spans`), which some writers use."""
    return part[name] if name in part else part.get(_snake(name))


def attributes(given: Any) -> dict[str, Any] | None:
    """Give the attributes of a span, event or resource by name; None when they are not a list of key and value."""
    if given is None:
        return {}
    if not isinstance(given, list):
        return None
    found = {}
    for pair in given:
        if not isinstance(pair, dict) or not isinstance(pair.get("key"), str):
            return None
        found[pair["key"]] = value(pair.get("value"))
    return found


def value(given: Any) -> Any:
    """Give what a tagged value holds; None for one that is empty or has an unknown tag."""
    if not isinstance(given, dict):
        return None
    for tag in _PLAIN:
        found = field(given, tag)
        if found is not None:
            return whole(found) if tag == "intValue" else found
    items = field(given, "arrayValue")
    if isinstance(items, dict):
        inner = items.get("values")
        return [value(item) for item in inner] if isinstance(inner, list) else []
    pairs = field(given, "kvlistValue")
    return attributes(pairs.get("values")) if isinstance(pairs, dict) else None


def trace_id(given: Any) -> str | None:
    """Give a trace id as 32 hex digits; None for anything else."""
    return _id(given, 16)


def span_id(given: Any) -> str | None:
    """Give a span id as 16 hex digits; None for anything else."""
    return _id(given, 8)


def is_error(status: Any) -> bool:
    """Say whether a span's status is an error, by number or by name."""
    return isinstance(status, dict) and status.get("code") in _ERROR


def whole(given: Any) -> Any:
    """Give a 64-bit number, which JSON may hold as text, without the loss that a float would bring."""
    return int(given) if isinstance(given, str) and _WHOLE.fullmatch(given) else given


@cache
def _snake(name: str) -> str:
    return re.sub("([A-Z])", r"_\1", name).lower()


def _id(given: Any, size: int) -> str | None:
    if not isinstance(given, str):
        return None
    if len(given) == 2 * size and _HEX.fullmatch(given):
        found = given.lower()
    else:
        try:
            found = base64.b64decode(given, validate=True).hex()
        except (binascii.Error, ValueError):
            return None
    return found if len(found) == 2 * size and found.strip("0") else None
