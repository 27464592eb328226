"""The text of a key: `fl_` + its id + `_` + 256 random bits + a checksum.

The id is no secret and names the key in logs. The prefix and the checksum let scanners of repositories find a key that
was committed, without asking a server and without taking anything else for one (as GitHub's tokens do).

What is kept is SHA-256 of the text. A slow hash (argon2, scrypt) protects what people choose; 256 random bits cannot be
tried through at any speed, and a slow hash for every request would only let strangers keep the server busy.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
import zlib
from typing import Final

__all__ = ["PATTERN", "claimed", "digest", "key_id", "new", "new_id"]

_DIGITS: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_LOWER: Final = string.digits + string.ascii_lowercase
_ID, _SECRET, _SUM = 10, 43, 6  # 62 ** 43 > 2 ** 256; 62 ** 6 > 2 ** 32
PATTERN: Final = re.compile(rf"fl_([0-9a-z]{{{_ID}}})_[0-9A-Za-z]{{{_SECRET + _SUM}}}")


def new_id() -> str:
    """Give a fresh id."""
    return "".join(secrets.choice(_LOWER) for _ in range(_ID))


def new(named: str) -> str:
    """Give a fresh key of that id.

    >>> text = new("abcdefghij")
    >>> len(text), text[:14], key_id(text)
    (63, 'fl_abcdefghij_', 'abcdefghij')
    """
    text = f"fl_{named}_" + "".join(secrets.choice(_DIGITS) for _ in range(_SECRET))
    return text + _checksum(text)


def key_id(text: str) -> str | None:
    """Give the id within a key; None where the text is none, or was mistyped.

    >>> key_id("fl_abcdefghij_" + "0" * 49) is None
    True
    """
    found = claimed(text)
    return found if found is not None and text[-_SUM:] == _checksum(text[:-_SUM]) else None


def claimed(text: str) -> str | None:
    """Give the id a text claims, its checksum not looked at; None where it has not the shape of a key."""
    found = PATTERN.fullmatch(text)
    return found[1] if found else None


def digest(text: str) -> str:
    """Give what is kept of a key: it cannot be turned back."""
    return hashlib.sha256(b"fairlead key 1\n" + text.encode()).hexdigest()


def _checksum(text: str) -> str:
    rest, found = zlib.crc32(text.encode()), ""
    for _ in range(_SUM):
        rest, digit = divmod(rest, len(_DIGITS))
        found = _DIGITS[digit] + found
    return found
