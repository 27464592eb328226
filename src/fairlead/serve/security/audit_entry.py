"""A line of the audit log: what may stand in it, how it is written, and what the next line says of it."""

from __future__ import annotations

import hashlib
import re
from typing import Any, Final

import msgspec

from fairlead.errors import UsageError
from fairlead.serve.security import keytext

__all__ = ["CHECKPOINT", "EVERY", "FIELDS", "GENESIS", "PURPOSE", "detail", "digest", "line", "signed_part"]

CHECKPOINT: Final = "checkpoint"
EVERY: Final = 10  # each tenth line is a signed checkpoint, to be copied to another machine
GENESIS: Final = "0" * 64
PURPOSE: Final = "audit checkpoint"
# What an entry may tell. Prompts, answers, bodies and keys have no field here, so nobody can log one by accident.
FIELDS: Final = frozenset(
    {"action", "alert", "key_id", "name", "roles", "routes", "teams", "network", "reason", "count", "share", "sequence"}
    | {"version", "sha256", "bytes", "file", "signer", "every", "status", "since_s", "rate", "usual", "not_after"}
)
_MOST_CHARACTERS: Final = 200
_SECRETS: Final = (keytext.PATTERN, re.compile(r"fs1\.\w{10}\."), re.compile(r"otpauth://"), re.compile(r"-----BEGIN "))


def detail(told: dict[str, Any]) -> dict[str, Any]:
    """Give what an entry tells, cut to size; UsageError for a field that has no place in the log.

    >>> detail({"reason": "expired", "roles": ("gateway",)})
    {'reason': 'expired', 'roles': ['gateway']}
    """
    unknown = sorted(set(told) - FIELDS)
    if unknown:
        raise UsageError(f"the audit log has no field {unknown[0]!r}; it tells {', '.join(sorted(FIELDS))}")
    return {name: _plain(value) for name, value in told.items()}


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value[:20]]
    text = str(value)
    for secret in _SECRETS:
        if secret.search(text):
            return "(a secret)"
    return text[:_MOST_CHARACTERS]


def line(entry: dict[str, Any]) -> bytes:
    """Give an entry as the bytes of its line, without the end of line; equal entries are equal bytes."""
    return msgspec.json.encode(entry, order="deterministic")


def digest(written: bytes) -> str:
    """Give the hash of a line, which the next line holds as `previous`."""
    return hashlib.sha256(written).hexdigest()


def signed_part(entry: dict[str, Any]) -> bytes:
    """Give what a checkpoint's signature is over: all of the entry but the signature."""
    return line({name: value for name, value in entry.items() if name != "signature"})
