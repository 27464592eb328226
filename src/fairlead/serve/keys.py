"""Bearer keys from a file that holds only their hashes; read again when it changes."""

from __future__ import annotations

import hashlib
import time
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from fairlead.errors import UsageError
from fairlead.serve.guard import Headers, Principal
from fairlead.serve.refusals import RefusedError

__all__ = ["Key", "KeyFile", "hashed"]

_LOOK_S: Final = 1.0
Scope = Literal["decide", "read", "forward"]


class Key(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One key: its SHA-256 in hex (keys are random and long, so that a fast hash is enough), name and rights."""

    name: Annotated[str, Meta(min_length=1, max_length=128)]
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    scopes: list[Scope]
    expires_at: Annotated[datetime, Meta(tz=True)] | None = None


class _Keys(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    keys: list[Key]


def hashed(key: str) -> str:
    """Give what the file holds of a key.

    >>> hashed("rk_test")[:16]
    '777cf8e9cb1c2ec1'
    """
    return hashlib.sha256(key.encode()).hexdigest()


class KeyFile:
    """A guard over a JSON file `{"keys": [{"name", "sha256", "scopes", "expires_at"}]}`.

    It is looked at once a second; one that cannot be read leaves the keys as they were and is named in `refused`. A
    file that cannot be read at the start is refused with UsageError.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[bytes, tuple[Principal, float | None]] = {}
        self._seen: tuple[int, int, int] | None = None
        self._look_at = 0.0
        self.refused: str | None = None
        self._read()
        if self.refused is not None:
            raise UsageError(self.refused)

    def admit(self, method: str, path: str, headers: Headers, scope: str | None) -> Principal:
        """Give whose key was sent; RefusedError for none, an unknown or expired one, and one without the right."""
        if scope is None:
            return Principal(scopes=frozenset())
        if time.monotonic() >= self._look_at:
            self._read()
        given = next((value for name, value in headers if name == b"authorization"), b"")
        kind, _, key = given.partition(b" ")
        if kind.lower() != b"bearer" or not key:
            raise RefusedError("key_missing")
        # Found by the hash of what was sent: how long that takes says nothing of the keys there are.
        found = self._known.get(hashlib.sha256(key.strip()).digest())
        if found is None or (found[1] is not None and time.time() >= found[1]):
            raise RefusedError("key_refused")
        if scope not in found[0].scopes:
            raise RefusedError("not_allowed")
        return found[0]

    def _read(self) -> None:
        self._look_at = time.monotonic() + _LOOK_S
        try:
            marks = self._path.stat()
            seen = (marks.st_ino, marks.st_size, marks.st_mtime_ns)
            if seen == self._seen:
                return
            keys = msgspec.json.decode(self._path.read_bytes(), type=_Keys).keys
        except (OSError, msgspec.MsgspecError) as fault:
            why = fault.strerror if isinstance(fault, OSError) else str(fault)
            self.refused = f"{self._path}: cannot be read ({why}); write {{'keys': [...]}} as the README says"
            return
        self._known = {
            bytes.fromhex(key.sha256): (
                Principal(name=key.name, scopes=frozenset(key.scopes)),
                key.expires_at.timestamp() if key.expires_at else None,
            )
            for key in keys
        }
        self._seen, self.refused = seen, None
