"""The file of keys: JSON that is signed, and taken only byte for byte as it was written."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from fairlead.errors import SecurityError
from fairlead.serve.routes import ROLES
from fairlead.serve.security import files
from fairlead.serve.security.signing import Signer, Verifier

__all__ = ["Key", "Keys", "Limit", "Secret", "decode", "encode", "read", "write"]

PURPOSE: Final = "keys"
Moment = Annotated[datetime.datetime, Meta(tz=True)]
Name = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")]


class Secret(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One secret of a key: its hash, and when it counts."""

    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
    not_before: Moment
    not_after: Moment | None = None


class Limit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often a key may ask: `burst` at once, and `rate_per_s` in the long run, on all workers together."""

    rate_per_s: Annotated[float, Meta(gt=0, le=1e6)]
    burst: Annotated[int, Meta(ge=1, le=1_000_000)]


class Key(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, cache_hash=True):
    """A key: what may be done with it, by whom and how often. Empty `routes` or `teams` do not restrict."""

    id: Annotated[str, Meta(pattern=r"^[0-9a-z]{10}$")]
    name: Name
    roles: tuple[str, ...]
    routes: tuple[Name, ...] = ()
    teams: tuple[Name, ...] = ()
    created_at: Moment
    revoked_at: Moment | None = None
    limit: Limit | None = None
    secrets: Annotated[tuple[Secret, ...], Meta(max_length=8)]


class Keys(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All keys. `sequence` grows with every change, so that an old file is told from a new one."""

    version: Literal[1] = 1
    sequence: Annotated[int, Meta(ge=0)] = 0
    written_at: Moment
    keys: tuple[Key, ...] = ()


class _Signed(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    content: Keys
    signed_by: str
    signature: str


def encode(content: Keys, by: Signer) -> bytes:
    """Give the file's bytes."""
    return _bytes(_Signed(content=content, signed_by=by.name, signature=by.sign(PURPOSE, _payload(content))))


def decode(data: bytes, by: Verifier, where: str = "keys") -> Keys:
    """Give what a file says; SecurityError where it was not written, whole, by the holder of the signing key.

    >>> from fairlead.serve.security.signing import Hmac
    >>> key, now = Hmac(bytes(32)), datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    >>> data = encode(Keys(written_at=now), key)
    >>> decode(data, key).sequence
    0
    >>> decode(data.replace(b'"sequence": 0', b'"sequence": 1'), key)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    fairlead.errors.SecurityError: keys: the signature is not one of hmac:...; write it with `fairlead keys`
    """
    try:
        signed = msgspec.json.decode(data, type=_Signed)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as fault:
        raise SecurityError(f"{where}: not a file of keys ({fault}); write it with `fairlead keys`") from None
    if signed.signed_by != by.name:
        raise SecurityError(f"{where}: signed by another key than {by.name}; sign it again, or give its public key")
    if not by.verify(PURPOSE, _payload(signed.content), signed.signature):
        raise SecurityError(f"{where}: the signature is not one of {by.name}; write it with `fairlead keys`")
    # JSON says one thing in many ways, and readers differ over some of them (a field named twice).
    if _bytes(signed) != data:
        raise SecurityError(f"{where}: changed after it was written; write it with `fairlead keys`")
    _check(signed.content, where)
    return signed.content


def read(path: Path, by: Verifier) -> Keys:
    """Read a file of keys that only its owner may read."""
    return decode(files.read(path), by, str(path))


def write(path: Path, content: Keys, by: Signer) -> None:
    """Put a file of keys in place, whole, for its owner only."""
    _check(content, str(path))
    files.write(path, encode(content, by))


def _payload(content: Keys) -> bytes:
    return msgspec.json.encode(content, order="deterministic")


def _bytes(signed: _Signed) -> bytes:
    return msgspec.json.format(msgspec.json.encode(signed), indent=2) + b"\n"


def _check(content: Keys, where: str) -> None:
    known: set[str] = set()
    for key in content.keys:
        if key.id in known:
            raise SecurityError(f"{where}: the id {key.id} is there twice; leave one of them")
        known.add(key.id)
        unknown = set(key.roles) - set(ROLES)
        if unknown or not key.roles:
            raise SecurityError(f"{where}: {key.id}: no role {sorted(unknown)}; known are {', '.join(ROLES)}")
