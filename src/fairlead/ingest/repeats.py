"""Whether an object of JSON names a key twice.

Parsers disagree on which of the two counts (some take the first, some the last), so such a record says two things.
Looking at every pair costs more than reading the record; counting colons does not: each key has one, and writing the
record again brings back those of all keys but the repeated ones.

>>> repeated(b'{"a": 1, "b": {"c": 2}}', {"a": 1, "b": {"c": 2}})
False
>>> repeated(b'{"a": 1, "b": {"c": 2, "c": 3}}', {"a": 1, "b": {"c": 3}})
True
"""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec

__all__ = ["repeated"]

_encoder: Final = msgspec.json.Encoder()


class _RepeatedError(Exception):
    pass


def repeated(text: bytes | str, value: Any) -> bool:
    """Say whether any object in the text has a key twice; `value` is what the text was read as."""
    written = bytearray()
    try:
        _encoder.encode_into(value, written)
        colons = text.count(b":") if isinstance(text, bytes) else text.count(":")
        if colons == written.count(b":"):
            return False
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError):
        pass  # what cannot be written again is looked at key by key
    return _looked_at(text)


def _looked_at(text: bytes | str) -> bool:
    try:
        json.loads(text, object_pairs_hook=_unique, parse_int=len, parse_float=len)
    except _RepeatedError:
        return True
    except (ValueError, RecursionError):
        return False  # it was read before, so this is a limit of the second reader
    return False


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _RepeatedError
    return found
